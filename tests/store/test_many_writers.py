"""Several processes write at once while others poll; connections drop; the server restarts."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import psycopg
import pytest

from stairways.core.values import NEW, Position, StreamName, digest_of
from stairways.errors import LogUnavailableError
from stairways.service.verify.log import verify_log
from stairways.store.contract import Appended, Context, Encoded
from stairways.store.opening import open_sql_store, open_store, upgrade
from stairways.store.sql import SqlStore
from tests.conftest import Postgres

WRITERS, APPENDS = 4, 25
KILL = signal.SIGKILL
RUN = StreamName("run-1")

WRITER = """
import sys
from stairways.core.values import StreamName
from stairways.store.contract import Context, Encoded
from stairways.store.opening import open_sql_store
url, name, count, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
store = open_sql_store(url)
stream = StreamName(f"run-{name}")
for number in range(count):
    events = [Encoded("StepTaken", 1, b'{"step":%d}' % (number * size + i)) for i in range(size)]
    context = Context(actor=name, correlation=name, append_id=f"{name}-{number}")
    done = store.append(stream, None, events, context)
    print(number, done.first, done.last, flush=True)
"""


def writer(url: str, name: str, count: int, size: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url, name, str(count), str(size)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def poll(url: str, until: Callable[[], bool], seen: list[int]) -> None:
    """Read what is new, again and again, never looking back."""
    store = open_store(url)
    while True:
        finished = until()
        after = Position(seen[-1] if seen else 0)
        seen.extend(record.position for record in store.read(after=after))
        if finished:
            break
    store.close()


def test_no_reader_misses_an_event_of_several_writers(database_url: str) -> None:
    writers = [writer(database_url, f"w{n}", APPENDS, 1 + n) for n in range(WRITERS)]
    seen: list[list[int]] = [[], []]

    def all_done() -> bool:
        return all(process.poll() is not None for process in writers)

    readers = [threading.Thread(target=poll, args=(database_url, all_done, one)) for one in seen]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    for process in writers:
        process.communicate()
        assert process.returncode == 0
    total = sum(APPENDS * (1 + n) for n in range(WRITERS))
    assert seen == [list(range(1, total + 1))] * 2
    report = verify_log(database_url, processes=1)
    assert report.clean, report.findings


def test_a_log_can_be_verified_while_it_is_written(database_url: str) -> None:
    process = writer(database_url, "w", 10_000, 20)
    assert process.stdout is not None
    process.stdout.readline()
    reports = [verify_log(database_url, processes=1)]
    while reports[-1].size < reports[0].size + 200 and process.poll() is None:
        reports.append(verify_log(database_url, processes=1))
    process.kill()
    process.communicate()
    assert all(report.clean for report in reports), reports
    assert 0 < reports[0].size < reports[-1].size


VICTIMS = """
import os, sys
from stairways.core.values import StreamName
from stairways.service.seal import seal_log
from stairways.store.contract import Context, Encoded
from stairways.store.opening import open_sql_store
from stairways.store.seal import new_key
key = new_key("example.org/log")

def say(line):  # in one piece: a kill between two writes would leave half a line
    os.write(1, line.encode() + b"\\n")

def write(name, url, size):
    store = open_sql_store(url)
    for number in range(2000):
        def context(kind):
            return Context(actor=name, correlation=name, append_id=f"{kind}-{name}-{number}")
        step = [Encoded("StepTaken", 1, b'{"step":%d}' % n) for n in range(size - 1)]
        state = b"state %b %d" % (name.encode(), number)
        step.append(Encoded("Kept", 1, b'{"number":%d}' % number))
        done = store.append(StreamName("run-" + name), None, step, context("a"), [state])
        say(f"appended {done.first} {done.last}")
        if number % 3 == 2:
            seal_log(store, key, context("s"))
            say("signed")

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        write(*line.split()[:2], int(line.split()[2]))
    say(f"started {pid}")
    os.waitpid(pid, 0)
    say("dead")
