"""Rows as CSV and JSON, written while they come in, harmless to the programs that open them.

Text that a spreadsheet would run as a formula begins with an apostrophe; negative numbers stay
numbers. Times are ISO 8601 in UTC.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

Cell = (
    Mapping[str, "Cell"] | Sequence["Cell"] | datetime | Decimal | str | int | float | bool | None
)
Row = Mapping[str, Cell]

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def json_lines(rows: Iterable[Row], keys: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a JSON array that has one object on each line."""
    before = "["
    for row in rows:
        chosen = {key: row.get(key) for key in keys}
        yield before + json.dumps(chosen, ensure_ascii=False, default=plain)
        before = ","
    yield "]" if before == "," else "[]"


def csv_lines(rows: Iterable[Row], keys: Sequence[str]) -> Iterator[str]:
    """Yield CSV with a header; text that a spreadsheet would run is quoted."""
    yield _csv_line(keys)
    for row in rows:
        yield csv_line(row, keys)


def csv_line(row: Row, keys: Sequence[str]) -> str:
    """Return one line of CSV; see ``csv_lines``."""
    return _csv_line([_csv_cell(row.get(key)) for key in keys])


def plain(value: object) -> str | float:
    """Return what JSON has no type for: a time as ISO 8601, an amount as a number."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no JSON form.")


class _Echo:
    """What a writer of CSV writes to that is to give its line back."""

    def write(self, text: str) -> str:
        return text


_WRITER = csv.writer(_Echo(), lineterminator="\r\n")
"""It returns what it writes, and quotes a carriage return only because its lines end in one."""


def _csv_line(cells: Sequence[object]) -> str:
    line: str = _WRITER.writerow(cells)
    return line.removesuffix("\r\n") + "\n"


def _csv_cell(cell: Cell) -> object:
    match cell:
        case bool():
            return "true" if cell else "false"
        case None | int() | float() | Decimal():
            return cell
        case str():
            return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
        case datetime():
            return plain(cell)
        case _:
            return json.dumps(cell, ensure_ascii=False, default=plain)
