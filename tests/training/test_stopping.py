"""A run that is told to stop, and a model that two would train."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stairways.core import events as e
from stairways.core.progress import Progress
from stairways.core.stairway import Cycle
from stairways.errors import (
    HaltedError,
    LeaseHeldError,
    LeaseLostError,
    TrainingStoppedError,
)
from stairways.service.operation import halt
from stairways.service.operation.leases import Holding, model_lease
from stairways.service.operation.processes import is_gone, this_process
from stairways.service.replay.run import replay_run
from stairways.service.stairway.journal import decoded
from stairways.service.stairway.run import run_alone, run_stairway
from stairways.store.contract import Context, EventStore, Holder
from stairways.store.memory import MemoryStore
from stairways.store.opening import open_store
from tests.log_content import content
from tests.processes import ROOT, bars_file, start, train_command, wait_for_event
from tests.small_run import NewJob, Quiet

NewLog = Callable[[str], str]
ELSEWHERE = Holder("pid 7 on elsewhere", "other-boot/pid:[1]/7/99")


class Busybody(Quiet):
    """Does something once, in the middle of a run."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self.work: Callable[[], object] | None = work

    def advanced(self, progress: Progress, cycle: Cycle) -> None:
        if progress.steps == 240 and self.work is not None:
            work, self.work = self.work, None
            work()


def word(append_id: str) -> Context:
    return Context(actor="ada", correlation="operator", append_id=append_id)


def events(store: EventStore, *types: str) -> list[e.Event]:
    return [decoded(record) for record in store.read(types=types)]


@pytest.fixture
def uninterrupted(new_job: NewJob) -> MemoryStore:
    store = MemoryStore(lambda: datetime(2026, 1, 5, tzinfo=UTC))
    run_stairway(new_job(store))
    return store


def test_a_run_told_to_stop_records_it_and_goes_on_as_if_it_had_not(
    new_job: NewJob, uninterrupted: MemoryStore, new_memory: Callable[[], MemoryStore]
) -> None:
    store, told = new_memory(), []
    job = replace(new_job(store), watcher=Busybody(lambda: told.append("SIGTERM came.")))

    with pytest.raises(TrainingStoppedError, match=r"SIGTERM came\."):
        run_stairway(replace(job, brake=lambda: told[0] if told else None))

    (stopped,) = events(store, "RunStopped")
    assert stopped == e.RunStopped(reason="SIGTERM came.", cycle=1, steps=240)
    run_stairway(new_job(store))
    assert content(store) == content(uninterrupted)
    assert replay_run(store, "r1").clean


def test_a_halt_stops_a_run_at_its_next_rollout_and_refuses_until_it_is_lifted(
    new_job: NewJob, uninterrupted: MemoryStore, new_memory: Callable[[], MemoryStore]
) -> None:
    store = new_memory()
    watcher = Busybody(lambda: halt.halt(store, who="ada", reason="smoke", context=word("h")))
    job = replace(new_job(store), brake=halt.HaltWatch(store))

    with pytest.raises(TrainingStoppedError, match="ada halted all training and serving: smoke"):
        run_stairway(replace(job, watcher=watcher))
    before = store.head()
    with pytest.raises(TrainingStoppedError, match="smoke"):
        run_stairway(job)
    assert store.head() == before

    halt.lift(store, who="bob", reason="no fire", context=word("l"))
    run_stairway(job)
    assert content(store) == content(uninterrupted)
    assert events(store, "TrainingHalted", "HaltLifted") == [
        e.TrainingHalted(who="ada", reason="smoke"),
        e.HaltLifted(who="bob", reason="no fire"),
    ]


def test_a_run_that_is_halted_before_it_began_leaves_nothing(
    new_job: NewJob, new_memory: Callable[[], MemoryStore]
) -> None:
    store = new_memory()
    halt.halt(store, who="ada", reason="smoke", context=word("h"))

    with pytest.raises(TrainingStoppedError):
        run_stairway(replace(new_job(store), brake=halt.HaltWatch(store)))

    assert store.streams("run-") == []


