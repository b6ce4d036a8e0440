"""How fast events go into the log, beside the raw driver and beside ``eventsourcing``.

Each figure is a ratio of medians of rounds that take turns in one run. "Everything on" is
encoding from arrays, leaves and tree, version check, positions, idempotency and guards, durable
at every append. The raw ceilings insert the same payloads, made before, without hashes or guards
into a table with the keys position and (stream, version): "raw" with type and payload only, "raw,
all facts" with everything a record says in each row.

    python ops/bench/append.py

``pip install eventsourcing==9.5.6 psycopg_pool`` first to have it compared. TMPDIR decides which
disk is measured.
"""

import itertools
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import orjson
import psycopg
from psycopg import sql

sys.path.insert(0, str(Path(__file__).parents[2]))

from stairways import codec
from stairways.core.events import ControllerUpdated
from stairways.core.values import StreamName
from stairways.store.contract import Batch, Context
from stairways.store.opening import open_sql_store, upgrade
from stairways.store.sql import SqlStore
from tests.conftest import Postgres

BATCH = 1000
ROUNDS = 41
STREAM = StreamName("run-20261123-k7x2")
FEW = ("position", "stream", "version", "type", "payload")
ALL = (*FEW, "schema", "recorded_at", "actor", "correlation", "causation", "append_id")
COLUMN_TYPES = {
    **dict.fromkeys(("position", "version", "recorded_at", "causation"), "BIGINT"),
    **dict.fromkeys(("stream", "type", "actor", "correlation", "append_id"), "TEXT"),
    "schema": "INTEGER",
}
Round = Callable[[], None]


def columns(count: int) -> dict[str, np.ndarray[tuple[int], np.dtype[np.generic]]]:
    """Return the columns of ``count`` controller events: one number and nine reals."""
    chance = np.random.default_rng(7)
    names = ControllerUpdated.__dataclass_fields__
    return {
        name: np.arange(count) if name == "step" else chance.normal(size=count) for name in names
    }


def appending(store: SqlStore, count: int) -> Round:
    """Return a round that encodes and appends ``count`` events."""
    arrays, numbers = columns(count), itertools.count()

    def one() -> None:
        payloads = codec.encode_columns(ControllerUpdated, arrays)
        events = Batch(["ControllerUpdated"] * count, [1] * count, payloads)
        context = Context(actor="bench", correlation=STREAM, append_id=f"{next(numbers):032d}")
        store.append(STREAM, None, events, context)

    return one


def raw_rows(count: int, names: Sequence[str]) -> Iterator[Sequence[tuple[object, ...]]]:
    """Yield the rows of one raw insert after the other."""
    payloads = codec.encode_columns(ControllerUpdated, columns(count))
    rest = (1, 1_795_439_043_977_005, "bench", STREAM, None, None)[: len(names) - len(FEW)]
    for start in itertools.count(1, count):
        yield [
            (start + i, STREAM, start + i, "ControllerUpdated", payload, *rest)
            for i, payload in enumerate(payloads)
        ]


def table(names: Sequence[str], binary: str) -> str:
    """Return the statement that makes the raw table."""
    kinds = {**COLUMN_TYPES, "payload": binary}
    made = ", ".join(f"{name} {kinds[name]}" for name in names)
    return f"CREATE TABLE raw ({made}, PRIMARY KEY (position), UNIQUE (stream, version))"


