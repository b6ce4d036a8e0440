"""What is remarkable about market data, as values; and which of it makes accounting wrong."""

from dataclasses import dataclass

REFUSED = {
    "empty price": "name the rows you know to be empty with empty_rows='drop', or choose a range",
    "price not positive": "choose a range without it",
    "price not finite": "repair the file or choose a range without it",
    "conflicting duplicate": "say which one counts with duplicates='first' or 'last'",
    "negative volume": "repair the file or choose a range without it",
}
"""The kinds that make accounting wrong, and what can be done about each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One remarkable thing about the bars of a symbol.

    ``row`` is the line of the file (the header is line 1; rows of Parquet count from 1), or
    0 when nothing in a file shows it, such as a missing session. ``time`` is nanoseconds
    since 1970 UTC, or None. ``count`` is how many bars, sessions or stamps it stands for.
    """

    kind: str
    symbol: str
    row: int
    time: int | None
    detail: str
    count: int = 1

    @property
    def refused(self) -> bool:
        """Whether bars with this finding would make accounting wrong."""
        return self.kind in REFUSED
