"""What the SQL store needs of a database driver; ``sqlite`` and ``postgres`` provide it."""

from collections.abc import Callable, Iterable, Sequence
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


EventRow = tuple[int, str, int, bytes, bytes]
"""A row of ``events``: position, type, schema, payload, leaf."""


class Driver(NamedTuple):
    """One kind of database.

    ``sql`` turns ``?`` into the driver's placeholder. ``lock_head`` begins a transaction and
    returns size and edge of the log, which nobody else can move until it ends.
    ``insert_events`` writes rows in bulk. ``explain`` makes an error of the driver one that
    a caller can act on; ``is_lost`` says whether a new connection may help.
    """

    name: str
    engine: Engine
    error: type[Exception]
    sql: Callable[[str], str]
    lock_head: Callable[[Connection], tuple[int, bytes]]
    insert_events: Callable[[Connection, Iterable[EventRow]], None]
    explain: Callable[[Exception], StairwaysError]
    is_lost: Callable[[Exception], bool]
