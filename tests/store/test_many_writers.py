"""Several processes write at once while others poll; connections drop; the server restarts."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import pytest

from stairways.core.values import NEW, Position, StreamName
from stairways.errors import LogUnavailableError
from stairways.service.verify.log import verify_log
from stairways.store.contract import Appended, Context, Encoded
from stairways.store.opening import open_sql_store, open_store, upgrade
from stairways.store.sql import SqlStore
from tests.conftest import Postgres

WRITERS, APPENDS = 4, 25
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


def acknowledged(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Return first and last position of every append whose answer arrived whole."""
    whole = [line.split() for line in lines if line.endswith("\n")]
    return [(int(first), int(last)) for _, first, last in whole]


def kill_and_look(url: str, delay: float, size: int = 50) -> None:
    """Kill a writer after ``delay`` seconds of writing; everything it was told must be there."""
    store = open_sql_store(url)
    before = store.head().size
    process = writer(url, f"killed-{delay}", 10_000, size)
    assert process.stdout is not None
    lines = [process.stdout.readline()]
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    told = acknowledged(lines)
    positions = [record.position for record in store.read(after=Position(before))]
    assert positions == list(range(before + 1, store.head().size + 1))
    assert len(positions) % size == 0, "half an append"
    assert told[-1][1] <= store.head().size
    assert store.head().size - told[-1][1] <= size, "more than one unanswered append"
    store.close()


@pytest.mark.parametrize("delay", [0.0, 0.013, 0.041])
def test_a_killed_writer_leaves_whole_appends_and_all_it_was_told(
    database_url: str, delay: float
) -> None:
    kill_and_look(database_url, delay)
    report = verify_log(database_url, processes=1)
    assert report.clean, report.findings


@pytest.mark.soak
def test_two_hundred_kills_leave_whole_appends(database_url: str) -> None:
    for number in range(200):
        kill_and_look(database_url, 0.0003 * number)
    report = verify_log(database_url)
    assert report.clean, report.findings


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