"""
"""Starts a writer for each line it is given, from a process that has imported everything."""


@contextmanager
def victims() -> Iterator[subprocess.Popen[str]]:
    """Give a process that starts writers; end it and its last writer."""
    process = subprocess.Popen(
        [sys.executable, "-c", VICTIMS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def kill_and_look(process: subprocess.Popen[str], store: SqlStore, name: str, delay: float) -> None:
    """Kill a writer ``delay`` seconds after its first append; all it was told must be there."""
    size, before = 50, store.head().size
    url = store.driver.engine.url.render_as_string(hide_password=False)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{name} {url} {size}\n")
    process.stdin.flush()
    lines: list[str] = []
    while {line.split()[0] for line in lines} < {"started", "appended"}:
        lines.append(process.stdout.readline())
    time.sleep(delay)
    os.kill(next(int(line.split()[1]) for line in lines if line.startswith("started")), KILL)
    while not lines[-1].endswith("dead\n"):
        lines.append(process.stdout.readline())
    check_what_is_left(store, before, size, lines)


def check_what_is_left(store: SqlStore, before: int, size: int, lines: Sequence[str]) -> None:
    """Hold the log behind position ``before`` against what a killed writer was told."""
    told = [line.split() for line in lines if line.startswith("appended")]
    records = list(store.read(after=Position(before)))
    assert [one.position for one in records] == list(range(before + 1, store.head().size + 1))
    kinds = Counter(one.type for one in records)
    assert kinds["StepTaken"] + kinds["Kept"] == size * kinds["Kept"], "half an append"
    assert kinds["Kept"] - len(told) in (0, 1), "lost, or more than one unanswered append"
    there = {one.position for one in records}
    assert all(int(first) in there and int(last) in there for _, first, last in told)
    signed = sum(line.startswith("signed") for line in lines)
    assert kinds["CheckpointSigned"] - signed in (0, 1)


@pytest.mark.parametrize(
    "kills", [3, pytest.param(200, marks=pytest.mark.soak)], ids=["three", "two hundred"]
)
def test_killed_writers_leave_whole_appends_and_all_they_were_told(
    database_url: str, kills: int
) -> None:
    """No gap, no half append, no checkpoint ahead of its data, and every blob of what is there."""
    chance = random.Random(kills)  # noqa: S311 - a repeatable attack
    store = open_sql_store(database_url)
    with victims() as process:
        for number in range(kills):
            kill_and_look(process, store, f"w{number}", chance.uniform(0, 0.15))
    report = verify_log(database_url, processes=1)
    assert report.clean, report.findings
    for record in store.read(types=["Kept"]):
        state = b"state %b %d" % (record.actor.encode(), orjson.loads(record.payload)["number"])
        assert store.get_blob(digest_of(state)) == state
    assert report.checkpoints >= len(list(store.read(types=["CheckpointSigned"])))
    store.close()


def test_a_server_that_is_killed_in_the_middle_of_appends_loses_and_doubles_nothing(
    own_postgres: Postgres,
) -> None:
    """The writer waits, asks whether its last append is there, and goes on."""
    upgrade(own_postgres.url)
    store = open_sql_store(own_postgres.url)
    chance, lines = random.Random(9), list[str]()  # noqa: S311 - a repeatable attack
    with victims() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"w {own_postgres.url} 50\n")
        process.stdin.flush()
        for _ in range(3):
            lines += [process.stdout.readline() for _ in range(10)]
            time.sleep(chance.uniform(0, 0.05))
            own_postgres.stop()  # immediate: nothing is finished, the log is recovered
            own_postgres.start()
        lines += [process.stdout.readline() for _ in range(200)]
        os.kill(next(int(line.split()[1]) for line in lines if line.startswith("started")), KILL)
        while not lines[-1].endswith("dead\n"):
            lines.append(process.stdout.readline())
    check_what_is_left(store, 0, 50, lines)
    store.close()
    assert verify_log(own_postgres.url, processes=1).clean


def by(append_id: str) -> Context:
    return Context(actor="train", correlation="run-1", append_id=append_id)


STEPS = [Encoded("StepTaken", 1, b'{"step":%d}' % number) for number in range(5)]


@pytest.mark.parametrize("statement", ["UPDATE head", "COMMIT"])
def test_an_append_survives_a_connection_that_drops_in_its_middle(
    new_log: Callable[[str], str], statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drop it before the commit, and after it: when the answer is lost."""
    url = new_log("postgres")
    store = open_sql_store(url)
    store.append(RUN, NEW, STEPS, by("a"))
    dropped: list[str] = []
    write = SqlStore._write

    def drop(self: SqlStore, connection: psycopg.Connection, *what: object, **rest: object) -> None:
        lost = not dropped
        dropped.append(statement)
        if lost and statement == "UPDATE head":
            _kill_backend(url, connection.info.backend_pid)
        write(self, connection, *what, **rest)  # type: ignore[arg-type]
        if lost:
            _kill_backend(url, connection.info.backend_pid)
            raise psycopg.OperationalError("the answer is lost")

    monkeypatch.setattr(SqlStore, "_write", drop)
    answer = store.append(RUN, None, STEPS, by("b"))
    assert answer == Appended(Position(6), Position(10), store.version(RUN))
    assert store.version(RUN) == 10
    assert dropped
    store.close()
    assert verify_log(url, processes=1).clean


def _kill_backend(url: str, pid: int) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def test_a_server_that_restarts_between_rollouts_is_waited_for(own_postgres: Postgres) -> None:
    upgrade(own_postgres.url)
    store = open_sql_store(own_postgres.url, patience=20)
    store.append(RUN, NEW, STEPS, by("a"))
    own_postgres.stop()
    starting = threading.Timer(0.5, own_postgres.start)
    starting.start()
    assert store.append(RUN, None, STEPS, by("b")).last == 10
    starting.join()
    assert [record.position for record in store.read()] == list(range(1, 11))
    own_postgres.stop()
    with pytest.raises(LogUnavailableError, match="cannot be used"):
        open_sql_store(own_postgres.url, patience=0.2)
    store.close()
