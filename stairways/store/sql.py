"""The log in a SQL database, the same on SQLite and PostgreSQL.

The hot path speaks to the driver itself: appends take the lock of the head row, so positions
follow the order of commits; reads go in pages by position, each page a statement of its own,
so that a slow reader holds neither memory nor a transaction.
"""

from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice

from stairways.core.merkle import Edge, edge_from_bytes
from stairways.core.values import NEW, Digest, Position, StreamName, Version
from stairways.errors import LogUnavailableError
from stairways.store import leases
from stairways.store.blobs import Blob, pack, unpack
from stairways.store.contract import (
    START,
    Appended,
    Batch,
    Context,
    Encoded,
    Head,
    Holder,
    Lease,
    Record,
)
from stairways.store.database import Clock, Database
from stairways.store.driver import Connection, Driver, EventRow, EventRows, Row
from stairways.store.pages import (
    EVENTS_A_PAGE,
    Page,
    append_from_row,
    appends_after,
    events_of,
    pages,
    skimmed,
)
from stairways.store.records import (
    Append,
    append_after,
    batch_of,
    check_context,
    check_repeat,
    check_version,
    extended,
    records_of,
)
from stairways.store.segments import Archive
from stairways.store.tables import BULK_TYPES

Also = Callable[[Connection, Appended], None]
"""Writes what belongs to an append, in its transaction and after its rows."""

_VERSION = """
    SELECT s.id, a.version + a.last - a.first FROM appends a JOIN streams s ON s.id = a.stream
    WHERE s.name = ? ORDER BY a.version DESC LIMIT 1"""
_APPEND_OF_ID = """
    SELECT a.first, a.last, s.name, a.version, a.recorded_at, a.actor, a.correlation,
           a.causation, a.append_id
    FROM appends a JOIN streams s ON s.id = a.stream WHERE a.append_id = ?"""
_INSERT_APPEND = """
    INSERT INTO appends (first, last, stream, version, recorded_at, actor, correlation,
                         causation, append_id, root)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_INSERT_EVENT = "INSERT INTO events (position, type, schema, payload, leaf) VALUES (?, ?, ?, ?, ?)"
_MOVE_HEAD = "UPDATE head SET size = ?, root = ?, edge = ? WHERE id = 1"
_FEW = 8
"""Up to so many events single inserts are quicker than the driver's way in bulk."""
_SMALL = 16_384
"""Up to so many bytes of payload they may be pipelined: the driver ends a pipeline by waiting for
answers, and if part of what it sends is still unsent, server and client wait for ever."""

_INSERT_CHECKPOINT = """
    INSERT INTO checkpoints (id, note) SELECT coalesce(max(id), 0) + 1, ? FROM checkpoints"""
_SEGMENTS_OF = "SELECT digest FROM segments WHERE last >= ? AND first <= ? ORDER BY last"
_INSERT_BLOB = """
    INSERT INTO blobs (digest, size, encoding, content) VALUES (?, ?, ?, ?)
    ON CONFLICT DO NOTHING"""


