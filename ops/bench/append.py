"""How fast events go into the log, beside the raw driver and beside ``eventsourcing``.

Each figure is a ratio taken in one run, in which all take turns. Batches go by the shortest
turns, because whatever else the machine does can only make one longer; single events, which wait
for the disk more than for anything else, by the median. The other one is printed beside it.
"Everything on" is encoding, leaves and tree, version check, positions, idempotency and guards,
durable at every append: a rollout's events from arrays, a single one from its object. The raw
ceilings insert the same payloads, made before, without hashes or guards into a table with the
keys position and (stream, version): "raw" with type and payload only, "raw, all facts" with
everything a record says in each row. ``eventsourcing`` 9.5.6 makes an aggregate's events of the
same values, given as typed arguments, and saves them; "es, one dict" is the same with one mapping
of ready-made texts, which has no limit. Exits with 1 where a limit is missed.

    python ops/bench/append.py [--turns 8]

``make bench`` installs ``eventsourcing`` (the extra ``bench``). TMPDIR decides which disk is
measured.
"""

import argparse
import gc
import itertools
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg
from psycopg import sql

sys.path.insert(0, str(Path(__file__).parents[2]))

from stairways import codec
from stairways.core.events import ControllerUpdated
from stairways.core.values import StreamName
from stairways.store.contract import Batch, Context, Encoded
from stairways.store.opening import open_sql_store, upgrade
from stairways.store.sql import SqlStore
from tests.conftest import Postgres

BATCH = 1000
TOGETHER = {BATCH: 20, 1: 1}
"""Rounds in a turn: a run writes many batches in a row, a single event stands among other work."""

LIMITS = {
    ("sqlite", BATCH): {"raw": 0.6, "eventsourcing": 6.0},
    ("sqlite", 1): {"raw": 0.5},
    ("postgres", BATCH): {"raw": 0.6, "eventsourcing": 8.0},
    ("postgres", 1): {"raw": 0.3},
}
"""How many times as fast as another we have to be, by database and size of an append."""

_ENDED = "ALTER DATABASE {} SET transaction_timeout = '5s'"
"""The driver's pipelines, which ``eventsourcing`` sends whole batches in, can wait for ever: part
of a batch unsent, server and client each waiting. Such a save is ended, and it tries again."""

STREAM = StreamName("run-20261123-k7x2")
FEW = ("position", "stream", "version", "type", "payload")
ALL = (*FEW, "schema", "recorded_at", "actor", "correlation", "causation", "append_id")
COLUMN_TYPES = {
    **dict.fromkeys(("position", "version", "recorded_at", "causation"), "BIGINT"),
    **dict.fromkeys(("stream", "type", "actor", "correlation", "append_id"), "TEXT"),
    "schema": "INTEGER",
}
Round = Callable[[], object]


def columns(count: int) -> dict[str, np.ndarray[tuple[int], np.dtype[np.generic]]]:
    """Return the columns of ``count`` controller events: one number and nine reals."""
    chance = np.random.default_rng(7)
    names = ControllerUpdated.__dataclass_fields__
    return {
        name: np.arange(count) if name == "step" else chance.normal(size=count) for name in names
    }


def appending(store: SqlStore, count: int) -> Round:
    """Return a round that encodes and appends ``count`` events from arrays."""
    arrays, numbers = columns(count), itertools.count()

    def one() -> None:
        payloads = codec.encode_columns(ControllerUpdated, arrays)
        events = Batch(["ControllerUpdated"] * count, [1] * count, payloads)
        store.append(STREAM, None, events, context(next(numbers)))

    return one


def appending_one(store: SqlStore) -> Round:
    """Return a round that encodes and appends one event."""
    event = ControllerUpdated(**{name: one[0].item() for name, one in columns(1).items()})
    numbers = itertools.count()

    def one() -> None:
        encoded = Encoded(*codec.type_of(event), codec.encode(event))
        store.append(STREAM, None, [encoded], context(next(numbers)))

    return one


def context(number: int) -> Context:
    """Return who appends, under an id of its own."""
    return Context(actor="bench", correlation=STREAM, append_id=f"{number:032d}")


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


