"""Copy a whole log: online, consistent, and verified before it counts.

A backup is itself a log, a SQLite file, whichever database it comes from: every command works
on it, and it can be restored into either kind. Derived tables are not copied.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import cast

import psycopg
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from stairways.core.values import without_password
from stairways.errors import LogUnavailableError, StairwaysError
from stairways.service.verify.log import VerifyReport, verify_log
from stairways.store.driver import Connection, Driver, EventRows, Row
from stairways.store.opening import driver_for, refuse_newer, upgrade

TABLES: dict[str, Sequence[str]] = {
    "streams": ("id", "name"),
    "appends": (
        *("first", "last", "stream", "version", "recorded_at", "actor", "correlation"),
        *("causation", "append_id", "root"),
    ),
    "events": ("position", "type", "schema", "payload", "leaf"),
    "blobs": ("digest", "size", "encoding", "content"),
    "checkpoints": ("id", "note"),
    "segments": ("position", "stream", "type", "schema", "first", "last", "events", "digest"),
}
"""What is copied, in this order: the columns of each table, its key first."""

ROWS_A_PAGE = {"blobs": 8}
_MANY_ROWS = 8192


def back_up(url: str, file: Path) -> VerifyReport:
    """Write a copy of the log at ``url`` to a new SQLite ``file`` and verify it.

    Writers may go on meanwhile: the copy is the log of one moment. Raises
    ``LogUnavailableError`` if the file is there already, ``SchemaMismatchError`` if the log is of
    a newer program. A copy with findings is kept beside
    under ``.part`` and the report says what is wrong.
    """
    if file.exists():
        raise LogUnavailableError(f"{file} is there already. A backup is never overwritten.")
    part = file.with_name(f"{file.name}.part")
    try:
        _remove(part)
        return _copied(url, part, file)
    except StairwaysError:
        _remove(part)
        raise
    except (sqlite3.Error, OSError) as error:
        _remove(part)
        reason = getattr(error, "strerror", None) or error
        raise LogUnavailableError(f"The backup {file} cannot be written: {reason}.") from error


def _copied(url: str, part: Path, file: Path) -> VerifyReport:
    """Copy into ``part``, verify it, and give it its name if it is clean."""
    refuse_newer(url)  # tables that this program does not know would be left out unseen
    target = f"sqlite:///{part}"
    upgrade(target)
    copy_log(url, target)
    report = verify_log(target)
    if report.clean:
        _gather(part)
        part.rename(file)
    return report


def _remove(file: Path) -> None:
    """Remove a SQLite file and what is kept beside one that is open."""
    for suffix in ("", "-wal", "-shm"):
        file.with_name(f"{file.name}{suffix}").unlink(missing_ok=True)


def _gather(file: Path) -> None:
    """Bring everything into the one file: whoever only read it left others beside it."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()


def restore(file: Path, url: str) -> VerifyReport:
    """Copy the backup in ``file`` into the empty log at ``url`` and verify it.

    Raises ``LogUnavailableError`` if the log there holds anything, and, before one is made,
    if ``file`` is no backup; ``SchemaMismatchError`` if a newer program made it.
    """
    if not file.is_file():
        raise LogUnavailableError(f"There is no backup {file}.")
    _check_backup(file)
    refuse_newer(f"sqlite:///{file}")
    upgrade(url)
    copy_log(f"sqlite:///{file}", url)
    return verify_log(url)


def _check_backup(file: Path) -> None:
    """Raise ``LogUnavailableError`` naming a file that is not the database of a log."""
    source = driver_for(f"sqlite:///{file}", read_only=True)
    try:
        with source.engine.connect() as connection:
            present = set(inspect(connection).get_table_names())
    except DBAPIError as error:
        raise LogUnavailableError(f"{file} is no backup of a log: {error.orig}.") from error
    finally:
        source.engine.dispose()
    if missing := sorted({*TABLES, "head"} - present):
        raise LogUnavailableError(
            f"{file} is no backup of a log: it has no table {', '.join(missing)}."
        )


def copy_log(source_url: str, target_url: str) -> None:
    """Copy every row of a log into an empty one, in one transaction on either side."""
    with ExitStack() as stack:
        source = driver_for(source_url, read_only=True)
        target = driver_for(target_url)
        reading = stack.enter_context(_session(source))
        writing = stack.enter_context(_session(target))
        _begin_snapshot(reading)
        size, _ = target.lock_head(writing)
        if size or writing.execute("SELECT id FROM streams LIMIT 1").fetchone():
            shown = without_password(target.engine.url.render_as_string())
            raise LogUnavailableError(
                f"The log {shown} holds {size} events. Restore into an empty one; a log is "
                "never overwritten."
            )
        for table, columns in TABLES.items():
            for rows in _pages(source, reading, table, columns):
                _insert(target, writing, table, columns, rows)
        _copy_head(target, reading, writing)
        writing.commit()


@contextmanager
def _session(driver: Driver) -> Iterator[Connection]:
    try:
        pooled = driver.engine.raw_connection()
        try:
            yield cast("Connection", pooled.driver_connection)
        finally:
            pooled.close()
    except driver.error as error:
        raise driver.explain(error) from error
    finally:
        driver.engine.dispose()


def _begin_snapshot(connection: Connection) -> None:
    """Let every query of the transaction see the same moment."""
    if isinstance(connection, psycopg.Connection):
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    else:
        connection.execute("BEGIN")


def _pages(
    driver: Driver, connection: Connection, table: str, columns: Sequence[str]
) -> Iterator[list[Row]]:
    """Yield the rows of a table in pages, by key."""
    names, key, count = ", ".join(columns), columns[0], ROWS_A_PAGE.get(table, _MANY_ROWS)
    first = f"SELECT {names} FROM {table} ORDER BY {key} LIMIT {count}"  # noqa: S608 - constants
    rows = connection.execute(first).fetchall()
    following = driver.sql(
        f"SELECT {names} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {count}"  # noqa: S608
    )
    while rows:
        yield rows
        rows = connection.execute(following, (rows[-1][0],)).fetchall()


def _insert(
    driver: Driver, connection: Connection, table: str, columns: Sequence[str], rows: list[Row]
) -> None:
    if table == "events":
        with driver.inserting(connection) as insert:
            insert(EventRows(*zip(*rows, strict=True)))
        return
    driver.load(connection, table, columns, rows)


def _copy_head(target: Driver, reading: Connection, writing: Connection) -> None:
    row = reading.execute("SELECT size, root, edge FROM head WHERE id = 1").fetchone()
    if row is not None and row[0]:
        statement = "UPDATE head SET size = ?, root = ?, edge = ? WHERE id = 1"
        writing.execute(target.sql(statement), row)
