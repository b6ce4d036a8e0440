"""A run as tables with typed columns: CSV for spreadsheets, Parquet for everything else.

The tables are those of the views (docs/views.md) without ``audit_``. Rows are written while
they are read, so memory does not grow with the run.
"""

import functools
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import orjson

from stairways.codec import CLASSES
from stairways.core import events as e
from stairways.readmodels.batch import decoded
from stairways.service.tabular import csv_lines
from stairways.store.contract import Record
from stairways.store.event_views import EVENT_VIEWS
from stairways.store.view import PREFIX, Column, EventView

if typing.TYPE_CHECKING:
    import polars as pl

ROWS_A_PART = 20_000
Row = dict[str, Any]

VIEWS: Mapping[str, EventView] = {view.type: view for view in EVENT_VIEWS}
_GENERAL = "events"
_EVENT_COLUMNS = (
    "position", "stream", "version", "type", "schema", "recorded_at", "actor", "correlation",
    "causation", "append_id", "payload", "leaf",
)  # fmt: skip


def table_names() -> list[str]:
    """Return the names of all tables of an export."""
    return [_GENERAL, *(view.name.removeprefix(PREFIX) for view in EVENT_VIEWS)]


def write_csv(records: Iterable[Record], run: str, folder: Path) -> None:
    """Write one CSV file for each table; text a spreadsheet would run is made harmless."""
    folder.mkdir()
    with ExitStack() as stack:
        writers: dict[str, Callable[[Row], None]] = {}
        for name in table_names():
            file = stack.enter_context((folder / f"{name}.csv").open("w", encoding="utf-8"))
            writers[name] = functools.partial(_write_line, file, columns_of(name))
            file.write(next(csv_lines((), columns_of(name))))
        for record in records:
            for name, row in rows_of(record, run):
                writers[name](row)


def write_parquet(records: Iterable[Record], run: str, folder: Path) -> None:
    """Write one Parquet file for each table, whole numbers, reals, times and lists as such."""
    folder.mkdir()
    waiting: dict[str, list[Row]] = {name: [] for name in table_names()}
    parts = dict.fromkeys(waiting, 0)
    for record in records:
        for name, row in rows_of(record, run):
            waiting[name].append(row)
            if len(waiting[name]) >= ROWS_A_PART:
                _write_part(waiting[name], name, folder, parts[name])
                parts[name] += 1
                waiting[name] = []
    for name, rows in waiting.items():
        _write_part(rows, name, folder, parts[name])
        _join_parts(name, folder, parts[name] + 1)


def rows_of(record: Record, run: str) -> Iterator[tuple[str, Row]]:
    """Yield the rows a record adds, each with the name of its table."""
    plain = record._asdict() | {"leaf": record.leaf.hex()}
    text = record.payload.decode(errors="backslashreplace")
    yield _GENERAL, {**plain, "payload": text}
    view = VIEWS.get(record.type)
    if view is not None:
        event = decoded(record)
        yield (
            view.name.removeprefix(PREFIX),
            {
                "position": record.position,
                "recorded_at": record.recorded_at,
                "actor": record.actor,
                **{one.name: _value(event, one, run) for one in view.columns},
            },
        )


@functools.cache
def columns_of(name: str) -> Sequence[str]:
    """Return the names of a table's columns."""
    if name == _GENERAL:
        return _EVENT_COLUMNS
    view = next(one for one in EVENT_VIEWS if one.name == PREFIX + name)
    return ("position", "recorded_at", "actor", *(one.name for one in view.columns))


def _value(event: e.Event, column: Column, run: str) -> object:
    if column.name == "run":
        return getattr(event, "run", run)
    found = getattr(event, column.field)
    if column.place is not None:
        return found[column.place]
    return dict(found) if isinstance(found, Mapping) else found


def _write_line(file: TextIO, keys: Sequence[str], row: Row) -> None:
    lines = csv_lines((row,), keys)
    next(lines)  # the header
    file.write(next(lines))


def _write_part(rows: list[Row], name: str, folder: Path, number: int) -> None:
    import polars as pl  # noqa: PLC0415 - only Parquet pays for it

    texts = _texts(name)
    plain = [
        {k: orjson.dumps(v).decode() if k in texts and v is not None else v for k, v in r.items()}
        for r in rows
    ]
    table = pl.DataFrame(plain, schema=_schema(name), orient="row", strict=True)
    table.write_parquet(folder / f"{name}.{number}.part", compression="zstd")


def _join_parts(name: str, folder: Path, count: int) -> None:
    """Make one file of the parts of a table, streaming."""
    import polars as pl  # noqa: PLC0415 - only Parquet pays for it

    parts = [folder / f"{name}.{number}.part" for number in range(count)]
    if count == 1:
        parts[0].rename(folder / f"{name}.parquet")
        return
    pl.scan_parquet(parts).sink_parquet(folder / f"{name}.parquet", compression="zstd")
    for part in parts:
        part.unlink()


@functools.cache
def _schema(name: str) -> "dict[str, pl.DataType]":
    """Return the type of each column of a table, as polars names them."""
    import polars as pl  # noqa: PLC0415 - only Parquet pays for it

    moment = pl.Datetime("us", "UTC")
    whole = ("position", "version", "schema", "causation")
    known: dict[str, pl.DataType] = {one: pl.Int64() for one in whole}
    known |= {"recorded_at": moment}
    if name == _GENERAL:
        return {one: known.get(one, pl.String()) for one in _EVENT_COLUMNS}
    view = next(one for one in EVENT_VIEWS if one.name == PREFIX + name)
    kinds: dict[str, pl.DataType] = {
        "whole": pl.Int64(),
        "micros": pl.Int64(),
        "real": pl.Float64(),
        "text": pl.String(),
        "flag": pl.Boolean(),
        "time": moment,
    }
    columns = {"position": pl.Int64(), "recorded_at": moment, "actor": pl.String()}
    for one in view.columns:
        columns[one.name] = kinds[one.kind] if one.kind != "json" else _list_type(view, one)
    return columns


def _list_type(view: EventView, column: Column) -> "pl.DataType":
    """Return the type of a field of several values: a list, or JSON text for names to values."""
    import polars as pl  # noqa: PLC0415 - only Parquet pays for it

    item = _item(view, column)
    kinds = {int: pl.Int64(), float: pl.Float64(), bool: pl.Boolean(), str: pl.String()}
    return pl.List(kinds[item]) if item else pl.String()


@functools.cache
def _texts(name: str) -> frozenset[str]:
    """Return the columns of a table that are written as JSON text."""
    if name == _GENERAL:
        return frozenset()
    view = next(one for one in EVENT_VIEWS if one.name == PREFIX + name)
    return frozenset(c.name for c in view.columns if c.kind == "json" and not _item(view, c))


def _item(view: EventView, column: Column) -> type | None:
    """Return the type of the items of a tuple; None for a mapping."""
    hint = typing.get_type_hints(CLASSES[view.type])[column.field]
    if typing.get_origin(hint) is not tuple:
        return None
    inner = typing.get_args(hint)[0]
    found: type = getattr(inner, "__supertype__", inner)
    return found
