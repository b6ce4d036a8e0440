"""Stored payloads of many events of one type -> columns, and the faults met on the way.

Decoding each event to an object costs more than everything else a replay does. Here the
payloads of a page are parsed in one go and each field becomes one array; only a field with
something wrong in it is looked at cell by cell. Nothing raises: what cannot be read is a fault.
"""

import dataclasses
import functools
import itertools
import math
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import orjson

from stairways import codec
from stairways.codec import Json
from stairways.core.replay.report import Plain
from stairways.core.values import LARGEST_WHOLE_NUMBER
from stairways.store.contract import Record

Array = npt.NDArray[typing.Any]
Cells = list[typing.Any]

PAYLOAD = "payload"
SHOWN_BYTES = 80


@dataclass(frozen=True, slots=True)
class Fault:
    """A cell, or a whole payload, that is not what its type promises."""

    row: int
    field: str
    symbol: int | None
    recorded: Plain
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Every field of n events as an array, ``(n,)`` or ``(n, N)``; faulty cells hold zero.

    ``readable`` says which payloads could be read at all.
    """

    fields: dict[str, Array]
    readable: npt.NDArray[np.bool_]
    faults: list[Fault]


def read_columns(event_type: type, records: Sequence[Record], symbols: int) -> Columns:
    """Return the columns of ``records``, all of them of ``event_type``.

    Tuples by symbol must have ``symbols`` entries. Real numbers must be finite and written
    the canonical way, whole numbers at most 2**53 - 1.
    """
    faults: list[Fault] = []
    rows = [_row(event_type, i, record, faults) for i, record in enumerate(records)]
    kinds = _kinds(event_type)
    _report_unknown_fields(kinds, rows, faults)
    fields = {name: _column(kinds[name], name, rows, symbols, faults) for name in kinds}
    readable = np.array([row is not None for row in rows], dtype=np.bool_)
    return Columns(fields, readable, sorted(faults, key=lambda fault: fault.row))


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a field holds: one value of ``scalar``, or one for each symbol."""

    scalar: type
    by_symbol: bool


@functools.cache
def _kinds(event_type: type) -> dict[str, _Kind]:
    hints = typing.get_type_hints(event_type)
    return {field.name: _kind(hints[field.name]) for field in dataclasses.fields(event_type)}


def _kind(hint: typing.Any) -> _Kind:  # noqa: ANN401 - an annotation may be anything
    by_symbol = typing.get_origin(hint) is tuple
    scalar = typing.get_args(hint)[0] if by_symbol else hint
    return _Kind(getattr(scalar, "__supertype__", scalar), by_symbol)


def _row(event_type: type, i: int, record: Record, faults: list[Fault]) -> dict[str, Json] | None:
    """Return the fields of one payload; ``None`` when it cannot be read at all."""
    try:
        value = orjson.loads(record.payload)
        if type(value) is not dict:
            faults.append(_payload_fault(i, record, "is not a JSON object"))
            return None
        if codec.canonical(value) != record.payload:
            faults.append(_payload_fault(i, record, "is not canonical JSON"))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        faults.append(_payload_fault(i, record, f"is not JSON ({error})"))
        return None
    newest = codec.type_of(event_type)[1]
    return value if record.schema == newest else _upcast(i, record, newest, value, faults)


def _upcast(
    i: int, record: Record, newest: int, fields: dict[str, Json], faults: list[Fault]
) -> dict[str, Json] | None:
    try:
        for version in range(record.schema, newest):
            fields = codec.UPCASTERS[record.type, version](fields)
    except (KeyError, TypeError, ValueError):
        newest = -1
    if record.schema > newest:
        faults.append(Fault(i, "schema", None, record.schema, "has an unknown schema version"))
        return None
    return fields


def _payload_fault(i: int, record: Record, reason: str) -> Fault:
    text = record.payload[:SHOWN_BYTES].decode(errors="replace")
    return Fault(i, PAYLOAD, None, text, reason)


def _report_unknown_fields(
    kinds: dict[str, _Kind], rows: Sequence[dict[str, Json] | None], faults: list[Fault]
) -> None:
    for i, row in enumerate(rows):
        if row is not None and row.keys() != kinds.keys():
            faults.extend(
                Fault(i, name, None, _plain(row[name]), "is no field of this event")
                for name in sorted(row.keys() - kinds.keys())
            )


