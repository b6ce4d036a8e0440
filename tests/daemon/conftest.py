"""A daemon in hand: its clock is moved, its workers are pretended, its log is in memory."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stairways.core import events as e
from stairways.core.values import StreamName
from stairways.daemon.keeping import Daemon, Outside
from stairways.daemon.schedule import DaemonRules, Schedule
from stairways.service.operation.leases import Holding, Watch
from stairways.service.stairway.journal import decoded, encoded
from stairways.store.contract import Context, EventStore, Holder
from stairways.store.memory import MemoryStore
from tests.daemon.programs import Place

START = datetime(2026, 1, 5, 14, 0, 30, tzinfo=UTC)
_NUMBERS = itertools.count()


def word() -> Context:
    return Context(actor="ada", correlation="operator", append_id=f"word {next(_NUMBERS)}")


@dataclass
class Pretended:
    """A worker that does what the test says."""

    run: str
    seed: int
    told: list[str] = field(default_factory=list)
    ending: str = ""

    def ended(self) -> bool:
        return bool(self.ending)

    def stop(self) -> None:
        self.told.append("stop")

    def kill(self) -> None:
        self.told.append("kill")
        self.ending = "killed"

    def reason(self) -> str:
        return self.ending


class Hands:
    """Everything around daemons on one log, moved by hand."""

    def __init__(self) -> None:
        self.now = START
        self.passed = 0.0
        self.store: EventStore = MemoryStore(lambda: self.now)
        self.workers: list[Pretended] = []

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.passed += seconds

    def set_clock_back(self, seconds: float) -> None:
        self.now -= timedelta(seconds=seconds)

    def launch(self, name: str, schedule: Schedule, run: str, seed: int, /) -> Pretended:
        worker = Pretended(run, seed)
        self.workers.append(worker)
        return worker

    def daemon(self, *, name: str = "one", **schedules: Schedule) -> Daemon:
        """Return a daemon as on a machine of its own, started."""
        holder = Holder(f"pid 1 on {name}", f"{name}/pid:[1]/1/1")
        holding = Holding(self.store, holder, 10, Watch(lambda: self.passed))
        outside = Outside(
            store=self.store,
            holding=holding,
            launch=self.launch,
            clock=lambda: self.now,
            new_id=lambda: f"run{next(_NUMBERS)}",
            context=lambda _: word(),
            host=name,
        )
        daemon = Daemon(outside, schedules, DaemonRules())
        daemon.start()
        daemon.tick()
        return daemon

    def finish(self, run: str) -> None:
        """Let a run reach its end, and its worker end."""
        done = e.RunFinished(cycles=1, promoted=1, steps=1, parameters="0" * 64)  # type: ignore[arg-type] # a digest
        self.end(run, done, "fine")

    def end(self, run: str, event: e.Event, ending: str) -> None:
        self.store.append(StreamName(f"run-{run}"), None, encoded([event]), word())
        self.workers[-1].ending = ending

    def said(self, *types: type[e.Event]) -> list[e.Event]:
        """Return the events of some types in the log."""
        names = [one.__name__ for one in types]
        return [decoded(record) for record in self.store.read(types=names)]


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def minutely() -> Schedule:
    return Schedule(every=60, data="bars", model="m", attempts=2, backoff=30, late=600)


@pytest.fixture
def new_place(tmp_path: Path, new_log: Callable[[str], str]) -> Iterator[Callable[[str], Place]]:
    """Make a place for real daemons on a log in SQLite or PostgreSQL."""
    places: list[Place] = []

    def make(kind: str) -> Place:
        places.append(Place(tmp_path, new_log(kind)))
        return places[-1]

    yield make
    for place in places:
        place.clean_up()
