"""Hundreds of short stairways through daemons, while everything around is killed at random."""

import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stairways.core import events as e
from stairways.service.replay.run import replay_run
from stairways.service.stairway.journal import decoded
from stairways.service.verify.log import verify_log
from stairways.store.contract import START
from stairways.store.opening import open_sql_store, upgrade
from stairways.store.sql import SqlStore
from tests.conftest import Postgres
from tests.daemon.programs import Place
from tests.small_run import SMALL

RUNS = int(os.environ.get("STAIRWAYS_TEST_SOAK_RUNS", "200"))
RUNS_ON_SQLITE = RUNS // 4
SCHEDULES = 4
GATEWAY = shutil.which("prometheus-pushgateway") or shutil.which("pushgateway")
LONGEST_DAY = 4 * 3600.0
SHORT = {"stairway.steps_per_cycle": "160", "ppo.epochs": "1"}
"""Two updates in each of two cycles, validations, verdicts: all that a stairway has."""

MOST_GROWTH = 0.05
"""Megabytes a run that a daemon may grow by: 10 MB in 200 runs, where it has about 130."""


@dataclass
class Database:
    """A database that can be struck: a server, or a file."""

    url: str
    strike: Callable[[random.Random], None]


def postgres_database(server: Postgres) -> Database:
    def strike(chance: random.Random) -> None:
        server.stop()
        time.sleep(chance.uniform(0.0, 3.0))
        server.start()

    return Database(server.url, strike)


def sqlite_database(folder: Path) -> Database:
    """A file dies with the process that writes it; what can happen besides is that it is locked."""
    file = folder / "log.db"

    def strike(chance: random.Random) -> None:
        with contextlib.closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(chance.uniform(0.0, 12.0))
            other.execute("ROLLBACK")

    return Database(f"sqlite:///{file}", strike)


