"""Rows for people and for programs: tables, JSON and CSV from the same rows.

Stored text is shown as it is but never obeyed: no terminal escape, no table markup and no
spreadsheet formula that somebody put into a name or a reason does anything.
"""

import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Literal

import click
from rich.cells import cell_len
from rich.console import Console

from stairways.service.tabular import Cell, Row, csv_lines, json_lines, plain

Form = Literal["table", "json", "csv"]
Command = Callable[..., None]

GAP = 2
"""Spaces between columns."""

READABLE = 40
"""The least room in which text that is wrapped is still read with ease."""

INDENT = 2
"""Spaces before what goes on with a row that had no room on its first line."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of rows: its key, and for people a title and a way to show a value."""

    key: str
    title: str = ""
    show: Callable[[Cell], str] | None = None
    wraps: bool = False  # text that may take several lines where there is little room
    widest: int | None = None  # room that wrapped text may take, however wide the screen is

    @property
    def heading(self) -> str:
        """Return what stands above the column in a table."""
        return self.title or self.key.replace("_", " ")

    def shown(self, row: Row) -> str:
        """Return the column's value in ``row`` for eyes."""
        cell = row.get(self.key)
        return cell_text(cell) if self.show is None or cell is None else self.show(cell)


def form_options(command: Command) -> Command:
    """Add ``--json`` and ``--csv``; the command receives ``form``."""
    for flag, text in (("csv", "Print the rows as CSV."), ("json", "Print as JSON.")):
        command = click.option(f"--{flag}", "form", flag_value=flag, help=text)(command)
    return click.option("--table", "form", flag_value="table", default="table", hidden=True)(
        command
    )


def print_rows(out: Console, rows: Iterable[Row], keys: Sequence[Column | str], form: Form) -> None:
    """Print ``rows`` to stdout. JSON and CSV are written while the rows come in."""
    columns = [Column(key) if isinstance(key, str) else key for key in keys]
    match form:
        case "json":
            for line in json_lines(rows, [column.key for column in columns]):
                click.echo(line)
        case "csv":
            for line in csv_lines(rows, [column.key for column in columns]):
                click.echo(line, nl=False)
        case "table":
            for line in table_lines(list(rows), columns, out.width):
                click.echo(line)


def print_json(value: object) -> None:
    """Print a value as indented JSON; times are ISO 8601 in UTC."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=plain))


def table_lines(rows: Sequence[Row], columns: Sequence[Column], width: int) -> Iterator[str]:
    """Yield the lines of a table; numbers stand to the right, and nothing is cut off.

    Where ``width`` has no room for all columns, a row takes several lines: the columns go on
    below, indented, and text that may be wrapped follows after its heading.
    """
    return Table(columns, width).lines(rows)


class Table:
    """A table to which rows are added while it is read: headings once, columns never narrower."""

    def __init__(
        self, columns: Sequence[Column], width: int, least: Mapping[str, int] | None = None
    ) -> None:
        self._columns = columns
        self._width = width
        self._headings = [column.heading for column in columns]
        self._widest = [(least or {}).get(column.key, 0) for column in columns]
        self._headed = False

    def lines(self, rows: Sequence[Row]) -> Iterator[str]:
        """Yield the lines of further rows, after the headings if these are the first."""
        cells = [[column.shown(row) for column in self._columns] for row in rows]
        look = self._look(cells, [_is_numeric(rows, column) for column in self._columns])
        folds = sum(look.widths) + GAP * (len(look.widths) - 1) > self._width
        if not self._headed:
            yield from self._heading(look, folds=folds)
        for row in cells:
            yield from (
                _folded(row, self._columns, look, self._width)
                if folds
                else _row(row, self._columns, look)
            )

    def _heading(self, look: "_Look", *, folds: bool) -> Iterator[str]:
        self._headed = True
        every = range(len(self._columns))
        bands = _bands(self._columns, look.widths, self._width) if folds else [every]
        for number, places in enumerate(bands):
            indent = " " * INDENT * (number > 0)
            yield click.style(indent + look.line(self._headings, places), bold=True)

    def _look(self, cells: Sequence[Sequence[str]], right: Sequence[bool]) -> "_Look":
        """Return how wide each column is; what is left over goes to those that wrap."""
        for row in [self._headings, *cells]:
            self._widest = [
                max(*pair) for pair in zip(self._widest, map(cell_len, row), strict=True)
            ]
        widths = list(self._widest)
        wrapping = [i for i, column in enumerate(self._columns) if column.wraps]
        fixed = sum(widths) + GAP * (len(widths) - 1) - sum(widths[i] for i in wrapping)
        for i in wrapping:
            left = max(READABLE, (self._width - fixed) // len(wrapping))
            widths[i] = min(widths[i], self._columns[i].widest or left)
        return _Look(widths, right)


@dataclass(frozen=True, slots=True)
class _Look:
    """How wide each column is, and which stand to the right."""

    widths: Sequence[int]
    right: Sequence[bool]

    def line(self, cells: Sequence[str], places: Sequence[int]) -> str:
        """Return some of a row's cells on one line."""
        widths, right = [self.widths[i] for i in places], [self.right[i] for i in places]
        return _line([cells[i] for i in places], widths, right)


