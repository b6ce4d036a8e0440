"""What is remarkable about market data, as values; and which of it makes accounting wrong."""

from dataclasses import dataclass
from datetime import UTC, datetime

from stairways.market.bars import Frequency

REFUSED = {
    "empty price": "Declare that empty rows are to be dropped, or choose a range without them",
    "price not positive": "Choose a range without it",
    "price not finite": "Choose a range without it",
    "conflicting duplicate": "Declare which of two duplicates counts, the first or the last",
    "negative volume": "Choose a range without it",
}
"""The kinds that make accounting wrong, and what can be done about each."""

NOTES = frozenset(
    {"date order", "continued", "placeholder", "vendor adjustment", "split applied", "simulated"}
)
"""The kinds that say what was done or declared; bars with only these are clean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One remarkable thing about the bars of a symbol.

    ``row`` is the line of ``file`` (the header is line 1; rows of Parquet count from 1), or
    0 when nothing in a file shows it, such as a missing session. ``time`` is nanoseconds
    since 1970 UTC, or None. ``count`` is how many bars, sessions or stamps it stands for.
    """

    kind: str
    symbol: str
    row: int
    time: int | None
    detail: str
    count: int = 1
    file: str = ""

    @property
    def place(self) -> str:
        """Return file and line, as far as they are known."""
        return f"{self.file}, line {self.row}" if self.file and self.row else self.file

    @property
    def refused(self) -> bool:
        """Whether bars with this finding would make accounting wrong."""
        return self.kind in REFUSED


def time_text(time: int, frequency: Frequency | None = None) -> str:
    """Return nanoseconds UTC for people: a date, with the minute for intraday bars."""
    moment = datetime.fromtimestamp(time // 10**9, UTC)
    day = frequency == "1d" or (frequency is None and not time % (86_400 * 10**9))
    return f"{moment:%Y-%m-%d}" if day else f"{moment:%Y-%m-%d %H:%M} UTC"