class Gateway:
    """A real Pushgateway, or none where the program is not installed."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if GATEWAY is not None:
            self.process = subprocess.Popen(
                [GATEWAY, f"--web.listen-address={self.address}", "--log.level=error"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@contextmanager
def everything(folder: Path, database: Database) -> Iterator[tuple[Place, Gateway]]:
    upgrade(database.url)
    place, gateway = Place(folder, database.url), Gateway()
    bars = str(folder / "bars.parquet")
    registered = place.run("data", "import", "small", bars, "--adjustment=splits")
    assert registered.returncode == 0, registered.stderr
    (folder / "stairways.toml").write_text(settings(gateway))
    gateway.start()
    try:
        yield place, gateway
    finally:
        place.clean_up()
        gateway.kill()


def settings(gateway: Gateway) -> str:
    """Return settings of several schedules that are due all the time."""
    short = {
        **SMALL,
        "stairway.targets": "0.7,0.6",
        "stairway.learning_rates": "3e-3,1e-3",
        **SHORT,
    }
    lines = ["[daemon]", "poll_seconds = 0.2", "lease_seconds = 5"]
    lines += ["[metrics]", "port = 0", "interval = 1.0", f'gateway = "http://{gateway.address}"']
    for number in range(SCHEDULES):
        lines += [f"[schedule.s{number}]", f"every = {4 + number}", "late = 86400"]
        lines += ["attempts = 20", "crashes = 20", "backoff = 0"]
        lines += ['seeds = "advance"', 'data = "small"']
        lines += [f"[schedule.s{number}.settings]"]
        lines += [f'"{key}" = "{value}"' for key, value in short.items()]
    return "\n".join(lines)


class Tally:
    """How many runs have finished, counted as they come, and what is told of it."""

    def __init__(self, url: str, say: Callable[[str], object]) -> None:
        self._store: SqlStore = open_sql_store(url)
        self._seen, self._finished, self._told = START, 0, 0
        self._begun, self._say = time.monotonic(), say

    def finished(self) -> int:
        for record in self._store.read(types=["ScheduleFinished"], after=self._seen):
            self._seen, self._finished = record.position, self._finished + 1
        if self._finished >= self._told + 10:
            self._told = self._finished
            self._say(f"{self._finished} runs finished after {self.seconds():.0f} s")
        return self._finished

    def seconds(self) -> float:
        return time.monotonic() - self._begun

    def close(self) -> None:
        self._store.close()


@dataclass
class Memory:
    """Resident megabytes of one daemon over the runs that finished meanwhile."""

    runs: list[int] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    def look(self, process: "subprocess.Popen[bytes]", finished: int) -> None:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        self.runs.append(finished)
        self.megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)

    def slope(self) -> float:
        """Return megabytes a run by least squares, without the first quarter, which warms up."""
        first = len(self.runs) // 4
        fit = statistics.linear_regression(self.runs[first:], self.megabytes[first:])
        return float(fit.slope)

    def __str__(self) -> str:
        marks = [self.megabytes[len(self.megabytes) * part // 8] for part in range(8)]
        shown = " ".join(f"{one:.0f}" for one in [*marks, self.megabytes[-1]])
        return f"memory of a daemon {shown} MB, {1000 * self.slope():+.1f} kB a run"


def breathe(tally: Tally, chance: random.Random) -> None:
    """Let a run or two finish, or a while pass, and then a little more."""
    before, deadline = tally.finished(), time.monotonic() + 90
    wanted = before + chance.randint(1, 3)
    while tally.finished() < wanted and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(chance.uniform(0.0, 5.0))


def strike(place: Place, database: Database, gateway: Gateway, chance: random.Random) -> str:
    """Kill a daemon, a run, the database or the gateway, and start it again."""
    victim = chance.choice(["daemon", "daemon", "database", "gateway", "worker"])
    match victim:
        case "daemon":
            chosen = chance.choice([one for one in place.daemons[1:] if one.poll() is None])
            chosen.kill()
            chosen.wait()
            place.start()
        case "database":
            database.strike(chance)
        case "gateway":
            gateway.kill()
            time.sleep(chance.uniform(0.0, 3.0))
            gateway.start()
        case _:
            for pid in workers_of(place)[:1]:
                os.kill(pid, signal.SIGKILL)
    return victim


def workers_of(place: Place) -> list[int]:
    """Return the processes that train for any of the daemons."""
    parents = {one.pid for one in place.daemons}
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(fields[1]) in parents and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_hundreds_of_runs_survive_the_death_of_everything_around_them(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(words: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{kind}: {words}")
            sys.stdout.flush()

    if kind == "postgres":
        database, runs = postgres_database(request.getfixturevalue("own_postgres")), RUNS
    else:
        database, runs = sqlite_database(tmp_path), RUNS_ON_SQLITE
    survive(tmp_path, database, runs, say)


def survive(folder: Path, database: Database, runs: int, say: Callable[[str], object]) -> None:
    """Let so many runs finish while everything around is killed, and hold the log to it all."""
    chance, strikes, memory = random.Random(7), Counter[str](), Memory()  # noqa: S311 - moments
    with everything(folder, database) as (place, gateway):
        immortal = place.start()
        for _ in range(2):
            place.start()
        place.wait_for(e.ScheduleFired)
        tally = Tally(database.url, say)
        while tally.finished() < runs:
            assert tally.seconds() < LONGEST_DAY, place.said.read_text()[-5000:]
            assert immortal.poll() is None, place.said.read_text()[-5000:]
            breathe(tally, chance)
            memory.look(immortal, tally.finished())
            strikes[strike(place, database, gateway, chance)] += 1
        tally.close()
        place.stop()
        say(f"kills: {dict(strikes)}; {memory}; {tally.seconds():.0f} s")
        say(judged(place))
    assert memory.slope() < MOST_GROWTH


def judged(place: Place) -> str:
    """Hold the log to what is promised and return what it holds."""
    store = open_sql_store(place.url)
    fires = [decoded(one) for one in store.read(types=["ScheduleFired"])]
    due = [(one.schedule, one.due) for one in fires if isinstance(one, e.ScheduleFired)]
    assert len(due) == len(set(due))
    runs = [one.run for one in fires if isinstance(one, e.ScheduleFired)]
    assert len(runs) == len(set(runs))
    assert place.events(e.ScheduleFailed) == []
    ended = [one.run for one in place.events(e.ScheduleFinished)]
    assert len(ended) == len(set(ended))
    assert set(runs) - set(ended) <= set(runs[-2 * SCHEDULES :])  # interrupted by the end
    assert verify_log(place.url).clean
    dirty = [run for run in ended if not replay_run(store, run).clean]
    assert dirty == []
    told = {
        kind: sum(1 for _ in store.read(types=[kind]))
        for kind in ("RunResumed", "ScheduleRetried", "LeaseTaken", "AlertPushFailed")
    }
    size = store.head().size
    store.close()
    return (
        f"{len(ended)} runs finished of {len(runs)} fired, none twice, none failed; {told}; "
        f"{size:,} events verified, {len(ended)} replays clean\n"
    )
