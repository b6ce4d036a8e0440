"""What the SQL store needs of a database driver; ``sqlite`` and ``postgres`` provide it."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Engine

from stairways.errors import StairwaysError

Row = tuple[Any, ...]


class Cursor(Protocol):
    """The result of a statement."""

    def fetchone(self) -> Row | None:
        """Return the next row."""
        ...

    def fetchall(self) -> list[Row]:
        """Return all rows that are left."""
        ...


class Connection(Protocol):
    """The part of a driver's own connection that the store uses."""

    def execute(self, statement: str, parameters: Sequence[object] = (), /) -> Cursor:
        """Run one statement."""
        ...

    def commit(self) -> None:
        """Make the transaction durable."""
        ...

    def rollback(self) -> None:
        """Undo the transaction."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


EventRow = tuple[int, str, int, bytes | None, bytes]
"""A row of ``events``: position, type, schema, payload (None if a segment holds it), leaf."""


class EventRows(NamedTuple):
    """Rows of ``events`` by column, all of the same length."""

    positions: Sequence[int]
    types: Sequence[str]
    schemas: Sequence[int]
    payloads: Sequence[bytes | None]  # None if a segment holds it
    leaves: Sequence[bytes]


InsertEvents = Callable[[EventRows], object]
"""Writes rows of ``events``."""


class Driver(NamedTuple):
    """One kind of database.

    ``sql`` turns ``?`` into the driver's placeholder. ``begin`` starts a transaction, and
    ``head_query`` in it reads size and edge of the log, which nobody else can then move.
    ``pipeline`` is a context in which statements need not wait for each other's answers.
    ``fetch`` returns all rows of a query, in the way that is quickest for many of them.
    ``load`` adds rows to a table, many at once.
    ``inserting`` is a context, outside of a pipeline, that gives a function to write rows of
    ``events`` in bulk; a server works on them while the next ones are made. ``explain``
    makes an error of the driver one that a caller can act on; ``is_lost`` says whether a new
    connection may help.
    """

    name: str
    engine: Engine
    error: type[Exception]
    sql: Callable[[str], str]
    head_query: str
    begin: Callable[[Connection], None]
    pipeline: Callable[[Connection], AbstractContextManager[object]]
    fetch: Callable[[Connection, str, Sequence[object]], list[Row]]
    load: Callable[[Connection, str, Sequence[str], Iterable[Row]], None]
    inserting: Callable[[Connection], AbstractContextManager[InsertEvents]]
    explain: Callable[[Exception], StairwaysError]
    is_lost: Callable[[Exception], bool]

    def lock_head(self, connection: Connection) -> tuple[int, bytes]:
        """Begin a transaction and return size and edge of the log, which stay till its end."""
        self.begin(connection)
        size, edge = connection.execute(self.head_query).fetchone() or (0, b"")
        return size, edge
