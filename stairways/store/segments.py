"""Sealed segments: payloads of many events of one kind as columns of a compressed Parquet file.

A column has the name of a field; the items of a tuple are columns ``field.0``, ``field.1`` …
Whole numbers are 64-bit integers, real numbers doubles, times microseconds in UTC. A column that
others add up to, bit for bit in every row, is left empty (``DERIVED``). From them the canonical
bytes are written again, bit for bit. Payloads for which that does not work are kept as they are,
in a column ``payload``. Any reader of Parquet can read a segment.
"""

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import orjson

from stairways.codec import Column, canonical_rows
from stairways.core.values import LARGEST_WHOLE_NUMBER
from stairways.errors import BlobMissingError, NotCanonicalError
from stairways.store.driver import EventRow, Row

if TYPE_CHECKING:
    import polars as pl

EVENTS_A_SEGMENT = 2**14
_LEVEL = 19
_KEPT = 4
"""Segments that stay decoded, so that reading in order decodes each once."""

_POSITION, _PAYLOAD = "position", "payload"
_TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"
_LENGTH_OF_TIME = len("2026-01-07T14:30:00.000000Z")

Payloads = Mapping[int, bytes]
"""Position to payload."""

Reals = npt.NDArray[np.float64]


def _reward(log_return: Reals, risk_free: Reals, penalty: Reals, hold_bonus: Reals) -> Reals:
    return log_return - risk_free - penalty + hold_bonus


def _bonus(spread: Reals, fast: Reals, slow: Reals) -> Reals:
    return spread * np.clip(1 + (fast + slow), 0, 2)


DERIVED: Mapping[str, tuple[Sequence[str], Callable[..., Reals]]] = {
    "reward": (("log_return", "risk_free", "drawdown_penalty", "hold_bonus"), _reward),
    "bonus": (("spread", "fast", "slow"), _bonus),
}
"""Columns that may follow from others: 7 bytes a row each, since nothing else compresses them.

Only additions, multiplications and comparisons, which IEEE 754 rounds alike on every machine.
"""


class Segment(NamedTuple):
    """A row of ``segments``: which payloads are in a sealed segment."""

    position: int  # of the event SegmentSealed
    stream: int
    type: str
    schema: int
    first: int
    last: int
    events: int
    digest: str


def pack_segment(payloads: Payloads) -> bytes:
    """Return a Parquet file from which ``unpack_segment`` gives exactly these payloads."""
    with contextlib.suppress(BlobMissingError, orjson.JSONDecodeError):
        content = _written(_columns(payloads))
        if unpack_segment(content) == payloads:
            return content
    return _written({_POSITION: list(payloads), _PAYLOAD: list(payloads.values())})


def unpack_segment(content: bytes) -> Payloads:
    """Return the payloads in a segment; raises ``BlobMissingError`` if it is none."""
    import polars as pl  # noqa: PLC0415 - only logs with segments pay for it

    try:
        table = pl.read_parquet(io.BytesIO(content), use_pyarrow=False)
        positions = table[_POSITION].to_list()
        if _PAYLOAD in table.columns:
            return dict(zip(positions, table[_PAYLOAD].to_list(), strict=True))
        rows = canonical_rows(_arrays(_completed(table.drop(_POSITION))), "segment")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, NotCanonicalError) as error:
        raise BlobMissingError(f"A segment is not what Stairways writes: {error}.") from error
    return dict(zip(positions, rows, strict=True))


class Archive:
    """Finds payloads that were moved to segments; the last few segments stay decoded.

    ``segments_of`` names the segments that may hold a position, ``content_of`` gives the bytes of
    one, or raises ``BlobMissingError``. Threads may share it.
    """

    def __init__(
        self,
        segments_of: Callable[[int], Iterable[str]],
        content_of: Callable[[str], bytes],
    ) -> None:
        self._segments_of = segments_of
        self._content_of = content_of
        self._decoded: dict[str, Payloads] = {}
        self._lock = Lock()

    def filled(self, rows: Sequence[Row]) -> list[EventRow]:
        """Return rows of ``events`` with their payloads; what no segment holds stays None."""
        with self._lock:
            return [row if row[3] is not None else self._filled(row) for row in rows]

    def _filled(self, row: Row) -> EventRow:
        position, type_, schema, _, leaf = row
        return position, type_, schema, self._payload(position), leaf

    def _payload(self, position: int) -> bytes | None:
        for payloads in self._decoded.values():
            if position in payloads:
                return payloads[position]
        for digest in self._segments_of(position):
            payload = self._open(digest).get(position)
            if payload is not None:
                return payload
        return None

    def _open(self, digest: str) -> Payloads:
        """Return what a segment holds, nothing if it is missing or damaged; remember it."""
        if digest not in self._decoded:
            try:
                payloads = unpack_segment(self._content_of(digest))
            except BlobMissingError:
                payloads = {}
            while len(self._decoded) >= _KEPT:
                del self._decoded[next(iter(self._decoded))]
            self._decoded[digest] = payloads
        return self._decoded[digest]


