"""Rows for people and for programs: tables, JSON and CSV from the same rows.

Stored text is shown as it is but never obeyed: no terminal escape, no table markup and no
spreadsheet formula that somebody put into a name or a reason does anything.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

Cell = str | int | float | bool | datetime | None
Row = Mapping[str, Cell]
Form = Literal["table", "json", "csv"]
Command = Callable[..., None]

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def form_options(command: Command) -> Command:
    """Add ``--json`` and ``--csv``; the command receives ``form``."""
    for flag, text in (("csv", "Print the rows as CSV."), ("json", "Print as JSON.")):
        command = click.option(f"--{flag}", "form", flag_value=flag, help=text)(command)
    return click.option("--table", "form", flag_value="table", default="table", hidden=True)(
        command
    )


def print_rows(out: Console, rows: Sequence[Row], columns: Sequence[str], form: Form) -> None:
    """Print ``rows`` to stdout; ``columns`` are the keys to show, in order."""
    match form:
        case "json":
            print_json([{key: row.get(key) for key in columns} for row in rows])
        case "csv":
            click.echo(csv_text(rows, columns), nl=False)
        case "table":
            out.print(table(rows, columns))


def print_json(value: object) -> None:
    """Print a value as indented JSON; times are ISO 8601 in UTC."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def csv_text(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Return rows as CSV with a header; text that a spreadsheet would run is quoted."""
    lines = [_csv_line(columns)]
    lines.extend(_csv_line([_csv_cell(row.get(key)) for key in columns]) for row in rows)
    return "".join(lines)


def table(rows: Sequence[Row], columns: Sequence[str]) -> Table:
    """Return rows as a table; numbers stand to the right, nothing is cut off."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for key in columns:
        right = all(_is_number(row.get(key)) for row in rows) and bool(rows)
        made.add_column(
            key.replace("_", " "), justify="right" if right else "left", overflow="fold"
        )
    for row in rows:
        made.add_row(*(Text(cell_text(row.get(key))) for key in columns))
    return made


def cell_text(cell: Cell) -> str:
    """Return one value for eyes."""
    match cell:
        case None:
            return "-"
        case bool():
            return "yes" if cell else "no"
        case float():
            return f"{cell:.6g}"
        case datetime():
            return utc_text(cell)
        case str():
            return shown(cell)
        case _:
            return str(cell)


def shown(text: str) -> str:
    """Return stored text with its control characters written out instead of obeyed."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def utc_text(time: datetime) -> str:
    """Return a time in UTC, to the second, or as exact as it is."""
    moment = time.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(sep=" ") + "Z"


def percent(share: float | None, digits: int = 1) -> str | None:
    """Return a share as a percentage for eyes."""
    return None if share is None else f"{share * 100:.{digits}f}%"


def _is_number(cell: Cell) -> bool:
    if isinstance(cell, str):
        return cell.endswith("%")
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _csv_line(cells: Sequence[Cell]) -> str:
    """Return one line; a carriage return is quoted only by a writer whose lines end in one."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow(cells)
    return written.getvalue().removesuffix("\r\n") + "\n"


def _csv_cell(cell: Cell) -> Cell:
    match cell:
        case bool():
            return "true" if cell else "false"
        case datetime():
            return _plain(cell)
        case str() if cell.startswith(FORMULA_STARTS):
            return f"'{cell}"
        case _:
            return cell


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no JSON form.")
