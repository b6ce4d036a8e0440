"""PostgreSQL as the log's database: many writers, who take turns at the locked head row."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, repeat
from typing import cast

import psycopg
from psycopg import errors
from sqlalchemy import URL, Engine, create_engine, event

from stairways.core.values import without_password
from stairways.errors import LogBusyError, LogUnavailableError, StairwaysError
from stairways.store.driver import Connection, Driver, EventRows, InsertEvents, Row

_COPY = "COPY events (position, type, schema, payload, leaf) FROM STDIN (FORMAT BINARY)"
_COMMIT = "'synchronous_commit'"
_OURS = (
    # An append waits for its turn and then reads what the one before it wrote.
    "SET default_transaction_isolation = 'read committed'",
    # A table of the same name elsewhere, a temporary one above all, is not the log.
    "SET search_path = public, pg_temp",
    # What was acknowledged is on disk. Stricter than on is left alone.
    f"SELECT set_config({_COMMIT}, 'on', false) WHERE current_setting({_COMMIT}) = 'off'",
)
"""What a session must not take from the settings of its role or database, which others make."""

_FIVE = struct.pack("!hi", 5, 8)  # columns, then the length of the position
_LEAF = struct.pack("!i", 32)
_NULL = struct.pack("!i", -1)


_REFUSED = errors.ProgramLimitExceeded
_ENDED = errors.IdleInTransactionSessionTimeout | errors.TransactionTimeout
"""By these the server ends a session; they count as internal errors, and nothing was committed."""


def postgres_driver(url: URL, patience: float, *, read_only: bool = False) -> Driver:
    """Return the driver for a server; a writer waits ``patience`` seconds for its turn."""
    engine = _engine(url, patience, read_only=read_only)

    def explain(error: Exception) -> StairwaysError:
        return _explain(error, engine, patience)

    return Driver(
        name="postgresql",
        engine=engine,
        error=psycopg.Error,
        sql=lambda statement: statement.replace("?", "%s"),
        head_query="SELECT size, edge FROM head WHERE id = 1 FOR UPDATE",
        begin=lambda _: None,  # the driver begins by itself
        pipeline=lambda connection: cast("psycopg.Connection", connection).pipeline(),
        fetch=_fetch,
        load=_load,
        inserting=_inserting,
        explain=explain,
        is_lost=_is_lost,
    )


def _engine(url: URL, patience: float, *, read_only: bool) -> Engine:
    engine = create_engine(url, connect_args={"connect_timeout": 10, "client_encoding": "utf8"})
    ours = [f"SET lock_timeout = {int(patience * 1000)}", *_OURS]
    if read_only:
        ours.append("SET default_transaction_read_only = on")

    @event.listens_for(engine, "connect")
    def prepare(connection: psycopg.Connection, _: object) -> None:
        connection.execute("; ".join(ours).encode())
        connection.commit()

    return engine


def _fetch(connection: Connection, query: str, values: Sequence[object]) -> list[Row]:
    """Return all rows, sent in binary form: as text, bytes would come in hexadecimal."""
    direct = cast("psycopg.Connection", connection)
    return direct.execute(query.encode(), values, binary=True).fetchall()


def _load(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    cursor = cast("psycopg.Connection", connection).cursor()
    with cursor.copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)


@contextmanager
def _inserting(connection: Connection) -> Iterator[InsertEvents]:
    cursor = cast("psycopg.Connection", connection).cursor()
    with cursor.copy(_COPY) as copy:
        copy.write(b"PGCOPY\n\xff\r\n\x00" + bytes(8))
        yield lambda rows: copy.write(copy_rows(rows))
        copy.write(b"\xff\xff")


def copy_rows(rows: EventRows) -> bytes:
    """Return rows of ``events`` in the binary form of COPY.

    Five columns, each with its length before it, big-endian (PostgreSQL's documentation of
    COPY, "Binary Format"). A third of the time of the driver's own row by row.
    """
    whole, long = struct.Struct("!i").pack, struct.Struct("!q").pack
    kinds = {
        (type_, schema): whole(len(type_.encode())) + type_.encode() + whole(4) + whole(schema)
        for type_, schema in set(zip(rows.types, rows.schemas, strict=True))
    }
    each = zip(
        repeat(_FIVE),
        map(long, rows.positions),
        map(kinds.__getitem__, zip(rows.types, rows.schemas, strict=True)),
        [_NULL if content is None else whole(len(content)) for content in rows.payloads],
        [content or b"" for content in rows.payloads],
        repeat(_LEAF),
        rows.leaves,
        strict=False,
    )
    return b"".join(chain.from_iterable(each))


def _is_lost(error: Exception) -> bool:
    """Say whether the connection went away, rather than the statement was refused."""
    if isinstance(error, errors.LockNotAvailable | errors.QueryCanceled | _REFUSED):
        return False
    return isinstance(error, psycopg.OperationalError | _ENDED)


def _explain(error: Exception, engine: Engine, patience: float) -> StairwaysError:
    where = without_password(engine.url.render_as_string())
    if isinstance(error, errors.LockNotAvailable):
        return LogBusyError(
            f"Another process has been writing to {where} for {patience:g} seconds. Look for a "
            "transaction that was left open (pg_stat_activity), or wait for it to end."
        )
    reason = " ".join(str(error).split())
    more = " Make room on its disk, and run the command again."
    said = f"The log {where} cannot be used: {reason}"
    return LogUnavailableError(said + more * isinstance(error, errors.DiskFull))