def _written(columns: Mapping[str, object]) -> bytes:
    import polars as pl  # noqa: PLC0415 - as above

    file = io.BytesIO()
    table = pl.DataFrame(columns)
    table.write_parquet(file, compression="zstd", compression_level=_LEVEL, row_group_size=2**20)
    return file.getvalue()


def _columns(payloads: Payloads) -> Mapping[str, object]:
    """Return the columns that payloads of one shape make; of none, if they have no shape."""
    rows = [orjson.loads(payload) for payload in payloads.values()]
    raw = {_POSITION: list(payloads), _PAYLOAD: list(payloads.values())}
    names = sorted(rows[0]) if rows and isinstance(rows[0], dict) else []
    if not names or any(not isinstance(row, dict) or sorted(row) != names for row in rows):
        return raw
    if {_POSITION, _PAYLOAD} & set(names) or any("." in name for name in names):
        return raw
    columns = dict[str, object]({_POSITION: raw[_POSITION]})
    for name in names:
        for part, values in _parts(name, [row[name] for row in rows]):
            column = _column(values)
            if column is None:
                return raw
            columns[part] = column
    return columns | {name: _nothing(len(rows)) for name in DERIVED if _follows(name, columns)}


def _follows(name: str, columns: Mapping[str, object]) -> bool:
    """Say whether a column comes out of others bit for bit."""
    inputs, _ = DERIVED[name]
    arrays = [np.asarray(columns[one]) for one in (name, *inputs) if one in columns]
    if len(arrays) <= len(inputs) or any(array.dtype != np.float64 for array in arrays):
        return False
    return _derived(name, dict(zip((name, *inputs), arrays, strict=True))).tobytes() == (
        arrays[0].tobytes()
    )


def _derived(name: str, columns: Mapping[str, Reals]) -> Reals:
    inputs, rule = DERIVED[name]
    with np.errstate(all="ignore"):  # what is not finite is no stored value, so it shows
        return rule(*(columns[one] for one in inputs))


def _nothing(rows: int) -> "pl.Series":
    import polars as pl  # noqa: PLC0415 - as above

    return pl.Series([None] * rows, dtype=pl.Float64)


def _parts(name: str, values: Sequence[object]) -> Iterator[tuple[str, Sequence[object]]]:
    """Yield the column of a field, or one for each item of its tuples."""
    tuples = [value for value in values if isinstance(value, list)]
    width = len(tuples[0]) if tuples else 0
    if len(tuples) == len(values) and width and all(len(one) == width for one in tuples):
        yield from ((f"{name}.{place}", [one[place] for one in tuples]) for place in range(width))
    else:
        yield name, values


def _column(values: Sequence[object]) -> object | None:
    """Return values as a column; None if they are not all whole, true or false, or text."""
    kinds = set(map(type, values))
    if kinds == {bool} or (kinds == {int} and _are_whole(cast("Sequence[int]", values))):
        return np.array(values)
    if kinds != {str}:
        return None
    texts = cast("Sequence[str]", values)
    times = _times(texts)
    return times if times is not None else _reals(texts) or texts


def _are_whole(values: Sequence[int]) -> bool:
    return max(map(abs, values)) <= LARGEST_WHOLE_NUMBER


def _times(texts: Sequence[str]) -> "pl.Series | None":
    import polars as pl  # noqa: PLC0415 - as above

    if any(len(text) != _LENGTH_OF_TIME or text[-1] != "Z" for text in texts):
        return None
    times = pl.Series(texts).str.to_datetime(_TIME, time_unit="us", time_zone="UTC", strict=False)
    return None if times.has_nulls() else times


def _reals(texts: Sequence[str]) -> "Sequence[float] | None":
    try:
        return [float(text) for text in texts]
    except ValueError:
        return None


def _completed(table: "pl.DataFrame") -> "pl.DataFrame":
    """Return a segment with the columns that were left empty."""
    import polars as pl  # noqa: PLC0415 - as above

    for name, (inputs, _) in DERIVED.items():
        reals = {one: table[one] for one in inputs if one in table.columns}
        if any(column.dtype != pl.Float64 for column in reals.values()):
            continue
        if len(reals) == len(inputs) and table.get_column(name, default=_nothing(0)).has_nulls():
            made = _derived(name, {one: column.to_numpy() for one, column in reals.items()})
            table = table.with_columns(pl.Series(name, made))
    return table


def _arrays(table: "pl.DataFrame") -> Mapping[str, Column]:
    """Return the columns of a segment as the codec writes them."""
    parts: dict[str, list[Column]] = {}
    for series in table:
        parts.setdefault(series.name.partition(".")[0], []).append(_array(series))
    return {
        name: columns[0] if f"{name}.0" not in table.columns else np.column_stack(columns)
        for name, columns in parts.items()
    }


def _array(series: "pl.Series") -> Column:
    import polars as pl  # noqa: PLC0415 - as above

    if series.dtype == pl.String:
        return [orjson.dumps(text)[1:-1].decode() for text in series.to_list()]
    if series.dtype == pl.Datetime:
        return series.dt.to_string(_TIME).to_list()
    return series.to_numpy()
