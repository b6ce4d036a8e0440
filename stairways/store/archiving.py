"""Moving payloads out of ``events`` step by step; each is always in one place at least."""

import sqlite3
from pathlib import Path
from typing import cast

import psycopg

from stairways import codec
from stairways.core.events import SegmentSealed
from stairways.core.values import Digest, Position, StreamName
from stairways.errors import RetentionError
from stairways.store.contract import Appended, Context, Encoded
from stairways.store.driver import Connection
from stairways.store.segments import Segment
from stairways.store.sql import SqlStore
from stairways.store.sqlite import file_of, vacuum
from stairways.store.tables import NOT_BULK

_COLUMNS = "g.position, g.stream, g.type, g.schema, g.first, g.last, g.events, g.digest"
_INSERT = """
    INSERT INTO segments (position, stream, type, schema, first, last, events, digest)
    SELECT ?, id, ?, ?, ?, ?, ?, ? FROM streams WHERE name = ?"""
_OF_STREAM = f"""
    SELECT {_COLUMNS} FROM segments g JOIN streams s ON s.id = g.stream
    WHERE s.name = ? ORDER BY g.position"""  # noqa: S608 - a constant of this module
_OVERLAPPING = """
    SELECT 1 FROM segments g JOIN streams s ON s.id = g.stream
    WHERE s.name = ? AND g.type = ? AND g.schema = ? AND g.last >= ? LIMIT 1"""
_HELD = """
    position BETWEEN ? AND ? AND type = ? AND schema = ? AND payload IS NOT NULL
    AND ? = (SELECT a.stream FROM appends a WHERE a.first <= events.position
             ORDER BY a.first DESC LIMIT 1)"""
_HOLD_PLACED = f"""
    SELECT position FROM events
    WHERE type = 'LegalHoldPlaced' AND {NOT_BULK} AND position > ? LIMIT 1"""  # noqa: S608


def seal(
    store: SqlStore, sealed: SegmentSealed, content: bytes, by: StreamName, context: Context
) -> Appended:
    """Append ``sealed`` to the stream ``by`` with its segment, in one transaction.

    Raises ``RetentionError`` if another process was faster.
    """
    kind = (sealed.type, sealed.schema)
    place = (sealed.first, sealed.last, sealed.events, sealed.segment)
    sql = store.driver.sql

    def register(connection: Connection, appended: Appended) -> None:
        if connection.execute(sql(_OVERLAPPING), (sealed.stream, *kind, sealed.first)).fetchone():
            raise RetentionError(
                f"Another process archives {sealed.stream}. Let it finish, then try again."
            )
        connection.execute(sql(_INSERT), (appended.last, *kind, *place, sealed.stream))

    encoded = Encoded(*codec.type_of(sealed), codec.encode(sealed))
    return store.append(by, None, [encoded], context, [content], also=register)


def segments_of(store: SqlStore, stream: StreamName) -> list[Segment]:
    """Return the segments that hold events of ``stream``, in the order they were sealed."""
    return [Segment(*row) for row in store.rows(_OF_STREAM, (stream,))]


def is_held_twice(store: SqlStore, segment: Segment) -> bool:
    """Say whether payloads of a segment are also still in ``events``."""
    query = f"SELECT 1 FROM events WHERE {_HELD} LIMIT 1"  # noqa: S608 - a constant
    return bool(store.rows(query, _held(segment)))


def clear(store: SqlStore, segment: Segment, since: Position) -> None:
    """Remove the payloads that ``segment`` holds from ``events``, all or none.

    Raises ``RetentionError`` if a legal hold was placed behind position ``since``: the log is
    locked while this is looked at, so that no hold comes too late unseen.
    """

    def work(connection: Connection) -> None:
        store.driver.lock_head(connection)
        if connection.execute(store.driver.sql(_HOLD_PLACED), (since,)).fetchone():
            raise RetentionError("A legal hold was placed meanwhile; nothing more was moved.")
        update = f"UPDATE events SET payload = NULL WHERE {_HELD}"  # noqa: S608 - a constant
        connection.execute(store.driver.sql(update), _held(segment))
        connection.commit()

    store.run(work)


def size_on_disk(store: SqlStore) -> int:
    """Return how many bytes the log's files, or on PostgreSQL the table ``events``, take."""
    if store.driver.name == "sqlite":
        file = file_of(store.driver.engine.url)
        parts = (Path(file), Path(f"{file}-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())
    [(size,)] = store.rows("SELECT pg_total_relation_size('events')", ())
    return int(size)


def reclaim(store: SqlStore) -> None:
    """Give the room of removed payloads back to the file system; writers wait meanwhile.

    Raises ``LogBusyError`` if others do not let go of the log in time.
    """

    def work(connection: Connection) -> None:
        if isinstance(connection, psycopg.Connection):
            connection.autocommit = True
            connection.execute("VACUUM (FULL, ANALYZE) events")
            connection.autocommit = False
        else:
            vacuum(cast("sqlite3.Connection", connection))

    store.run(work)


def blob_size(store: SqlStore, digest: Digest) -> int:
    """Return how many bytes a blob takes in the database."""
    [(size,)] = store.rows("SELECT length(content) FROM blobs WHERE digest = ?", (digest,))
    return int(size)


def _held(segment: Segment) -> tuple[object, ...]:
    return segment.first, segment.last, segment.type, segment.schema, segment.stream
