"""Executing a run again finds what no ledger can: chance, rewards, parameters."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
import safetensors.numpy

from stairways.core.replay.report import LevelReport
from stairways.core.values import Digest, Position, digest_of
from stairways.service.replay.comparing import REAL_TOLERANCE
from stairways.service.replay.levels import Recorded, reexecute
from stairways.service.replay.reexecution import Reexecution
from stairways.service.replay.relearning import PARAMETER_TOLERANCE
from stairways.service.replay.run import replay_run
from stairways.service.stairway.run import Job, run_stairway
from stairways.store.contract import Context, Encoded, EventStore
from stairways.store.memory import MemoryStore
from stairways.training import state as states
from tests.small_run import NewJob

Payload = dict[str, Any]
Change = Callable[[str, Payload], None]


def forged(store: EventStore, like: MemoryStore, change: Change) -> EventStore:
    """Write a whole new log, every hash right, in which ``change`` altered payloads."""
    for record in like.read():
        payload = orjson.loads(record.payload)
        change(record.type, payload)
        for name in ("data", "features", "state"):
            if payload.get(name):
                store.put_blob(like.get_blob(payload[name]) if known(like, payload[name]) else b"")
        event = Encoded(record.type, record.schema, orjson.dumps(payload))
        context = Context(
            actor=record.actor, correlation=record.correlation, append_id=str(record.position)
        )
        store.append(record.stream, None, [event], context)
    return store


def known(store: MemoryStore, digest: Digest) -> bool:
    return digest in store._blobs


def levels(job: Job) -> tuple[LevelReport, LevelReport]:
    return Reexecution(job, lambda _: None).policy(), Reexecution(job, lambda _: None).training()


@pytest.fixture(scope="module")
def honest(new_job: NewJob, new_memory: Callable[[], MemoryStore]) -> MemoryStore:
    store = new_memory()
    run_stairway(new_job(store))
    return store


def test_an_honest_run_is_the_same_when_executed_again(
    new_job: NewJob, honest: MemoryStore
) -> None:
    size = honest.head().size
    policy, training = levels(new_job(honest))
    assert policy.clean
    assert training.clean
    assert honest.head().size == size
    assert policy.checked["StepTaken"] == training.checked["StepTaken"] >= 3 * 240
    assert training.checked["PolicyUpdated"] > 0


@pytest.mark.parametrize(
    "lie",
    [
        ("StepTaken", "reward", "12.5"),
        ("StepTaken", "log_probability", "-1.5"),
        ("StepTaken", "value", "0.25"),
        ("ControllerUpdated", "slow", "0.125"),
        ("ControllerUpdated", "bonus", "3.5"),
        ("ControllerUpdated", "margin", "0.5"),
        ("EvaluationStepTaken", "margin", "0.5"),
        ("EvaluationStarted", "base_margin", "0.5"),
        ("GateDecided", "value", "0.5"),
    ],
)
def test_both_levels_name_what_the_ledger_cannot_see(
    new_job: NewJob,
    new_memory: Callable[[], MemoryStore],
    honest: MemoryStore,
    lie: tuple[str, str, str],
) -> None:
    counter, (kind, name, value) = itertools.count(), lie

    def change(found: str, payload: Payload) -> None:
        if found == kind and next(counter) == 2:
            payload[name] = value

    store = forged(new_memory(), honest, change)
    for report in levels(new_job(store)):
        assert report.found >= 1
        assert report.first is not None
        assert (report.first.type, report.first.field) == (kind, name)
        assert report.first.recorded == value


def test_another_random_state_is_found_at_the_first_step_it_decides(
    new_job: NewJob, new_memory: Callable[[], MemoryStore], honest: MemoryStore
) -> None:
    store, done = new_memory(), itertools.count()

    def change(found: str, payload: Payload) -> None:
        if found == "PolicyUpdated" and next(done) == 1:
            content = states.unpack(honest.get_blob(payload["state"]))
            generators: Any = content.meta["generators"]
            generators["sampling"]["state"] = "1" * 32
            payload["state"] = store.put_blob(states.pack(content))

    forged(store, honest, change)
    policy, training = levels(new_job(store))
    assert policy.first is not None
    assert policy.first.type == "StepTaken"
    assert training.first is not None
    assert (training.first.type, training.first.field) == ("PolicyUpdated", "state")
    assert replay_run(store, "r1").clean


def test_training_again_finds_parameters_replaced_with_their_digests_and_all_hashes(
    new_job: NewJob, new_memory: Callable[[], MemoryStore], honest: MemoryStore
) -> None:
    store, done = new_memory(), itertools.count()

    def change(found: str, payload: Payload) -> None:
        if found == "PolicyUpdated" and next(done) == 2:
            content = states.unpack(honest.get_blob(payload["state"]))
            bias = content.arrays["parameter.action_net.bias"].copy()
            content.arrays["parameter.action_net.bias"] = bias + 1
            payload["state"] = store.put_blob(states.pack(content))
            payload["parameters"] = "f" * 64

    forged(store, honest, change)
    _, training = levels(new_job(store))
    assert training.first is not None
    assert (training.first.type, training.first.field) == ("PolicyUpdated", "parameters")
    assert replay_run(store, "r1").clean


def elsewhere(found: str, payload: Payload) -> None:
    """Let a run say that it was recorded on another processor."""
    if found == "RunStarted":
        payload["machine"] = {**payload["machine"], "cpu": "another processor"}


def trained_again(job: Job) -> LevelReport:
    what = Recorded("", job.run, job.plan)
    (report,) = reexecute(what, job.store, ["training"], 1, lambda _: None)
    return report


def test_on_another_machine_every_update_is_executed_again_within_stated_tolerances(
    new_job: NewJob, new_memory: Callable[[], MemoryStore], honest: MemoryStore
) -> None:
    report = trained_again(new_job(forged(new_memory(), honest, elsewhere)))
    assert report.clean
    assert report.allowed == {"numbers": REAL_TOLERANCE, "parameters": PARAMETER_TOLERANCE}
    assert (
        report.checked["PolicyUpdated"] == trained_again(new_job(honest)).checked["PolicyUpdated"]
    )
    assert trained_again(new_job(honest)).allowed == {}


@pytest.mark.parametrize("renamed", [True, False])
def test_on_another_machine_replaced_parameters_are_found(
    new_job: NewJob, new_memory: Callable[[], MemoryStore], honest: MemoryStore, *, renamed: bool
) -> None:
    store, done = new_memory(), itertools.count()

    def change(found: str, payload: Payload) -> None:
        elsewhere(found, payload)
        if found == "PolicyUpdated" and next(done) == 2:
            content = states.unpack(honest.get_blob(payload["state"]))
            bias = content.arrays["parameter.action_net.bias"]
            content.arrays["parameter.action_net.bias"] = bias + np.float32(0.1)
            payload["state"] = store.put_blob(states.pack(content))
            if renamed:
                held = states.stripped(states.PARAMETER, content.arrays)
                payload["parameters"] = digest_of(safetensors.numpy.save(held))

    report = trained_again(new_job(forged(store, honest, change)))
    far, *others = report.findings
    assert (far.type, far.field, far.expected) == (
        "PolicyUpdated",
        "parameters",
        PARAMETER_TOLERANCE,
    )
    assert isinstance(far.recorded, float)
    assert far.recorded > 100 * PARAMETER_TOLERANCE
    misnamed = [] if renamed else [(far.position, "PolicyUpdated")]
    assert [(one.position, one.type) for one in others] == [
        *misnamed,
        (far.position + 1, "CycleFinished"),  # names what its update had made
    ]
    assert {one.field for one in others} == {"parameters"}
    assert {one.recorded for one in others} == {parameters_at(honest, far.position)}


def parameters_at(store: EventStore, position: int) -> str:
    (record,) = store.read(after=Position(position - 1), until=Position(position))
    return str(orjson.loads(record.payload)["parameters"])


def broken_off(like: MemoryStore, store: MemoryStore, size: int) -> MemoryStore:
    """Write the first events of a log, as a run leaves them that was killed."""
    store._blobs.update(like._blobs)
    for record in like.read(until=Position(size)):
        event = Encoded(record.type, record.schema, record.payload)
        context = Context(
            actor=record.actor, correlation=record.correlation, append_id=str(record.position)
        )
        store.append(record.stream, None, [event], context)
    return store


def test_a_run_that_is_not_finished_is_the_same_as_far_as_it_goes(
    new_job: NewJob, new_memory: Callable[[], MemoryStore], honest: MemoryStore
) -> None:
    wanted = ("StepTaken", "PolicyUpdated", "EvaluationStarted", "GateDecided", "CycleVerdict")
    firsts = {record.type: record.position for record in reversed(list(honest.read(types=wanted)))}
    for kind in wanted:
        job = new_job(broken_off(honest, new_memory(), firsts[kind]))
        policy, training = levels(job)
        assert (policy.found, training.found) == (0, 0), kind
        assert training.checked[kind] == 1, kind


def test_a_changed_value_in_a_run_that_is_not_finished_is_found(
    new_job: NewJob, new_memory: Callable[[], MemoryStore], honest: MemoryStore
) -> None:
    steps = [record.position for record in honest.read(types=["StepTaken"])]
    counter = itertools.count(1)

    def change(_: str, payload: Payload) -> None:
        if next(counter) == steps[-1]:
            payload["reward"] = "12.5"

    whole = forged(new_memory(), honest, change)
    assert isinstance(whole, MemoryStore)
    for report in levels(new_job(broken_off(whole, new_memory(), steps[-1] + 1))):
        assert report.first is not None
        assert (report.first.position, report.first.field) == (steps[-1], "reward")


def test_a_log_that_ends_early_or_goes_on_is_found(
    new_job: NewJob, new_memory: Callable[[], MemoryStore], honest: MemoryStore
) -> None:
    longer = forged(new_memory(), honest, lambda *_: None)
    last = list(honest.read())[-1]
    context = Context(actor="x", correlation="r1", append_id="more")
    longer.append(last.stream, None, [Encoded(last.type, last.schema, last.payload)], context)
    for report in levels(new_job(longer)):
        assert report.first is not None
        assert report.first.position == last.position + 1