def test_nobody_halts_twice_nor_lifts_what_is_not_halted(store: EventStore) -> None:
    with pytest.raises(HaltedError, match="Nothing is halted"):
        halt.lift(store, who="ada", reason="why", context=word("a"))
    halt.halt(store, who="ada", reason="smoke", context=word("b"))
    with pytest.raises(HaltedError, match="ada halted all training"):
        halt.halt(store, who="bob", reason="too", context=word("c"))
    with pytest.raises(HaltedError, match="name and a reason"):
        halt.lift(store, who="bob", reason=" ", context=word("d"))


def test_a_second_trainer_of_a_model_is_refused_with_the_name_of_the_first(
    new_job: NewJob, new_memory: Callable[[], MemoryStore]
) -> None:
    store = new_memory()
    me = this_process()
    with Holding(store, me) as first:
        first.wait_for(model_lease("default"), "")
        with pytest.raises(LeaseHeldError) as refused:
            run_alone(new_job(store), Holder("pid 2", "x/y/2/2"))

    assert str(refused.value) == (
        f"The run does not start: model default is being trained by {me.name}; "
        "wait for it to end, or stop it."
    )
    assert store.head().size == 0


def test_a_trainer_that_was_only_thought_dead_writes_nothing_more(
    new_job: NewJob, new_memory: Callable[[], MemoryStore]
) -> None:
    store = new_memory()
    sizes: list[int] = []

    def take_over() -> None:
        (lease,) = store.leases()
        assert store.claim(lease.name, lease, ELSEWHERE, 10)
        sizes.append(store.head().size)

    with pytest.raises(LeaseLostError, match="pid 7 on elsewhere has taken over"):
        run_alone(replace(new_job(store), watcher=Busybody(take_over)), this_process())

    assert store.head().size == sizes[0]


def test_a_process_that_runs_is_not_gone_and_one_that_ended_is() -> None:
    own = this_process().process
    *machine, _, _ = own.split("/")
    with subprocess.Popen(["/bin/sleep", "60"]) as other:
        stat = Path(f"/proc/{other.pid}/stat").read_text().rpartition(") ")[2].split()
        process = "/".join([*machine, str(other.pid), stat[19]])
        assert not is_gone(own)
        assert not is_gone(process)
        other.kill()
        deadline = time.monotonic() + 10
        while not is_gone(process) and time.monotonic() < deadline:  # a zombie, not yet waited for
            time.sleep(0.01)
        assert is_gone(process)
    assert is_gone(process)
    assert is_gone("/".join([*machine, str(other.pid), "1"]))  # the number was used again
    assert not is_gone(ELSEWHERE.process)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_second_train_is_refused_until_the_first_is_killed_and_then_goes_on_at_once(
    kind: str, new_log: NewLog, tmp_path: Path
) -> None:
    log, bars = new_log(kind), bars_file(tmp_path)
    command = train_command(log, bars, 20)
    with start(command) as first:
        wait_for_event(log, first, ["PolicyUpdated"])
        told = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
        second = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120, env=told
        )
        assert (second.returncode, second.stdout) == (2, "")
        assert f"model default is being trained by pid {first.pid} on" in second.stderr
        assert re.search(r"\| +numpy$", second.stderr, re.MULTILINE)
        assert not re.search(r"\| +torch$", second.stderr, re.MULTILINE)
        assert first.poll() is None
        first.kill()
    with start(command) as third:
        begun = time.monotonic()
        wait_for_event(log, third, ["RunResumed"])
        assert time.monotonic() - begun < 60  # of which nearly all is loading torch
        third.send_signal(signal.SIGTERM)
        assert third.wait(10) == 2
    store = open_store(log)
    kinds = [record.type for record in store.read(types=["RunResumed", "RunStopped"])]
    assert kinds == ["RunResumed", "RunStopped"]
    assert [lease.holder for lease in store.leases()] == [None]
    store.close()
