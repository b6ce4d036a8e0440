"""A run is its seed, its settings and its bars; an interruption changes nothing in it."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from stairways.core import events as e
from stairways.core.progress import Progress
from stairways.core.stairway import Cycle
from stairways.core.values import StreamName
from stairways.errors import SettingsError, TrainingFailedError, WrongVersionError
from stairways.service.replay.run import replay_run
from stairways.service.stairway.journal import LANDMARKS, Journal, decoded
from stairways.service.stairway.run import run_stairway as climb_all
from stairways.store.contract import Appended, Context, Encoded, EventStore
from stairways.store.memory import MemoryStore
from stairways.training import state as states
from tests.log_content import content
from tests.small_run import NewJob, Quiet


class PowerCutError(Exception):
    """The process is gone."""


def new_memory() -> MemoryStore:
    return MemoryStore(lambda: datetime(2026, 1, 5, tzinfo=UTC))


class CutStore:
    """A store whose process dies at its n-th write, before or after it is durable."""

    def __init__(self, store: EventStore, writes: int, *, durable: bool) -> None:
        self.store, self.left, self.durable = store, writes, durable

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    def append(
        self,
        stream: StreamName,
        expected: object,
        events: Sequence[Encoded],
        context: Context,
        blobs: Sequence[bytes] = (),
    ) -> Appended:
        self.left -= 1
        if self.left == 0 and not self.durable:
            raise PowerCutError
        appended = self.store.append(stream, expected, events, context, blobs)  # type: ignore[arg-type]
        if self.left == 0:
            raise PowerCutError
        return appended


class LateStore:
    """A store between whose last read and first append somebody else is quicker."""

    def __init__(self, store: EventStore, meanwhile: Callable[[], object]) -> None:
        self.store, self.meanwhile = store, meanwhile

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    def append(
        self,
        stream: StreamName,
        expected: object,
        events: Sequence[Encoded],
        context: Context,
        blobs: Sequence[bytes] = (),
    ) -> Appended:
        self.meanwhile()
        return self.store.append(stream, expected, events, context, blobs)  # type: ignore[arg-type]


@pytest.fixture
def uninterrupted(new_job: NewJob) -> MemoryStore:
    store = new_memory()
    climb_all(new_job(store))
    return store


def test_the_same_seed_gives_the_same_log(new_job: NewJob, uninterrupted: MemoryStore) -> None:
    again = new_memory()
    climb_all(new_job(again))
    assert content(again) == content(uninterrupted)


def test_another_seed_gives_another_log(new_job: NewJob, uninterrupted: MemoryStore) -> None:
    other = new_memory()
    climb_all(new_job(other, run__seed="1"))
    assert content(other) != content(uninterrupted)


@pytest.mark.parametrize("durable", [False, True])
def test_a_run_cut_at_every_write_ends_like_one_never_cut(
    new_job: NewJob,
    uninterrupted: MemoryStore,
    durable: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    store, cuts = new_memory(), 0
    while True:
        cuts += 1
        try:
            climb_all(new_job(CutStore(store, 3, durable=durable)))
            break
        except PowerCutError:
            continue
    assert cuts > 10
    assert content(store) == content(uninterrupted)


def test_a_cut_run_that_keeps_every_second_state_ends_like_one_never_cut(new_job: NewJob) -> None:
    whole, store = new_memory(), new_memory()
    climb_all(new_job(whole, stairway__state_every="2"))
    for left in (4, 9, 14):
        with pytest.raises(PowerCutError):
            climb_all(new_job(CutStore(store, left, durable=True), stairway__state_every="2"))
    climb_all(new_job(store, stairway__state_every="2"))
    assert content(store) == content(whole)


def test_steps_are_durable_before_the_policy_learns_from_them(uninterrupted: MemoryStore) -> None:
    taken = 0
    for record in uninterrupted.read():
        event = decoded(record)
        if isinstance(event, e.StepTaken):
            taken = event.step
        if isinstance(event, e.PolicyUpdated):
            assert event.steps == taken
    assert taken >= 3 * 240


def test_every_step_has_its_controller_update_right_behind_it(uninterrupted: MemoryStore) -> None:
    events = [decoded(r) for r in uninterrupted.read(types=["StepTaken", "ControllerUpdated"])]
    for taken, steered in zip(events[::2], events[1::2], strict=True):
        assert isinstance(taken, e.StepTaken)
        assert isinstance(steered, e.ControllerUpdated)
        assert taken.step == steered.step


def test_divergence_rolls_back_to_the_promoted_state_and_halves_the_learning_rate(
    uninterrupted: MemoryStore,
) -> None:
    landmarks = [decoded(r) for r in uninterrupted.read(types=LANDMARKS)]
    backs = [i for i, event in enumerate(landmarks) if isinstance(event, e.ModelRolledBack)]
    assert backs
    promoted = next(event for event in landmarks if isinstance(event, e.ModelPromoted))
    first = landmarks[backs[0]]
    assert isinstance(first, e.ModelRolledBack)
    assert (first.reason, first.state) == ("divergence", promoted.state)
    retry = landmarks[backs[0] + 1]
    assert isinstance(retry, e.CycleStarted)
    assert retry.attempt == 2
    assert retry.learning_rate == first.learning_rate == pytest.approx(5e-4)
    assert retry.parent == promoted.parameters == first.parameters


def test_a_cycle_that_diverges_in_every_attempt_is_rejected(new_job: NewJob) -> None:
    store, watcher = new_memory(), Quiet()
    climb_all(replace(new_job(store, stairway__divergence_limit="1e-9"), watcher=watcher))
    verdicts = [decoded(r) for r in store.read(types=["CycleVerdict"])]
    assert [v.promoted for v in verdicts] == [True, False, False]  # type: ignore[union-attr]
    assert verdicts[1].failed == ("divergence",)  # type: ignore[union-attr]
    told = [(cycle, attempt) for cycle, attempt, far in watcher.rollbacks if far > 1e-9]
    assert told == [(2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3)]
    started = [decoded(r) for r in store.read(types=["CycleStarted"])]
    assert [(s.cycle, s.attempt) for s in started] == [  # type: ignore[union-attr]
        (1, 1), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3),
    ]  # fmt: skip


def test_a_captured_state_packs_to_the_same_bytes_again(uninterrupted: MemoryStore) -> None:
    updated = next(iter(uninterrupted.read(types=["PolicyUpdated"])))
    event = decoded(updated)
    assert isinstance(event, e.PolicyUpdated)
    assert event.state is not None
    stored = uninterrupted.get_blob(event.state)
    assert states.pack(states.unpack(stored)) == stored


def test_a_run_does_not_go_on_under_other_settings(new_job: NewJob) -> None:
    store = new_memory()
    with pytest.raises(PowerCutError):
        climb_all(new_job(CutStore(store, 5, durable=True)))
    with pytest.raises(SettingsError, match=r"ppo\.entropy"):
        climb_all(new_job(store, ppo__entropy="0.5"))


def test_a_write_that_differs_from_what_is_recorded_is_refused() -> None:
    store, stream = new_memory(), StreamName("run-x")
    numbers = itertools.count()

    def context() -> Context:
        return Context(actor="test", correlation="x", append_id=str(next(numbers)))

    said = e.RunFailed(reason="one", cycle=1, step=1)
    first = Journal(store, context).write(stream, said)
    journal = Journal(store, context, {stream: list(store.read(stream=stream))})
    assert journal.write(stream, said) == first
    journal = Journal(store, context, {stream: list(store.read(stream=stream))})
    with pytest.raises(TrainingFailedError, match="gives another RunFailed than position 1"):
        journal.write(stream, replace(said, reason="other"))
    assert store.head().size == 1


def test_two_processes_on_one_run_never_both_write(
    new_job: NewJob, uninterrupted: MemoryStore
) -> None:
    store = new_memory()
    second: list[e.RunFinished] = []

    class Meddler(Quiet):
        """Lets another process go on with the run in the middle of it."""

        def advanced(self, progress: Progress, cycle: Cycle) -> None:
            if progress.steps == 240 and not second:
                second.append(climb_all(new_job(store)))

    with pytest.raises(WrongVersionError, match="Another process writes to run-r1"):
        climb_all(replace(new_job(store), watcher=Meddler()))
    assert second
    assert content(store) == content(uninterrupted)
    assert replay_run(store, "r1").clean


def test_a_process_that_read_the_run_before_another_wrote_cannot_go_on(new_job: NewJob) -> None:
    store = new_memory()
    with pytest.raises(PowerCutError):
        climb_all(new_job(CutStore(store, 5, durable=True)))
    late = new_job(LateStore(store, lambda: climb_all(new_job(store))))
    with pytest.raises(WrongVersionError, match="Another process"):
        climb_all(late)
    assert replay_run(store, "r1").clean
