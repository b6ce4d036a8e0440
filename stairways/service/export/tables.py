"""A run as tables with typed columns: CSV for spreadsheets, Parquet for everything else.

The tables are those of the views (docs/views.md) without ``audit_``. Rows are written while
they are read, so memory does not grow with the run.
"""

import functools
import itertools
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

import orjson

from stairways.codec import CLASSES
from stairways.core import events as e
from stairways.errors import ExportError
from stairways.readmodels.batch import decoded
from stairways.service.export.summaries import Summaries
from stairways.service.tabular import csv_line, csv_lines
from stairways.store.contract import Record
from stairways.store.event_views import EVENT_VIEWS
from stairways.store.view import PREFIX, Column, EventView, OtherView
from stairways.store.views import all_views
from stairways.store.views import columns_of as columns_of_view

if typing.TYPE_CHECKING:
    import polars as pl

ROWS_A_PART = 5_000
ROWS_A_GROUP = 10_000
"""Rows that are gathered before they are written, and those of a row group of a Parquet file."""

Row = dict[str, Any]

VIEWS: Mapping[str, EventView] = {view.type: view for view in EVENT_VIEWS}
_AGAIN = "audit_stream_events"
"""The view that shows the rows of another once more, in another order."""

_BY_NAME = {view.name.removeprefix(PREFIX): view for view in all_views() if view.name != _AGAIN}
_GENERAL = "events"


def table_names() -> list[str]:
    """Return the names of all tables of an export: those of the views."""
    return list(_BY_NAME)


def write_csv(records: Iterable[Record], run: str, folder: Path) -> None:
    """Write one CSV file for each table; text a spreadsheet would run is made harmless."""
    folder.mkdir()
    with ExitStack() as stack:
        writers: dict[str, Callable[[Row], None]] = {}
        for name in table_names():
            file = stack.enter_context((folder / f"{name}.csv").open("w", encoding="utf-8"))
            writers[name] = functools.partial(_write_line, file, columns_of(name))
            file.write(next(csv_lines((), columns_of(name))))
        for name, row in all_rows(records, run):
            writers[name](row)


def write_parquet(records: Iterable[Record], run: str, folder: Path) -> None:
    """Write one Parquet file for each table, whole numbers, reals, times and lists as such.

    Raises ``ExportError`` if the disk refuses.
    """
    folder.mkdir()
    waiting: dict[str, list[Row]] = {name: [] for name in table_names()}
    parts = dict.fromkeys(waiting, 0)
    for name, row in all_rows(records, run):
        waiting[name].append(row)
        if len(waiting[name]) >= ROWS_A_PART:
            _write_part(waiting[name], name, folder, parts[name])
            parts[name] += 1
            waiting[name] = []
    for name, rows in waiting.items():
        _write_part(rows, name, folder, parts[name])
        _join_parts(name, folder, parts[name] + 1)


def all_rows(records: Iterable[Record], run: str) -> Iterator[tuple[str, Row]]:
    """Yield the rows of all tables, each with the name of its table, while records are read."""
    summaries = Summaries(run)
    for record in records:
        for name, row in rows_of(record, run):
            yield name, row
            yield from summaries.take(name, row)
    yield from summaries.rest()


def rows_of(record: Record, run: str) -> Iterator[tuple[str, Row]]:
    """Yield the rows a record adds by itself, each with the name of its table."""
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
    return tuple(column.name for column in columns_of_view(_BY_NAME[name]))


def _value(event: e.Event, column: Column, run: str) -> object:
    if column.name == "run":
        return getattr(event, "run", run)
    found = getattr(event, column.field)
    if column.place is not None:
        return found[column.place]
    return dict(found) if isinstance(found, Mapping) else found


def _write_line(file: TextIO, keys: Sequence[str], row: Row) -> None:
    file.write(csv_line(row, keys))


