"""The tables of a log as they are, for an audit: read-only, nothing taken for granted.

Rows may hold anything: other types than declared, NULL, text that is no UTF-8, or be missing.
What a reader of the log could trust is for ``service.verify`` to find out.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from operator import itemgetter
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

import orjson
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from stairways.core.values import Digest
from stairways.errors import BlobMissingError, LogUnavailableError, SchemaMismatchError
from stairways.store import catalog
from stairways.store.blobs import unpack
from stairways.store.driver import Connection, Driver, Row
from stairways.store.guards import QUERIES, TABLES, missing_guards
from stairways.store.opening import PATIENCE, driver_for, newest_revision
from stairways.store.segments import Archive
from stairways.store.tables import APPEND_ONLY, NOT_BULK

_PAGE = 4096
_PAYLOAD = itemgetter(3)
_OF_TYPE = f"""
    SELECT position, payload FROM events
    WHERE type = ? AND {NOT_BULK} ORDER BY position"""  # noqa: S608


class Bounds(NamedTuple):
    """The head row and the ends of the tables, all seen at one moment."""

    size: Any
    root: Any
    edge: Any
    first_event: Any
    last_event: Any
    last_append: Any  # the last position of the last append


class RawAppend(NamedTuple):
    """A row of ``appends`` as it is."""

    first: Any
    last: Any
    stream: Any
    version: Any
    recorded_at: Any
    actor: Any
    correlation: Any
    causation: Any
    append_id: Any
    root: Any


class UnreadableRowsError(LogUnavailableError):
    """The database itself cannot read rows that it should hold."""


class RawLog:
    """The rows of a log, read on one connection of its own. Use it as a context."""

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self.url = url
        self.driver: Driver = driver_for(url, patience, read_only=True)
        self._connection: Connection | None = None
        self._archive = Archive(self.segments_claiming, self._content_of)
        self._claimed: Sequence[tuple[int, int, str]] | None = None

    def __enter__(self) -> Self:
        try:
            pooled = self.driver.engine.raw_connection()
        except self.driver.error as error:
            raise self.driver.explain(error) from error
        except DBAPIError as error:
            raise LogUnavailableError(f"The log does not open: {error.orig}") from error
        except SQLAlchemyError as error:
            raise LogUnavailableError(f"The log does not open: {error}") from error
        self._connection = pooled.driver_connection
        pooled.detach()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._connection.close()
        self.driver.engine.dispose()

    def bounds(self) -> Bounds:
        """Return head and ends as of one moment; what is missing is None."""
        rows = self.rows(
            "SELECT size, root, edge,"
            " (SELECT min(position) FROM events), (SELECT max(position) FROM events),"
            " (SELECT last FROM appends ORDER BY first DESC LIMIT 1)"
            " FROM (SELECT 1 AS one) AS here LEFT JOIN head ON head.id = here.one"
        )
        return Bounds(*rows[0])

    def revisions(self) -> list[object]:
        """Return what the database says about its schema: one revision, if all is well."""
        return [revision for (revision,) in self.rows("SELECT version_num FROM alembic_version")]

    def streams(self) -> list[Row]:
        """Return id and name of every stream."""
        return self.rows("SELECT id, name FROM streams ORDER BY id")

    def appends(self, until: int) -> Iterator[RawAppend]:
        """Yield the rows of ``appends`` whose first position is at most ``until``, in order."""
        seen = -(2**62)
        while True:
            rows = self.rows(
                "SELECT first, last, stream, version, recorded_at, actor, correlation, causation,"
                " append_id, root FROM appends WHERE first > ? AND first <= ?"
                " ORDER BY first LIMIT ?",
                (seen, until, _PAGE),
            )
            yield from map(RawAppend._make, rows)
            if len(rows) < _PAGE:
                return
            seen = rows[-1][0]

    def append_at(self, position: int) -> list[Row]:
        """Return the append that holds ``position``, with the stream's name, as readers see it."""
        return self.rows(
            "SELECT a.first, a.last, s.name, a.version, a.recorded_at, a.actor, a.correlation,"
            " a.causation, a.append_id FROM appends a JOIN streams s ON s.id = a.stream"
            " WHERE a.first <= ? ORDER BY a.first DESC LIMIT 1",
            (position,),
        )

    def events(self, first: int, last: int) -> list[Row]:
        """Return the rows of ``events`` from position ``first`` to ``last``.

        Payloads that were moved come from their segments; what none holds stays None.
        """
        rows = self.rows(
            "SELECT position, type, schema, payload, leaf FROM events"
            " WHERE position BETWEEN ? AND ? ORDER BY position",
            (first, last),
        )
        return self._archive.filled(rows) if None in map(_PAYLOAD, rows) else rows

    def checkpoints(self) -> list[Row]:
        """Return id and note of every signed checkpoint."""
        return self.rows("SELECT id, note FROM checkpoints ORDER BY id")

    def segments(self) -> list[Row]:
        """Return every row of ``segments``."""
        return self.rows(
            "SELECT position, stream, type, schema, first, last, events, digest FROM segments"
            " ORDER BY position"
        )

    def of_type(self, type_: str) -> list[Row]:
        """Return position and payload of every event of one of the rarer types."""
        return self.rows(_OF_TYPE, (type_,))

    def segments_claiming(self, position: int) -> Sequence[str]:
        """Return the segments that hold ``position`` by their row or by their event.

        Either may have been damaged: what counts is that the payload gives the leaf.
        """
        if self._claimed is None or not self._claims(position):
            self._claimed = [*self._claims_of_rows(), *self._claims_of_events()]
        return self._claims(position)

    def has_whole(self, digest: str) -> bool:
        """Say whether a blob is there and what its name says."""
        try:
            self._content_of(digest)
        except BlobMissingError:
            return False
        return True

    def blob_names(self) -> set[object]:
        """Return the digest of every blob."""
        return {digest for (digest,) in self.rows("SELECT digest FROM blobs")}

    def blobs(self) -> Iterator[Row]:
        """Yield digest, size, encoding and content of every blob, one at a time."""
        for (digest,) in self.rows("SELECT digest FROM blobs ORDER BY digest"):
            yield from self.rows(
                "SELECT digest, size, encoding, content FROM blobs WHERE digest = ?", (digest,)
            )

    def missing_tables(self) -> Sequence[str]:
        """Return the names of the log's tables that are not there.

        Raises ``SchemaMismatchError`` if none is, or if the log is of an older schema: that one
        never had them all.
        """
        present = {name for (name,) in self.rows(TABLES[self.driver.name])}
        missing = sorted({*APPEND_ONLY, "head"} - present)
        if not missing:
            return ()
        if len(missing) == len(APPEND_ONLY) + 1:
            raise SchemaMismatchError("This is no log of Stairways: it has none of its tables.")
        found = self.revisions() if "alembic_version" in present else []
        if found and isinstance(found[0], str) and found[0] < newest_revision():
            raise SchemaMismatchError(
                "The log is of an older schema. Bring it up to date with `stairways init`."
            )
        return missing

    def missing_guards(self) -> Sequence[str]:
        """Return the names of triggers that should protect the log and are not there."""
        return missing_guards(self.driver.name, self.rows(QUERIES[self.driver.name]))

    def foreign(self) -> Sequence[str]:
        """Return what acts on the log's tables without having been made by a migration."""
        return catalog.foreign(self.driver.name, self.rows(catalog.FOREIGN[self.driver.name]))

    def plan(self, columns: str, source: str) -> Sequence[str]:
        """Return how PostgreSQL would read a view or a query, in words; nothing if it could not."""
        asked = f"SELECT {columns} FROM {source} AS asked"  # noqa: S608 - names of ours
        try:
            rows = self._executed(f"EXPLAIN (VERBOSE, COSTS OFF) {asked}")
            return [str(line) for (line,) in rows]
        except self.driver.error as error:
            if self.driver.is_lost(error):
                raise self.driver.explain(error) from error
            return []

    def rows_by_index(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query, which PostgreSQL answers from an index if it has one."""
        ways = ("seqscan", "bitmapscan", "sort") if self.driver.name == "postgresql" else ()
        avoided = [f"SET LOCAL enable_{way} = off" for way in ways]
        return self._executed(*avoided, self.driver.sql(statement), parameters=parameters)

    def _executed(self, *statements: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of the last of some statements, which takes the parameters."""
        assert self._connection is not None, "use RawLog as a context"  # noqa: S101 - a slip
        try:
            for before in statements[:-1]:
                self._connection.execute(before)
            return self.driver.fetch(self._connection, statements[-1], parameters)
        finally:
            self._connection.rollback()

    def _claims(self, position: int) -> list[str]:
        claimed = self._claimed or ()
        return list(dict.fromkeys(d for first, last, d in claimed if first <= position <= last))

    def _claims_of_rows(self) -> Iterator[tuple[int, int, str]]:
        for *_, first, last, _, digest in self.segments():
            if isinstance(first, int) and isinstance(last, int) and isinstance(digest, str):
                yield first, last, digest

    def _claims_of_events(self) -> Iterator[tuple[int, int, str]]:
        for _, payload in self.of_type("SegmentSealed"):
            try:
                said = orjson.loads(payload)
                first, last, digest = said["first"], said["last"], said["segment"]
            except (orjson.JSONDecodeError, KeyError, TypeError):
                continue
            if isinstance(first, int) and isinstance(last, int) and isinstance(digest, str):
                yield first, last, digest

    def _content_of(self, digest: str) -> bytes:
        rows = self.rows(
            "SELECT digest, size, encoding, content FROM blobs WHERE digest = ?", (digest,)
        )
        return unpack(Digest(digest), rows)

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query; raises ``UnreadableRowsError`` if they are damaged."""
        try:
            return self._fetch(statement, parameters)
        except self.driver.error as error:
            if self.driver.is_lost(error):
                raise self.driver.explain(error) from error
            if "no such table" in str(error) or "does not exist" in str(error):
                raise SchemaMismatchError(f"A table of the log is missing: {error}.") from error
            raise UnreadableRowsError(str(error)) from error

    def _fetch(self, statement: str, parameters: Sequence[object]) -> list[Row]:
        connection = self._connection
        assert connection is not None, "use RawLog as a context"  # noqa: S101 - a caller's slip
        try:
            return self.driver.fetch(connection, self.driver.sql(statement), parameters)
        except sqlite3.OperationalError as error:
            if "UTF-8" not in str(error):
                raise
            return self._fetch_odd_text(statement, parameters)
        finally:
            connection.rollback()

    def _fetch_odd_text(self, statement: str, parameters: Sequence[object]) -> list[Row]:
        """Fetch rows with text that is no UTF-8, which becomes visible instead of an error."""
        connection = cast("sqlite3.Connection", self._connection)
        connection.text_factory = lambda content: content.decode(errors="backslashreplace")
        try:
            return connection.execute(statement, parameters).fetchall()
        finally:
            connection.text_factory = str
