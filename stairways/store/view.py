"""What a view of the log is: its name, its columns with their types, what it reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stairways.store.tables import BULK_TYPES

Kind = Literal["whole", "micros", "real", "text", "flag", "time", "json"]

PREFIX = "audit_"
TYPES: dict[Kind, tuple[str, str]] = {
    "whole": ("INTEGER", "bigint"),
    "micros": ("INTEGER", "bigint"),
    "real": ("REAL", "double precision"),
    "text": ("TEXT", "text"),
    "flag": ("INTEGER", "boolean"),
    "time": ("TEXT", "timestamp with time zone"),
    "json": ("TEXT", "text"),
}
"""The type of each kind of column on SQLite and on PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view: the field of the event it shows, or one of several values in it."""

    name: str
    kind: Kind
    field: str = ""
    place: int | None = None  # of the value in the field, from 0; None shows all of it


@dataclass(frozen=True, slots=True)
class EventView:
    """The events of one type, each field a column."""

    name: str
    type: str
    columns: Sequence[Column]

    @property
    def is_bulk(self) -> bool:
        """Tell whether the type is too frequent to be found by an index."""
        return self.type in BULK_TYPES


@dataclass(frozen=True, slots=True)
class OtherView:
    """A view that sums up or unfolds others. ``{…}`` in its query differ by database."""

    name: str
    about: str
    columns: Sequence[tuple[Column, str]]  # with the meaning
    query: str


BASE = (
    Column("position", "whole"),
    Column("recorded_at", "time"),
    Column("actor", "text"),
)
"""The columns that every view of one type of event begins with; ``run`` follows if it has one."""
