"""A subscription takes every event once, is rebuilt beside what is served, and says its lag."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, delete, insert

from stairways.core.values import Position, StreamName
from stairways.errors import SchemaMismatchError
from stairways.readmodels import queries
from stairways.readmodels.subscription import Lag, Subscription, Write, lags
from stairways.store.contract import Context, Encoded, Record
from stairways.store.opening import driver_for, open_sql_store
from stairways.store.sql import SqlStore

RUN = StreamName("run-1")
seen = Table(
    "rm_seen_generations",
    MetaData(),
    Column("generation", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
)


class Seen:
    """The simplest projection: the position of every record, which must be new."""

    name = "seen"
    version = 1
    skims = False

    def fold(self, generation: int, records: Sequence[Record]) -> Write:
        rows = [{"generation": generation, "position": record.position} for record in records]

        def write(connection: Connection) -> None:
            connection.execute(insert(seen), rows)

        return write

    def clear(self, connection: Connection, generation: int) -> None:
        connection.execute(delete(seen).where(seen.c.generation == generation))


@pytest.fixture
def log(database_url: str, clock: Callable[[], datetime]) -> Iterator[SqlStore]:
    driver = driver_for(database_url)
    with driver.engine.begin() as connection:
        seen.create(connection)
    driver.engine.dispose()
    store = open_sql_store(database_url, clock=clock)
    write(store, 10)
    yield store
    store.close()


def write(store: SqlStore, count: int) -> None:
    steps = [Encoded("StepTaken", 1, b'{"step":%d}' % number) for number in range(count)]
    context = Context(actor="a", correlation="c", append_id=os.urandom(8).hex())
    store.append(RUN, None, steps, context)


def rows(store: SqlStore, generation: int) -> list[int]:
    query = "SELECT position FROM rm_seen_generations WHERE generation = ? ORDER BY position"
    return [position for (position,) in store.rows(query, (generation,))]


def served(store: SqlStore) -> list[int]:
    standing = queries.standing(store, "seen")
    return rows(store, standing.generation) if standing else []


def test_a_reader_goes_on_from_its_own_position(log: SqlStore) -> None:
    assert Subscription(log, Seen(), 3).catch_up() == 10
    write(log, 5)
    assert Subscription(log, Seen(), 3).catch_up() == 15
    assert served(log) == list(range(1, 16))


FOLLOWER = """
import sys
from stairways.readmodels.subscription import Subscription
from stairways.store.opening import open_sql_store
from tests.readmodels.test_subscription import Seen
subscription = Subscription(open_sql_store(sys.argv[1]), Seen(), 7)
print("ready", flush=True)
while True:
    subscription.catch_up()
"""


def follower(url: str) -> "subprocess.Popen[str]":
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", FOLLOWER, url],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_readers_that_are_killed_take_every_event_exactly_once(
    log: SqlStore, database_url: str
) -> None:
    """A row taken twice would break the key; one that was left out would be missing."""
    for number in range(4):
        process = follower(database_url)
        write(log, 200)
        time.sleep(0.02 * number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    Subscription(log, Seen()).catch_up()
    assert served(log) == list(range(1, 811))


def test_a_rebuild_leaves_what_is_served_alone_until_it_has_caught_up(
    log: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = Subscription(log, Seen(), 4)
    subscription.catch_up()
    looked: list[tuple[list[int], int]] = []
    step = Subscription._step

    def watched(self: Subscription, generation: int, after: Position, end: Position) -> int:
        looked.append((served(log), generation))
        return step(self, generation, after, end)

    monkeypatch.setattr(Subscription, "_step", watched)
    assert subscription.rebuild() == 10
    assert looked == [(list(range(1, 11)), 2)] * 3
    assert served(log) == list(range(1, 11))
    assert rows(log, 1) == []
    assert [one.generation for one in queries.generations(log, "seen")] == [2]


def test_a_rebuild_that_was_interrupted_goes_on_where_it_stopped(log: SqlStore) -> None:
    Subscription(log, Seen()).catch_up()
    slow = Subscription(log, Seen(), 4)
    taken: list[int] = []

    def stop_soon(count: int) -> None:
        taken.append(count)
        if len(taken) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        slow.rebuild(stop_soon)
    assert served(log) == list(range(1, 11))
    assert [(one.position, one.live) for one in queries.generations(log, "seen")] == [
        (10, True),
        (8, False),
    ]
    assert slow.rebuild(taken.append) == 10
    assert taken == [4, 4, 2]
    assert served(log) == list(range(1, 11))


def test_rebuilds_and_followers_at_once_end_with_every_row_once(log: SqlStore) -> None:
    Subscription(log, Seen()).catch_up()
    works = [Subscription(log, Seen(), 5).rebuild] * 2 + [Subscription(log, Seen(), 3).catch_up] * 2
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    write(log, 30)
    for thread in threads:
        thread.join()
    Subscription(log, Seen()).catch_up()
    assert served(log) == list(range(1, 41))
    [left] = queries.generations(log, "seen")
    assert rows(log, left.generation) == list(range(1, 41))
    assert log.rows("SELECT count(*) FROM rm_seen_generations", ()) == [(40,)]


def test_rebuilds_begun_at_the_same_moment_share_one_generation(log: SqlStore) -> None:
    """Whoever is second to insert the new generation joins the first, and does not fail."""
    together = threading.Barrier(6)

    def begin(_: int) -> int:
        together.wait()
        return Subscription(log, Seen())._begin()

    with ThreadPoolExecutor(6) as threads:
        begun = set(threads.map(begin, range(6)))
    known = {one.generation for one in queries.generations(log, "seen")}
    assert begun <= known
    assert min(begun) == 1


def test_a_switch_never_goes_back_behind_what_is_served(log: SqlStore) -> None:
    follower = Subscription(log, Seen())
    follower.catch_up()
    slow = Subscription(log, Seen())
    generation = slow._begin()
    slow._step(generation, Position(0), Position(6))
    assert not slow._switch(generation)
    assert served(log) == list(range(1, 11))


def test_rows_of_a_newer_program_are_not_overwritten(
    log: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Seen, "version", 2)
    Subscription(log, Seen()).catch_up()
    monkeypatch.setattr(Seen, "version", 1)
    with pytest.raises(SchemaMismatchError, match="version 2 of their rules; this program has 1"):
        Subscription(log, Seen()).catch_up()


def test_every_generation_says_how_far_it_is_behind(log: SqlStore) -> None:
    Subscription(log, Seen()).catch_up()
    building = Subscription(log, Seen())
    building._begin()
    building._step(2, Position(0), Position(4))
    write(log, 5)
    first, second = log.read(after=Position(4), limit=1), log.read(after=Position(10), limit=1)
    times = [record.recorded_at for found in (first, second) for record in found]
    now = times[1] + timedelta(seconds=30)
    served_, built = lags(log, now)
    assert served_ == Lag(
        name="seen",
        generation=1,
        version=1,
        served=True,
        position=Position(10),
        events=5,
        seconds=30.0,
    )
    assert (built.generation, built.served, built.events) == (2, False, 11)
    assert built.seconds == (now - times[0]).total_seconds()
    Subscription(log, Seen()).catch_up()
    assert (lags(log, now)[0].events, lags(log, now)[0].seconds) == (0, 0.0)
