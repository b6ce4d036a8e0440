"""SQLite as the log's database: one file, one writer at a time, durable at every commit."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote

from sqlalchemy import URL, Engine, create_engine, event

from stairways.errors import LogBusyError, LogUnavailableError, StairwaysError
from stairways.store.driver import Connection, Driver, EventRows, InsertEvents

_INSERT = "INSERT INTO events (position, type, schema, payload, leaf) VALUES (?, ?, ?, ?, ?)"
_TOGETHER = 32
"""Rows a statement, which saves two fifths of the time; further ones save nothing more."""

_INSERT_TOGETHER = _INSERT + ", (?, ?, ?, ?, ?)" * (_TOGETHER - 1)


def sqlite_driver(url: URL, patience: float, *, read_only: bool = False) -> Driver:
    """Return the driver for a file; a second writer waits ``patience`` seconds for the first."""
    engine = _reading_engine(url, patience) if read_only else _engine(url, patience)

    def explain(error: Exception) -> StairwaysError:
        return _explain(error, engine, patience)

    return Driver(
        name="sqlite",
        engine=engine,
        error=sqlite3.Error,
        sql=str,
        head_query="SELECT size, edge FROM head",
        begin=_begin,
        pipeline=nullcontext,
        inserting=_inserting,
        explain=explain,
        is_lost=lambda _: False,
    )


def _engine(url: URL, patience: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": patience, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        for pragma in (
            "page_size = 8192",  # of a new file: a rollout's rows of half a kilobyte fit better
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "recursive_triggers = ON",  # else REPLACE goes round the triggers on DELETE
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's event is untyped
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _reading_engine(url: URL, patience: float) -> Engine:
    """Return an engine that changes nothing, also on a medium that cannot be written."""
    file = Path(url.database or "").absolute()
    if not file.is_file():
        raise LogUnavailableError(f"There is no log {file}.")
    still = not os.access(file.parent, os.W_OK) and not Path(f"{file}-wal").exists()
    mode = "immutable=1" if still else "mode=ro"
    reading = url.set(database=f"file:{quote(str(file))}?{mode}", query={"uri": "true"})
    return create_engine(reading, connect_args={"timeout": patience, "isolation_level": None})


def file_of(url: URL) -> str:
    """Return the file of a SQLite URL, also of one that only reads."""
    name = url.database or ""
    if not name.startswith("file:"):
        return name
    return unquote(name.removeprefix("file:").partition("?")[0])


def _begin(connection: Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")


@contextmanager
def _inserting(connection: Connection) -> Iterator[InsertEvents]:
    yield partial(_insert_events, cast("sqlite3.Connection", connection))


def _insert_events(connection: sqlite3.Connection, rows: EventRows) -> None:
    """Insert rows, many with one statement.

    Bytes are given as bytearrays: the driver asks every ``bytes`` how it wants to be adapted,
    which takes longer than copying it.
    """
    payloads = (content and bytearray(content) for content in rows.payloads)
    copied = payloads, map(bytearray, rows.leaves)
    each = zip(rows.positions, rows.types, rows.schemas, *copied, strict=True)
    many, step = len(rows.positions) // _TOGETHER * _TOGETHER, _TOGETHER * len(rows)
    values = list(chain.from_iterable(islice(each, many)))
    together = (values[start : start + step] for start in range(0, len(values), step))
    connection.executemany(_INSERT_TOGETHER, together)
    connection.executemany(_INSERT, each)


def _explain(error: Exception, engine: Engine, patience: float) -> StairwaysError:
    file = file_of(engine.url)
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LogBusyError(
            f"Another process has been writing to {file} for {patience:g} seconds. SQLite takes "
            "one writer at a time: wait for it to end, or use PostgreSQL."
        )
    return LogUnavailableError(f"The log {file} cannot be used: {error}.")
