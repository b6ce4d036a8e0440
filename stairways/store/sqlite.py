"""SQLite as the log's database: one file, one writer at a time, durable at every commit."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote

from sqlalchemy import URL, Engine, create_engine, event

from stairways.errors import LogBusyError, LogUnavailableError, StairwaysError
from stairways.store.driver import Connection, Driver, EventRows, InsertEvents, Row

_INSERT = "INSERT INTO events (position, type, schema, payload, leaf) VALUES (?, ?, ?, ?, ?)"
_TOGETHER = 32
"""Rows a statement, which saves two fifths of the time; further ones save nothing more."""

_INSERT_TOGETHER = _INSERT + ", (?, ?, ?, ?, ?)" * (_TOGETHER - 1)


_ROW_BY_ROW = {
    *(sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION),
    *(sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE),
    *(sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT, sqlite3.SQLITE_RECURSIVE),
}
"""What a connection of the service may do: all but making, changing and dropping tables."""

_HARMLESS_PRAGMAS = {"wal_checkpoint", "table_info", "table_xinfo", "table_list"}


def sqlite_driver(
    url: URL, patience: float, *, read_only: bool = False, guarded: bool = False
) -> Driver:
    """Return the driver for a file; a second writer waits ``patience`` seconds for the first.

    A ``guarded`` one lets nobody make, change or drop a table or a trigger: SQLite has no
    trigger on DROP and no roles, but it asks before it prepares a statement.
    """
    engine = (
        _reading_engine(url, patience) if read_only else _engine(url, patience, guarded=guarded)
    )

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
        fetch=lambda connection, query, values: connection.execute(query, values).fetchall(),
        load=_load,
        inserting=_inserting,
        explain=explain,
        is_lost=lambda _: False,
    )


def _engine(url: URL, patience: float, *, guarded: bool) -> Engine:
    engine = create_engine(url, connect_args={"timeout": patience, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "recursive_triggers = ON",  # else REPLACE goes round the triggers on DELETE
        ):
            connection.execute(f"PRAGMA {pragma}")
        if guarded:
            connection.set_authorizer(_authorize)

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's event is untyped
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _authorize(
    action: int, subject: str | None, _value: str | None, _schema: str | None, _by: str | None
) -> int:
    """Say whether a statement may be prepared (sqlite3_set_authorizer)."""
    if action == sqlite3.SQLITE_PRAGMA:
        return sqlite3.SQLITE_OK if subject in _HARMLESS_PRAGMAS else sqlite3.SQLITE_DENY
    if subject in ("sqlite_master", "sqlite_schema") and action != sqlite3.SQLITE_READ:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ROW_BY_ROW else sqlite3.SQLITE_DENY


def vacuum(connection: sqlite3.Connection) -> None:
    """Write the file anew without the room that nothing uses, and empty the write-ahead log.

    SQLite makes a second file for it, with statements that the authorizer would be asked about.
    """
    connection.set_authorizer(None)
    try:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.set_authorizer(_authorize)


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


def _load(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - names of ours
    cast("sqlite3.Connection", connection).executemany(statement, rows)


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
    file, kind = file_of(engine.url), getattr(error, "sqlite_errorcode", 0) & 0xFF
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LogBusyError(
            f"Another process has been writing to {file} for {patience:g} seconds. SQLite takes "
            "one writer at a time: wait for it to end, or use PostgreSQL."
        )
    if kind == sqlite3.SQLITE_AUTH:
        return LogUnavailableError(f"The log {file} lets nobody change its tables: {error}.")
    said = f"The log {file} cannot be used: {error}."
    if kind == sqlite3.SQLITE_FULL:
        said += " Make room where it lies, and run the command again."
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        said += " This account needs the right to write the file and its folder."
    return LogUnavailableError(said)
