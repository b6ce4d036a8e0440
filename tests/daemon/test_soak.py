"""Hundreds of short stairways through daemons, while everything around is killed at random."""

import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stairways.core import events as e
from stairways.service.replay.run import replay_run
from stairways.service.stairway.journal import decoded
from stairways.service.verify.log import verify_log
from stairways.store.opening import open_sql_store, upgrade
from tests.conftest import Postgres
from tests.daemon.programs import Place

RUNS = int(os.environ.get("STAIRWAYS_TEST_SOAK_RUNS", "200"))
SCHEDULES = 3
GATEWAY = shutil.which("prometheus-pushgateway") or shutil.which("pushgateway")
LONGEST_DAY = 4 * 3600.0


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
def everything(folder: Path, server: Postgres) -> Iterator[tuple[Place, Gateway]]:
    upgrade(server.url)
    place, gateway = Place(folder, server.url), Gateway()
    place.settle(cycles=1)
    settings = folder / "stairways.toml"
    text = settings.read_text().replace(
        "port = 0", f'port = 0\ninterval = 1.0\ngateway = "http://{gateway.address}"'
    )
    head, _, own = text.partition("[schedule.nightly]")
    _, _, changes = own.partition("[schedule.nightly.settings]")
    for number in range(SCHEDULES):
        head += f"[schedule.s{number}]\nevery = {2 + number}\nlate = 86400\nattempts = 20\n"
        head += 'backoff = 0\nseeds = "advance"\nbars = ["bars.parquet"]\n'
        head += f"[schedule.s{number}.settings]{changes}\n"
    settings.write_text(head)
    gateway.start()
    try:
        yield place, gateway
    finally:
        place.clean_up()
        gateway.kill()


def memory_of(process: "subprocess.Popen[bytes]") -> float:
    """Return the resident megabytes of a process."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def finished(url: str) -> int:
    store = open_sql_store(url)
    try:
        return sum(1 for _ in store.read(types=["ScheduleFinished"]))
    finally:
        store.close()


def breathe(place: Place, chance: random.Random) -> None:
    """Let a run or two finish, or a while pass, and then a little more."""
    before, deadline = finished(place.url), time.monotonic() + 90
    while finished(place.url) < before + chance.randint(1, 4) and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(chance.uniform(0.0, 5.0))


def strike(place: Place, server: Postgres, gateway: Gateway, chance: random.Random) -> str:
    """Kill the daemon that trains, the database, or the gateway, and start it again."""
    victim = chance.choice(["daemon", "daemon", "database", "gateway", "worker"])
    match victim:
        case "daemon":
            mortal = [one for one in place.daemons[1:] if one.poll() is None]
            chosen = chance.choice(mortal)
            chosen.kill()
            chosen.wait()
            place.start()
        case "database":
            server.stop()
            time.sleep(chance.uniform(0.0, 3.0))
            server.start()
        case "gateway":
            gateway.kill()
            time.sleep(chance.uniform(0.0, 3.0))
            gateway.start()
        case _:
            for pid in workers_of(place):
                os.kill(pid, signal.SIGKILL)
                break
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
def test_hundreds_of_runs_survive_the_death_of_everything_around_them(
    own_postgres: Postgres, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, strikes, memory = random.Random(7), Counter[str](), []  # noqa: S311 - moments
    begun = time.monotonic()
    with everything(tmp_path, own_postgres) as (place, gateway):
        immortal = place.start()
        for _ in range(2):
            place.start()
        place.wait_for(e.ScheduleFired)
        while finished(place.url) < RUNS:
            assert time.monotonic() - begun < LONGEST_DAY, place.said.read_text()[-5000:]
            assert immortal.poll() is None, place.said.read_text()[-5000:]
            breathe(place, chance)
            memory.append(memory_of(immortal))
            strikes[strike(place, own_postgres, gateway, chance)] += 1
        place.stop()
        report = judged(place)
    early, late = memory[len(memory) // 4 : len(memory) // 2], memory[-(len(memory) // 4) :]
    growth = statistics.median(late) / statistics.median(early) - 1
    told = f"memory of a daemon {statistics.median(early):.0f} MB, later {growth:+.1%}"
    seconds = time.monotonic() - begun
    with capsys.disabled():
        sys.stdout.write(f"\n{report}; kills: {dict(strikes)}; {told}; {seconds:.0f} s\n")
    assert growth < 0.1


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
    resumed = sum(1 for _ in store.read(types=["RunResumed"]))
    retried = sum(1 for _ in store.read(types=["ScheduleRetried"]))
    taken = sum(1 for _ in store.read(types=["LeaseTaken"]))
    size = store.head().size
    store.close()
    return (
        f"{len(ended)} runs finished of {len(runs)} fired, none twice, none failed; "
        f"{resumed} resumed, {retried} attempts repeated, {taken} leases taken; "
        f"{size:,} events verified, {len(ended)} replays clean"
    )