def raw_sqlite(url: str, count: int, names: Sequence[str]) -> Round:
    """Return a round of the driver's executemany, with synchronous=FULL."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
    connection.execute(table(names, "BLOB").replace("position BIGINT", "position INTEGER"))
    rows = raw_rows(count, names)
    insert = f"INSERT INTO raw VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - marks

    def one() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, next(rows))
        connection.execute("COMMIT")

    return one


def raw_postgres(url: str, count: int, names: Sequence[str]) -> Round:
    """Return a round of the driver's binary COPY, or of one prepared insert."""
    connection = psycopg.connect(url.replace("+psycopg", ""))
    connection.execute(table(names, "BYTEA").encode())
    connection.commit()
    rows = raw_rows(count, names)
    insert = f"INSERT INTO raw VALUES ({', '.join(['%s'] * len(names))})".encode()  # noqa: S608
    types = [
        {"BIGINT": "int8", "INTEGER": "int4"}.get(COLUMN_TYPES.get(n, ""), "text") for n in names
    ]
    types[names.index("payload")] = "bytea"

    def single() -> None:
        connection.execute(insert, next(rows)[0], prepare=True)
        connection.commit()

    def many() -> None:
        with connection.cursor().copy("COPY raw FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(types)
            for row in next(rows):
                copy.write_row(row)
        connection.commit()

    return single if count == 1 else many


def eventsourcing_saves(environment: dict[str, str], count: int) -> Round:
    """Return a round that saves a new aggregate with ``count`` events of the same values."""
    from ops.bench.aggregates import Controller, open_application  # noqa: PLC0415 - optional

    application = open_application(environment)
    texts = codec.encode_columns(ControllerUpdated, columns(count))
    rows = [orjson.loads(text) for text in texts[1:]]

    def one() -> None:
        controller = Controller()
        for row in rows:
            controller.update(row)
        application.save(controller)

    return one


def race(title: str, rounds: dict[str, Round], count: int) -> None:
    """Run the rounds in turns and print events a second, by the median round."""
    taken: dict[str, list[float]] = {name: [] for name in rounds}
    for _ in range(ROUNDS):
        for name, one in rounds.items():
            start = time.perf_counter()
            one()
            taken[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times[3:]) for name, times in taken.items()}
    ours = medians["ours"]
    for name, seconds in medians.items():
        speed, ratio = count / seconds, seconds / ours
        print(f"{title:24} {name:14} {speed:10,.0f} events/s   ours is {ratio:6.2f} times that")


def compare(kind: str, url: Callable[[str], str]) -> None:
    """Race on one kind of database."""
    raw = raw_postgres if kind == "postgres" else raw_sqlite
    for count in (BATCH, 1):
        upgrade(url(f"ours{count}"))
        store = open_sql_store(url(f"ours{count}"))
        rounds = {
            "ours": appending(store, count),
            "raw": raw(url(f"raw{count}"), count, FEW),
            "raw, all facts": raw(url(f"all{count}"), count, ALL),
        }
        if count == BATCH and find_spec("eventsourcing"):
            other = _environment(kind, url(f"other{count}"))
            rounds["eventsourcing"] = eventsourcing_saves(other, count)
        race(f"{kind}, {count} an append", rounds, count)
        store.close()


def _environment(kind: str, url: str) -> dict[str, str]:
    if kind == "sqlite":
        return {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": url.removeprefix("sqlite:///"),
        }
    head, _, host = url.partition("?host=")
    database = head.rpartition("/")[2]
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": database,
        "POSTGRES_HOST": host,
        "POSTGRES_PORT": "5432",
        "POSTGRES_USER": "postgres",
        "POSTGRES_PASSWORD": "unused",
    }


@contextmanager
def server(folder: Path) -> Iterator[Callable[[str], str]]:
    """Start a PostgreSQL with default settings, fsync on; yield how to make a database."""
    running, made = Postgres(folder / "pg", fsync=True), set[str]()
    running.create()
    running.start()

    def url(database: str) -> str:
        if database not in made:
            with psycopg.connect(running.url.replace("+psycopg", ""), autocommit=True) as admin:
                admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
            made.add(database)
        return running.url.replace("/postgres?", f"/{database}?")

    try:
        yield url
    finally:
        running.remove()


def main() -> None:
    """Race on both databases."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        compare("sqlite", lambda database: f"sqlite:///{folder}/{database}.db")
        with server(folder) as url:
            compare("postgres", url)
    print(f"(Python {sys.version.split()[0]}, {os.cpu_count()} processors, in {folder.parent})")


if __name__ == "__main__":
    main()