def eventsourcing_saves(url: str, count: int) -> dict[str, Round]:
    """Return rounds that save a new aggregate with ``count`` events of the same values.

    Once as typed arguments, as its documentation has it, once as one mapping of ready-made texts.
    """
    from ops.bench.aggregates import (  # noqa: PLC0415 - optional, and others import this module
        environment_of,
        noted,
        open_application,
        texts_of,
        updated_controller,
    )

    application, arrays = open_application(environment_of(url)), columns(count)
    ready = texts_of(arrays)
    return {
        "eventsourcing": lambda: application.save(updated_controller(arrays)),
        "es, one dict": lambda: application.save(noted(ready)),
    }


def race(rounds: dict[str, Round], turns: int, together: int) -> dict[str, list[float]]:
    """Let each run ``together`` rounds in turn; return the seconds of a round in each turn."""
    taken: dict[str, list[float]] = {name: [] for name in rounds}
    for _ in range(turns + 1):
        for name, one in rounds.items():
            if together > 1:
                gc.collect()  # nobody pays for what another left behind
            start = time.perf_counter()
            for _ in range(together):
                one()
            taken[name].append((time.perf_counter() - start) / together)
    return {name: times[1:] for name, times in taken.items()}


def report(kind: str, count: int, taken: dict[str, list[float]]) -> bool:
    """Print events a second and ratios; say whether the limits are kept."""
    rules: list[tuple[str, Callable[[list[float]], float]]] = [
        ("shortest", min),
        ("median", statistics.median),
    ]
    counts, beside = rules if count == BATCH else rules[::-1]
    limits, kept = LIMITS[kind, count], True
    for name, times in taken.items():
        ratio, other = (rule(times) / rule(taken["ours"]) for _, rule in (counts, beside))
        wanted = f" (wanted: {limits[name]:g})" if name in limits else ""
        kept &= ratio >= limits.get(name, 0)
        print(
            f"{kind:8} {count:5} an append  {name:14} {count / counts[1](times):10,.0f} events/s  "
            f"ours is {ratio:5.2f} times that by the {counts[0]}{wanted}, "
            f"{other:.2f} by the {beside[0]}"
        )
    return kept


def compare(kind: str, url: Callable[[str], str], turns: int) -> bool:
    """Race on one kind of database; say whether the limits are kept."""
    raw, kept = raw_postgres if kind == "postgres" else raw_sqlite, True
    for count in (BATCH, 1):
        upgrade(url(f"ours{count}"))
        store = open_sql_store(url(f"ours{count}"))
        rounds = {
            "ours": appending_one(store) if count == 1 else appending(store, count),
            "raw": raw(url(f"raw{count}"), count, FEW),
            "raw, all facts": raw(url(f"all{count}"), count, ALL),
        }
        if count == BATCH:
            rounds |= eventsourcing_saves(url(f"other{count}"), count)
        turns = turns if count == BATCH else 50 * turns
        kept &= report(kind, count, race(rounds, turns, TOGETHER[count]))
        store.close()
    return kept


@contextmanager
def server(folder: Path) -> Iterator[Callable[[str], str]]:
    """Start a PostgreSQL with default settings, fsync on; yield how to make a database."""
    running, made = Postgres(folder / "pg", fsync=True), set[str]()
    running.create()
    running.start()

    def url(database: str) -> str:
        if database not in made:
            with psycopg.connect(running.url.replace("+psycopg", ""), autocommit=True) as admin:
                for statement in ("CREATE DATABASE {}", _ENDED):
                    admin.execute(sql.SQL(statement).format(sql.Identifier(database)))
            made.add(database)
        return running.url.replace("/postgres?", f"/{database}?")

    try:
        yield url
    finally:
        running.remove()


def main() -> int:
    """Race on both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=8)
    turns = parser.parse_args().turns
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        kept = [compare("sqlite", lambda database: f"sqlite:///{folder}/{database}.db", turns)]
        with server(folder) as url:
            kept.append(compare("postgres", url, turns))
    print(f"(Python {sys.version.split()[0]}, {os.cpu_count()} processors, in {folder.parent})")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