def _row(row: Sequence[str], columns: Sequence[Column], look: _Look) -> Iterator[str]:
    """Yield the lines of a row that has room for all columns side by side."""
    parts = [_wrapped(*one) for one in zip(row, look.widths, columns, strict=True)]
    for texts in zip_longest(*parts, fillvalue=""):
        yield _line(texts, look.widths, look.right)


def _folded(
    row: Sequence[str], columns: Sequence[Column], look: _Look, width: int
) -> Iterator[str]:
    """Yield the lines of a row that has no room for all columns side by side."""
    for number, places in enumerate(_bands(columns, look.widths, width)):
        yield " " * INDENT * (number > 0) + look.line(row, places)
    for column, text in zip(columns, row, strict=True):
        if column.wraps and text not in ("", "-"):
            yield from _told(f"{column.heading}: {text}", width)


def _bands(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[list[int]]:
    """Return which columns stand on each line of a row, all after the first line indented."""
    bands, left = [list[int]()], width
    for i in [i for i, column in enumerate(columns) if not column.wraps]:
        if bands[-1] and widths[i] > left:
            bands.append([])
            left = width - INDENT
        bands[-1].append(i)
        left -= widths[i] + GAP
    return bands


def _told(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, max(width, READABLE), initial_indent=" " * INDENT,
        subsequent_indent=" " * INDENT * 2, break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _wrapped(text: str, width: int, column: Column) -> list[str]:
    return (textwrap.wrap(text, width) or [""]) if column.wraps else [text]


def _line(texts: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        " " * (width - cell_len(text)) + text if end else text + " " * (width - cell_len(text))
        for text, width, end in zip(texts, widths, right, strict=True)
    )
    return (" " * GAP).join(padded).rstrip()


def cell_text(cell: Cell) -> str:
    """Return one value for eyes."""
    match cell:
        case None:
            return "-"
        case bool():
            return "yes" if cell else "no"
        case float():
            return f"{cell:.6g}"
        case Decimal():
            return f"{cell:,.2f}"
        case datetime():
            return utc_text(cell)
        case str():
            return shown(cell)
        case list() | tuple():
            return " ".join(map(cell_text, cell))
        case Mapping():
            return shown(json.dumps(cell, ensure_ascii=False, default=plain))
        case _:
            return str(cell)


def shown(text: str) -> str:
    """Return stored text with its control characters written out instead of obeyed."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def utc_text(time: datetime) -> str:
    """Return a time in UTC, to the second, or as exact as it is."""
    moment = time.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(sep=" ") + "Z"


def percent(share: Cell) -> str:
    """Return a share as a percentage for eyes."""
    return f"{share * 100:.1f}%" if isinstance(share, int | float) else cell_text(share)


def short(name: Cell) -> str:
    """Return the beginning of a digest, enough to tell it from others by eye."""
    return shown(str(name))[:12]


def brief(time: Cell) -> str:
    """Return a time in UTC to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}" if isinstance(time, datetime) else "-"


def _is_numeric(rows: Sequence[Row], column: Column) -> bool:
    cells = [row.get(column.key) for row in rows]
    return any(cell is not None for cell in cells) and all(
        cell is None or (isinstance(cell, int | float | Decimal) and not isinstance(cell, bool))
        for cell in cells
    )