def _column(
    kind: _Kind,
    name: str,
    rows: Sequence[dict[str, Json] | None],
    symbols: int,
    faults: list[Fault],
) -> Array:
    blank: Json = typing.cast("Json", _BLANKS[kind.scalar])
    if kind.by_symbol:
        blank = [blank] * symbols
    cells = _cells(name, rows, blank, faults)
    if not kind.by_symbol:
        values, bad = _READERS[kind.scalar](cells)
        faults.extend(Fault(i, name, None, _plain(cells[i]), reason) for i, reason in bad)
        return values
    entries = _entries(name, cells, symbols, blank, faults)
    values, bad = _READERS[kind.scalar](entries)
    faults.extend(
        Fault(k // symbols, name, k % symbols, _plain(entries[k]), reason) for k, reason in bad
    )
    return values.reshape(len(rows), symbols)


def _cells(
    name: str, rows: Sequence[dict[str, Json] | None], blank: Json, faults: list[Fault]
) -> Cells:
    """Return the field of each row, ``blank`` where there is none."""
    try:
        return [row[name] for row in rows]  # type: ignore[index] # None is what except is for
    except (KeyError, TypeError):
        faults.extend(
            Fault(i, name, None, None, "is missing")
            for i, row in enumerate(rows)
            if row is not None and name not in row
        )
        return [blank if row is None else row.get(name, blank) for row in rows]


def _entries(name: str, cells: Cells, symbols: int, blank: Json, faults: list[Fault]) -> Cells:
    """Return the entries of all tuples one after the other."""
    if set(map(type, cells)) - {list} or set(map(len, cells)) - {symbols}:
        bad = [i for i, c in enumerate(cells) if type(c) is not list or len(c) != symbols]
        reason = f"should have {symbols} entries"
        faults.extend(Fault(i, name, None, _plain(cells[i]), reason) for i in bad)
        cells = [blank if i in set(bad) else cell for i, cell in enumerate(cells)]
    return list(itertools.chain.from_iterable(cells))


Read = tuple[Array, list[tuple[int, str]]]


def _read_wholes(cells: Cells) -> Read:
    bad: list[tuple[int, str]] = []
    if set(map(type, cells)) - {int} or _largest(cells) > LARGEST_WHOLE_NUMBER:
        good = [type(c) is int and abs(c) <= LARGEST_WHOLE_NUMBER for c in cells]
        bad = [(i, "is not a whole number") for i, fine in enumerate(good) if not fine]
        cells = [cell if fine else 0 for cell, fine in zip(cells, good, strict=True)]
    return np.array(cells, dtype=np.int64), bad


def _largest(cells: Cells) -> int:
    return max(max(cells, default=0), -min(cells, default=0))


def _read_flags(cells: Cells) -> Read:
    bad: list[tuple[int, str]] = []
    if set(map(type, cells)) - {bool}:
        bad = [(i, "is not true or false") for i, c in enumerate(cells) if type(c) is not bool]
        cells = [cell is True for cell in cells]
    return np.array(cells, dtype=np.bool_), bad


def _read_texts(cells: Cells) -> Read:
    bad: list[tuple[int, str]] = []
    if set(map(type, cells)) - {str}:
        bad = [(i, "is not text") for i, c in enumerate(cells) if type(c) is not str]
        cells = [cell if type(cell) is str else "" for cell in cells]
    return np.array(cells, dtype=object), bad


def _read_reals(cells: Cells) -> Read:
    """Return real numbers, written as the shortest text that reads back the same bits."""
    if not set(map(type, cells)) - {str}:
        try:
            values = np.array(list(map(float, cells)), dtype=np.float64)
        except ValueError:
            values = np.array([math.nan])
        written = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
        if np.isfinite(values).all() and written == f"[{','.join(cells)}]".encode():
            return values, []
    bad = [(i, "is not a finite number as text") for i, c in enumerate(cells) if not _is_real(c)]
    wrong = {i for i, _ in bad}
    return np.array([0.0 if i in wrong else float(c) for i, c in enumerate(cells)]), bad


def _is_real(cell: object) -> bool:
    if not isinstance(cell, str):
        return False
    try:
        value = float(cell)
    except ValueError:
        return False
    return math.isfinite(value) and codec.real_text(value) == cell


def _plain(cell: object) -> Plain:
    """Return a stored value as a finding shows it."""
    if cell is None or isinstance(cell, bool | int | float | str):
        return cell
    return orjson.dumps(cell).decode()[:SHOWN_BYTES]


_READERS: dict[type, Callable[[Cells], Read]] = {
    int: _read_wholes,
    bool: _read_flags,
    float: _read_reals,
    datetime: _read_texts,
}
_BLANKS: dict[type, int | bool | str] = {int: 0, bool: False, float: "0.0", datetime: ""}