class SqlStore(Database):
    """The log in SQLite or PostgreSQL; see ``EventStore`` for what it promises.

    An append that was under way when its connection was lost is repeated, which is harmless.
    """

    def __init__(self, driver: Driver, clock: Clock, patience: float) -> None:
        super().__init__(driver, clock, patience)
        self._archive = Archive(self._segments_of, self._content_of)

    def append(
        self,
        stream: StreamName,
        expected: Version | None,
        events: Sequence[Encoded],
        context: Context,
        blobs: Sequence[bytes] = (),
        *,
        also: Also | None = None,
    ) -> Appended:
        """Append ``events`` to ``stream`` in one transaction that is durable on return.

        ``also`` writes what belongs to them in the same transaction.
        """
        check_context(stream, events, context)
        packed = [pack(content) for content in blobs]

        def work(connection: Connection) -> Appended:
            (size, edge), before, standing = self._look(connection, stream, context.append_id)
            if before is not None:
                earlier = append_from_row(before)
                return check_repeat(earlier, stream, events, self._leaves(connection, earlier))
            leases.check_fence(self, connection, context.fence)
            stream_id, version = standing or (None, NEW)
            check_version(stream, expected, Version(version))
            new = append_after(
                size, stream, version, len(events), context=context, recorded_at=self.clock()
            )
            if stream_id is None:
                stream_id = self._add_stream(connection, stream)
            tree, batch = edge_from_bytes(size, edge), batch_of(events)
            self._write(connection, stream_id, new, batch, tree=tree, blobs=packed, also=also)
            return new.result()

        return self.run(work)

    def read(
        self,
        *,
        stream: StreamName | None = None,
        types: Sequence[str] = (),
        after: Position = START,
        until: Position | None = None,
        limit: int | None = None,
    ) -> Iterator[Record]:
        """Yield records with ``after < position <= until`` in order, at constant memory."""
        end = Position(self.head().size) if until is None else until
        small = EVENTS_A_PAGE if limit is None else max(1, min(EVENTS_A_PAGE, limit))
        size = EVENTS_A_PAGE if types and not set(types) & set(BULK_TYPES) else small
        appends = appends_after(self, stream, after, end)
        found = (
            self._records(page, events_of(self, page, types))
            for page in pages(appends, after, end, size)
        )
        return islice(chain.from_iterable(found), limit)

    def skim(self, after: Position, until: Position) -> Iterator[Record]:
        """Yield what ``read`` does, but of each append's ``StepTaken`` the first and last only."""
        appends = appends_after(self, None, after, until)
        for page in pages(appends, after, until):
            yield from self._records(page, skimmed(self, page))

    def version(self, stream: StreamName) -> Version:
        """Return how many events ``stream`` holds."""
        return self.run(lambda connection: self._stream(connection, stream)[1])

    def streams(self, prefix: str = "") -> Sequence[StreamName]:
        """Return the names of all streams that start with ``prefix``, oldest first."""
        rows = self.rows(
            "SELECT name FROM streams WHERE substr(name, 1, ?) = ? ORDER BY id",
            (len(prefix), prefix),
        )
        return [StreamName(name) for (name,) in rows]

    def head(self) -> Head:
        """Return the size and root of the log as of now."""
        rows = self.rows("SELECT size, root FROM head WHERE id = 1", ())
        if not rows or not isinstance(rows[0][1], bytes):
            raise LogUnavailableError(
                "The log does not say how long it is: its head row is missing or damaged. "
                "Run `stairways verify`."
            )
        [(size, root)] = rows
        return Head(size, Digest(root.hex()))

    def add_checkpoint(self, note: bytes) -> int:
        """Store a signed checkpoint for ever and return its number; the newest comes last."""

        def work(connection: Connection) -> int:
            self.driver.lock_head(connection)  # two writers would take the same number
            connection.execute(self.driver.sql(_INSERT_CHECKPOINT), (note,))
            row = connection.execute("SELECT max(id) FROM checkpoints").fetchone()
            connection.commit()
            return int(row[0]) if row else 1

        return self.run(work)

    def checkpoints(self) -> Sequence[bytes]:
        """Return every signed checkpoint, oldest first."""
        return [note for (note,) in self.rows("SELECT note FROM checkpoints ORDER BY id", ())]

    def leaves(self, first: int, last: int) -> Sequence[bytes]:
        """Return the stored leaf hashes of positions ``first`` to ``last``."""
        statement = "SELECT leaf FROM events WHERE position BETWEEN ? AND ? ORDER BY position"
        return [leaf for (leaf,) in self.rows(statement, (first, last))]

    def put_blob(self, content: bytes) -> Digest:
        """Store ``content`` unless it is there already, durably, and return its digest."""
        blob = pack(content)

        def work(connection: Connection) -> Digest:
            connection.execute(self.driver.sql(_INSERT_BLOB), blob)
            connection.commit()
            return blob.digest

        return self.run(work)

    def get_blob(self, digest: Digest) -> bytes:
        """Return the bytes named ``digest``; raises ``BlobMissingError`` if absent or altered."""
        rows = self.rows(
            "SELECT digest, size, encoding, content FROM blobs WHERE digest = ?", (digest,)
        )
        return unpack(digest, rows)

    def leases(self, prefix: str = "") -> Sequence[Lease]:
        """Return every lease whose name starts with ``prefix``, by name, as it stands."""
        return leases.all_leases(self, prefix)

    def claim(self, name: str, seen: Lease | None, holder: Holder, seconds: int) -> Lease | None:
        """Take a lease under the next epoch; None if it is no more as it was ``seen``."""
        return leases.claim(self, name, seen, holder, seconds)

    def renew(self, held: Sequence[Lease]) -> Sequence[Lease]:
        """Let each lease beat once and return those that are still held, as they now stand."""
        return leases.renew(self, held)

    def release(self, held: Sequence[Lease]) -> None:
        """Give leases back; one that somebody else has claimed meanwhile stays his."""
        leases.release(self, held)

    def _look(
        self, connection: Connection, stream: StreamName, append_id: str
    ) -> tuple[Row, Row | None, Row | None]:
        """Lock the head; return it, the earlier append of that id, and where the stream stands.

        The later two queries see what was committed before the lock was given, because each
        statement of a READ COMMITTED transaction looks anew.
        """
        sql = self.driver.sql
        self.driver.begin(connection)
        with self.driver.pipeline(connection):
            head = connection.execute(self.driver.head_query)
            before = connection.execute(sql(_APPEND_OF_ID), (append_id,))
            standing = connection.execute(sql(_VERSION), (stream,))
        return head.fetchone() or (0, b""), before.fetchone(), standing.fetchone()

    def _leaves(self, connection: Connection, append: Append) -> list[bytes]:
        statement = "SELECT leaf FROM events WHERE position BETWEEN ? AND ? ORDER BY position"
        rows = connection.execute(self.driver.sql(statement), (append.first, append.last))
        return [leaf for (leaf,) in rows.fetchall()]

    def _stream(self, connection: Connection, stream: StreamName) -> tuple[int | None, Version]:
        row = connection.execute(self.driver.sql(_VERSION), (stream,)).fetchone()
        return (None, NEW) if row is None else (row[0], Version(row[1]))

    def _write(
        self,
        connection: Connection,
        stream_id: int,
        append: Append,
        events: Batch,
        *,
        tree: Edge,
        blobs: Sequence[Blob],
        also: Also | None,
    ) -> None:
        """Write an append, extend the tree of the log by it, and commit."""
        sql, few = self.driver.sql, list[EventRows]()
        if len(events) <= _FEW and sum(map(len, events.payloads)) <= _SMALL:
            tree = extended(tree, append, events, few.append)
        else:
            with self.driver.inserting(connection) as insert:
                tree = extended(tree, append, events, insert)
        root = tree.root()
        row = (append.first, append.last, stream_id, append.version, append.recorded_at)
        who = (append.actor, append.correlation, append.causation, append.append_id, root)
        for blob in blobs:
            connection.execute(sql(_INSERT_BLOB), blob)
        with self.driver.pipeline(connection):
            for event in (event for rows in few for event in zip(*rows, strict=True)):
                connection.execute(sql(_INSERT_EVENT), event)
            connection.execute(sql(_INSERT_APPEND), row + who)
            connection.execute(sql(_MOVE_HEAD), (tree.size, root, tree.to_bytes()))
            if also is None:
                connection.commit()
        if also is not None:
            also(connection, append.result())
            connection.commit()

    def _add_stream(self, connection: Connection, stream: StreamName) -> int:
        row = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM streams").fetchone()
        stream_id: int = row[0] if row else 1
        insert = self.driver.sql("INSERT INTO streams (id, name) VALUES (?, ?)")
        connection.execute(insert, (stream_id, stream))
        return stream_id

    def filled(self, rows: Sequence[Row]) -> list[EventRow]:
        """Return rows of ``events`` with the payloads that were moved to segments."""
        return self._archive.filled(rows)

    def _segments_of(self, position: int) -> Sequence[str]:
        found = self.rows(_SEGMENTS_OF, (position, position))
        return [digest for (digest,) in found]

    def _content_of(self, digest: str) -> bytes:
        return self.get_blob(Digest(digest))

    def _records(self, page: Page, rows: list[EventRow]) -> Iterator[Record]:
        """Yield the records of a page; a payload that is lost is empty, for readers to name."""
        if None in (row[3] for row in rows):
            rows = self.filled(rows)
        start = 0
        for append in page.appends:
            end = bisect(rows, append.last, start, key=_position)
            yield from records_of(append, rows[start:end])
            start = end


def _position(row: EventRow) -> Position:
    return Position(row[0])
