"""What only the user can say about a file, and how much of one is read at most.

A file that leaves one of these open is refused with the question; nothing is guessed.
"""

from dataclasses import dataclass, field
from typing import Literal

DateOrder = Literal["day-first", "month-first"]
Stamps = Literal["start", "end"]
Duplicates = Literal["refuse", "first", "last"]
EmptyRows = Literal["refuse", "drop"]
Hours = Literal["regular", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The largest file that is believed to be market data."""

    content: int = 4 << 30  # bytes, after decompression
    expansion: int = 200  # bytes of content to a byte of file, beyond the first block
    line: int = 1 << 20  # bytes
    columns: int = 4096
    rows: int = 20_000_000
    block: int = 16 << 20  # bytes read at a time
    cells: int = 4 << 20  # cells looked at at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Declarations about files.

    ``timezone`` is the IANA zone of time stamps without an offset. ``dates`` is the order of
    a date like 3/4/2024. ``stamps`` says whether an intraday bar bears the time at which it
    starts or ends. ``duplicates`` says which of two conflicting rows counts. ``empty_rows``
    allows rows without prices to be left out. ``hours`` keeps or leaves out what lies
    outside the exchange's session. ``first`` and ``last`` are session dates
    (``2024-01-31``), both included; rows outside are not looked at.
    """

    timezone: str | None = None
    dates: DateOrder | None = None
    stamps: Stamps | None = None
    duplicates: Duplicates = "refuse"
    empty_rows: EmptyRows = "refuse"
    hours: Hours = "regular"
    first: str | None = None
    last: str | None = None
    limits: Limits = field(default_factory=Limits)
