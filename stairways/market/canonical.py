"""The canonical content of bars: one blob of bytes whose SHA-256 is the bars' digest.

Whoever holds the blob holds the bars, and can prove with ``sha256sum`` that they are the
ones a run names. Reading it needs numpy and nothing else, and trusts nothing it reads.

The blob is the line ``stairways-bars/1``, a line of JSON with sorted keys, then columns of
unsigned little-endian whole numbers one after the other. A column stands in the JSON as its
name, ``base``, ``unit`` and ``width``: value = base + unit * stored, where ``base`` is the
least value, ``unit`` the greatest common divisor of the differences from it (1 when there
are none) and ``width`` the fewest of 1, 2, 4 or 8 bytes that hold the largest. So equal
bars have equal bytes whoever writes them, without depending on a compressor's version. The
columns are the steps of ``times``, the steps of ``session``, the opening and closing of each
session, and for each symbol open, high, low, close and volume.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt

from stairways.core.values import LARGEST_WHOLE_NUMBER, Digest, digest_of
from stairways.errors import BarsRefusedError
from stairways.market.bars import Adjustment, Bars, Frequency, Int64

MAGIC = b"stairways-bars/1\n"
WIDTHS = (1, 2, 4, 8)
FIELDS = ("open", "high", "low", "close", "volume")
SYMBOL = re.compile(r"[A-Za-z0-9^][A-Za-z0-9.^=_-]{0,31}")
"""What a symbol may look like: it becomes part of file names, reports and JSON keys."""

LARGEST_HEADER = 1 << 20
_UNSIGNED = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<u8"}


@dataclass(frozen=True, slots=True)
class _Column:
    """How one column is stored."""

    name: str
    base: int
    unit: int
    width: int


def encode_bars(bars: Bars) -> bytes:
    """Return the canonical content of ``bars``; ``bars.digest`` plays no part in it."""
    return b"".join(_parts(bars))


def sealed(bars: Bars) -> Bars:
    """Return ``bars`` with the digest of their canonical content."""
    digest = hashlib.sha256()
    for part in _parts(bars):
        digest.update(part)
    return replace(bars, digest=Digest(digest.hexdigest()))


def decode_bars(content: bytes) -> Bars:
    """Return the bars whose canonical content is ``content``; their digest is its SHA-256.

    Raises ``BarsRefusedError`` if it is not exactly what ``encode_bars`` would write.
    """
    head, start = _read_header(content)
    try:
        bars = _read_bars(head, content, start)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BarsRefusedError(f"Not the canonical content of bars: {error}.") from error
    _refuse_faults(bars)
    return replace(bars, digest=digest_of(content))


def _parts(bars: Bars) -> list[bytes]:
    """Return the pieces of the canonical content, in order."""
    _refuse_faults(bars)
    packed = [_pack(name, values) for name, values in _columns_of(bars)]
    header = _header(bars, [column for column, _ in packed])
    return [MAGIC, header, *(content for _, content in packed)]


def _columns_of(bars: Bars) -> Iterator[tuple[str, Int64]]:
    starts = np.flatnonzero(np.diff(bars.session, prepend=-1))
    yield "times", _steps(bars.times)
    yield "session", _steps(bars.session)
    yield "session_open", bars.session_open[starts]
    yield "session_close", bars.session_close[starts]
    for field in FIELDS:
        values = cast("Int64", getattr(bars, field))
        for column, symbol in enumerate(bars.symbols):
            yield f"{field} {symbol}", values[:, column]


def _steps(values: Int64) -> Int64:
    """Return the differences between neighbours; the first value stands in the header."""
    return np.diff(values)


def _pack(name: str, values: Int64) -> tuple[_Column, bytes]:
    if not len(values):
        return _Column(name, 0, 1, 1), b""
    base = int(values.min())
    offsets = (values - base).astype(np.uint64)
    unit = max(1, int(np.gcd.reduce(offsets)))
    stored = offsets // np.uint64(unit) if unit > 1 else offsets
    width = next(w for w in WIDTHS if int(stored.max()) < 1 << 8 * w)
    return _Column(name, base, unit, width), stored.astype(_UNSIGNED[width]).tobytes()


def _header(bars: Bars, columns: Sequence[_Column]) -> bytes:
    head = {
        "adjustment": bars.adjustment,
        "calendar": bars.calendar,
        "columns": [[c.name, c.base, c.unit, c.width] for c in columns],
        "first": int(bars.times[0]),
        "frequency": bars.frequency,
        "rows": len(bars),
        "sessions": int(bars.session[-1]) + 1,
        "simulated": bars.simulated,
        "symbols": list(bars.symbols),
        "timezone": bars.timezone,
    }
    return json.dumps(head, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _read_header(content: bytes) -> tuple[dict[str, Any], int]:
    end = content.find(b"\n", len(MAGIC), len(MAGIC) + LARGEST_HEADER)
    if not content.startswith(MAGIC) or end < 0:
        raise BarsRefusedError("Not the canonical content of bars: it does not begin like one.")
    try:
        head = json.loads(content[len(MAGIC) : end])
    except (ValueError, RecursionError) as error:
        raise BarsRefusedError(f"Not the canonical content of bars: {error}.") from error
    if not isinstance(head, dict):
        raise BarsRefusedError("Not the canonical content of bars: its header is no object.")
    return head, end + 1


def _read_bars(head: dict[str, Any], content: bytes, start: int) -> Bars:
    rows, sessions, symbols = _whole(head["rows"]), _whole(head["sessions"]), head["symbols"]
    columns = [_Column(*map(_exactly, (str, int, int, int), c)) for c in head["columns"]]
    lengths = [rows - 1, rows - 1, sessions, sessions, *[rows] * (5 * len(symbols))]
    if len(columns) != len(lengths) or rows < 1 or not 1 <= sessions <= rows:
        raise ValueError(f"{len(columns)} columns for {rows} rows and {len(symbols)} symbols")
    pairs = list(zip(columns, lengths, strict=True))
    if start + sum(_width(c) * n for c, n in pairs) != len(content):
        raise ValueError("its length is not what its header says")
    values = _unpack_all(pairs, content, start)
    bars = _assemble(head, values, len(symbols))
    if encode_bars(bars) != content:
        raise ValueError("it is not in canonical form")
    return bars


def _whole(value: object) -> int:
    number: int = _exactly(int, value)
    if not 0 <= number <= LARGEST_WHOLE_NUMBER:
        raise ValueError(f"{number} is no count")
    return number


def _exactly(expected: type, value: Any) -> Any:  # noqa: ANN401 - it checks types at run time
    if type(value) is not expected:
        raise TypeError(f"expected {expected.__name__}, found {value!r}")
    return value


def _width(column: _Column) -> int:
    if column.width not in WIDTHS:
        raise ValueError(f"column {column.name!r} has width {column.width}")
    return column.width


def _unpack_all(pairs: Sequence[tuple[_Column, int]], content: bytes, start: int) -> list[Int64]:
    offsets = itertools.accumulate((c.width * n for c, n in pairs), initial=start)
    return [
        _unpack(column, np.frombuffer(content, _UNSIGNED[column.width], length, offset))
        for (column, length), offset in zip(pairs, offsets, strict=False)
    ]


def _unpack(column: _Column, stored: npt.NDArray[np.generic]) -> Int64:
    largest = int(cast("Int64", stored.max())) if len(stored) else 0
    last = column.base + column.unit * largest
    if column.unit < 1 or not -(2**63) <= column.base <= last < 2**63:
        raise ValueError(f"column {column.name!r} leaves 64 bits")
    return stored.astype(np.int64) * column.unit + column.base


def _assemble(head: dict[str, Any], values: Sequence[Int64], count: int) -> Bars:
    session = _running(0, values[1])
    if int(session[-1]) + 1 != head["sessions"] or np.any(values[1] < 0) or np.any(values[1] > 1):
        raise ValueError("its sessions do not count 0, 1, 2 …")
    tables = [
        np.column_stack(values[4 + f * count : 4 + (f + 1) * count]) for f in range(len(FIELDS))
    ]
    return Bars(
        symbols=tuple(_exactly(str, s) for s in head["symbols"]),
        frequency=head["frequency"],
        adjustment=head["adjustment"],
        timezone=_exactly(str, head["timezone"]),
        calendar=_exactly(str, head["calendar"]),
        simulated=_exactly(bool, head["simulated"]),
        times=_running(_exactly(int, head["first"]), values[0]),
        session=session,
        session_open=values[2][session],
        session_close=values[3][session],
        digest=Digest(""),
        **dict(zip(FIELDS, tables, strict=True)),
    )


def _running(first: int, steps: Int64) -> Int64:
    return np.concatenate([np.array([first], dtype=np.int64), steps]).cumsum()


def _refuse_faults(bars: Bars) -> None:
    """Raise ``BarsRefusedError`` unless ``bars`` are what ``Bars`` promises."""
    fault = next((reason for wrong, reason in _faults(bars) if wrong), None)
    if fault:
        raise BarsRefusedError(f"These bars cannot be used: {fault}.")


def _faults(bars: Bars) -> Iterator[tuple[bool, str]]:
    """Yield each broken promise of ``Bars``, cheapest first; later ones rely on earlier ones."""
    shape = (len(bars), len(bars.symbols))
    names_fit = all(SYMBOL.fullmatch(symbol) for symbol in bars.symbols)
    yield not bars.symbols or not names_fit, "a symbol is missing or has an odd name"
    yield len(set(bars.symbols)) < shape[1], "a symbol occurs twice"
    yield not len(bars), "there are none"
    yield bars.frequency not in get_args(Frequency), f"frequency {bars.frequency!r} is unknown"
    yield bars.adjustment not in get_args(Adjustment), f"adjustment {bars.adjustment!r} is unknown"
    tables = [getattr(bars, field) for field in FIELDS]
    yield any(table.shape != shape for table in tables), "a table has another shape"
    yield bool(np.any(np.diff(bars.times) <= 0)), "the times do not rise from bar to bar"
    yield any(int(table.max()) > LARGEST_WHOLE_NUMBER for table in tables), "a number is too large"
    yield any(int(table.min()) <= 0 for table in tables[:4]), "a price is not positive"
    yield int(bars.volume.min()) < 0, "a volume is negative"