def _write_part(rows: list[Row], name: str, folder: Path, number: int) -> None:
    import polars as pl  # noqa: PLC0415 - only Parquet pays for it

    columns: list[pl.Series] = []
    for column, type_ in _schema(name).items():
        cells = [row[column] for row in rows]
        if column in _texts(name):
            cells = [one if one is None else _json_text(one) for one in cells]
        columns.append(_series(column, cells, type_))
    with _writing():
        pl.DataFrame(columns).write_parquet(folder / f"{name}.{number}.part", compression="zstd")


@contextmanager
def _writing() -> Iterator[None]:
    """Say in a sentence that a disk took no more; polars often has no word of the system for it."""
    import polars as pl  # noqa: PLC0415 - only Parquet pays for it

    try:
        yield
    except pl.exceptions.PolarsError as error:
        raise ExportError(
            f"The tables cannot be written: {error}. Look whether the disk is full, make room, "
            "and export again."
        ) from error


def _series(name: str, cells: list[Any], type_: "pl.DataType") -> "pl.Series":
    """Return a column; lists of one length, as those by symbol are, are made at once."""
    import polars as pl  # noqa: PLC0415 - only Parquet pays for it

    width = len(cells[0]) if cells and isinstance(type_, pl.List) else 0
    if not width or any(len(one) != width for one in cells):
        return pl.Series(name, cells, type_, strict=True)
    inner = typing.cast("pl.List", type_).inner
    flat = pl.Series(name, [*itertools.chain.from_iterable(cells)], inner, strict=True)
    return flat.reshape((len(cells), width)).arr.to_list()


def _json_text(value: object) -> str:
    return orjson.dumps(value).decode()


def _join_parts(name: str, folder: Path, count: int) -> None:
    """Make one file of the parts of a table, streaming."""
    import polars as pl  # noqa: PLC0415 - only Parquet pays for it

    parts = [folder / f"{name}.{number}.part" for number in range(count)]
    if count == 1:
        parts[0].rename(folder / f"{name}.parquet")
        return
    with _writing():
        pl.scan_parquet(parts).sink_parquet(
            folder / f"{name}.parquet", compression="zstd", row_group_size=ROWS_A_GROUP
        )
    for part in parts:
        part.unlink()


@functools.cache
def _schema(name: str) -> "dict[str, pl.DataType]":
    """Return the type of each column of a table, as polars names them."""
    import polars as pl  # noqa: PLC0415 - only Parquet pays for it

    kinds: dict[str, pl.DataType] = {
        "whole": pl.Int64(),
        "micros": pl.Int64(),
        "real": pl.Float64(),
        "text": pl.String(),
        "flag": pl.Boolean(),
        "time": pl.Datetime("us", "UTC"),
    }
    view = _BY_NAME[name]
    return {
        one.name: kinds[one.kind] if one.kind != "json" else _list_type(view, one)
        for one in columns_of_view(view)
    }


def _list_type(view: EventView | OtherView, column: Column) -> "pl.DataType":
    """Return the type of a field of several values: a list, or JSON text for names to values."""
    import polars as pl  # noqa: PLC0415 - only Parquet pays for it

    item = _item(view, column)
    kinds = {int: pl.Int64(), float: pl.Float64(), bool: pl.Boolean(), str: pl.String()}
    return pl.List(kinds[item]) if item else pl.String()


@functools.cache
def _texts(name: str) -> frozenset[str]:
    """Return the columns of a table that are written as JSON text."""
    if name == _GENERAL:  # whose payload is text already
        return frozenset()
    view = _BY_NAME[name]
    found = (c for c in columns_of_view(view) if c.kind == "json" and not _item(view, c))
    return frozenset(column.name for column in found)


def _item(view: EventView | OtherView, column: Column) -> type | None:
    """Return the type of the items of a tuple; None for a mapping."""
    if isinstance(view, OtherView):
        return None
    hint = typing.get_type_hints(CLASSES[view.type])[column.field]
    if typing.get_origin(hint) is not tuple:
        return None
    inner = typing.get_args(hint)[0]
    found: type = getattr(inner, "__supertype__", inner)
    return found
