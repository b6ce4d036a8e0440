"""Cells, tables and words of a report; everything stored is escaped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

Cell = object
Table = tuple[Sequence[str], Sequence[Sequence[Cell]]]


@dataclass(frozen=True, slots=True)
class Mark:
    """A cell that is HTML already: good or bad news, or a figure over its interval."""

    text: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A row of a table that says something in words about the row above it."""

    text: str


def mark(text: str, *, good: bool) -> Mark:
    """Return a cell that is good or bad news."""
    return Mark(f'<span class="{"good" if good else "bad"}">{escape(text)}</span>')


def section(title: str, inner: str) -> str:
    """Return a part of the page under a title."""
    return f"<section><h2>{escape(title)}</h2>{inner}</section>"


def table(
    names: Sequence[str],
    rows: Sequence[Sequence[Cell] | Remark],
    numbers: int,
    also: Sequence[int] = (),
) -> str:
    """Return a table whose first ``numbers`` columns, and those in ``also``, stand to the right."""
    right = {*range(numbers), *also} if len(names) > 2 else set[int]()  # noqa: PLR2004 - pairs
    kinds = [' class="n"' if place in right else "" for place in range(len(names))]
    head = "".join(f"<th{k}>{escape(n)}</th>" for k, n in zip(kinds, names, strict=True))
    body = "".join(_row(row, kinds) for row in rows)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(row: Sequence[Cell] | Remark, kinds: Sequence[str]) -> str:
    if isinstance(row, Remark):
        return f'<tr class="says"><td colspan="{len(kinds)}">{cell_text(row.text)}</td></tr>'
    cells = (f"<td{k}>{cell_text(c)}</td>" for k, c in zip(kinds, row, strict=True))
    return f"<tr>{''.join(cells)}</tr>"


def cell_text(value: Cell) -> str:
    """Return a cell as HTML in which no stored letter is obeyed."""
    if isinstance(value, Mark):
        return value.text
    text = "-" if value is None else str(value)
    return escape("".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text))


def interval(three: tuple[float, float, float], words: Callable[[float], str]) -> Mark:
    """Return a figure and under it its interval."""
    low, figure, high = (escape(words(one)) for one in three)
    return Mark(f"{figure}<br><small>{low} to {high}</small>")


def time_words(moment: datetime) -> str:
    """Return a time in UTC to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def percent(share: float | None) -> str:
    """Return a share as a percentage."""
    return "-" if share is None else f"{share:.1%}"


def round_percent(share: float) -> str:
    """Return a round share as a percentage with no more digits than it has."""
    return f"{share * 100:.4g}%"


def tenths(share: float) -> str:
    """Return a share as a percentage with its sign and one decimal."""
    return f"{share:+.1%}"


def hundredths(value: float) -> str:
    """Return a number with two decimals."""
    return f"{value:.2f}"


def signed(share: float | None) -> str:
    """Return a share as a percentage with its sign."""
    return "-" if share is None else f"{share:+.2%}"


def number(value: float | None) -> str:
    """Return a number to four digits."""
    return "-" if value is None else f"{value:.4g}"


def ratio(value: float | None) -> str:
    """Return how many of one thing there are for each of another."""
    return "-" if value is None else f"{value:.2f}"


def whole(value: float) -> str:
    """Return a whole number."""
    return f"{value:,.0f}"


def dollars(value: float) -> str:
    """Return dollars."""
    return f"${value:,.0f}"


def day(seconds: float) -> str:
    """Return the day of seconds since 1970."""
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%d}"


def capitalised(text: str) -> str:
    """Return a sentence without its dot, beginning large."""
    return (text[:1].upper() + text[1:]).rstrip(".")
