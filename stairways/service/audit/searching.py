"""Where in the log the records are that a filter lets through, at a bounded cost.

A filter is answered by whichever is cheaper: by the index of types, where all of them are rare,
or by walking the appends, which are hundreds of times fewer than the events. What tells of a run
is its own stream, what was written on its behalf, and what names it and was written on behalf of
no other run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson

from stairways.core.values import Position
from stairways.service.runs import RUN_STREAM, run_stream
from stairways.store.records import to_microseconds
from stairways.store.sql import SqlStore
from stairways.store.tables import BULK_TYPES, NOT_BULK

CANDIDATES = 5_000
"""Records that one search looks at one by one, or finds by a rare type."""

EVENTS = 100_000
"""Positions whose type one search looks at where no index finds the type."""

APPENDS = 20_000
"""Appends that one query looks at; a search asks ``WINDOWS`` times."""

WINDOWS = 5
A_QUERY = 500
"""Positions that cost as much to look at as a query of its own."""

CHUNK = 1_000
PIECE = 10_000

HOLDS = "a.first = (SELECT max(b.first) FROM appends b WHERE b.first <= e.position)"
"""That the append ``a`` holds the event ``e``."""

_ON_BEHALF = (
    "s.name = ? OR a.correlation = ?"
    " OR NOT EXISTS (SELECT 1 FROM streams r WHERE r.name = ? || a.correlation)"
)
_CONTAINS = {
    "sqlite": "instr(e.payload, ?) > 0",
    "postgresql": "position(CAST(? AS bytea) IN e.payload) > 0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records are wanted; what is left at its default restricts nothing."""

    run: str = ""
    stream: str = ""
    types: tuple[str, ...] = ()
    actor: str = ""
    correlation: str = ""
    causation: Position | None = None
    since: datetime | None = None
    until: datetime | None = None
    first: int = 1
    last: Position | None = None


class Way(NamedTuple):
    """A direction through the log, in the words of SQL."""

    beyond: str
    order: str
    sign: int


DOWN, UP = Way("<", "DESC", -1), Way(">", "ASC", 1)
Bounds = tuple[int, int]


class Batch(NamedTuple):
    """Positions found, in the order of the walk; up to ``reached`` none was left out."""

    positions: Sequence[int]
    reached: int


def search(store: SqlStore, wanted: Wanted, way: Way, bounds: Bounds, need: int) -> Iterator[Batch]:
    """Yield what is wanted between two positions; ``need`` is how much the caller will take.

    The last batch reaches the position beyond the bounds, or the budget was used up.
    """
    if bounds[0] > bounds[1]:
        return
    if _are_rare(wanted.types) and not wanted.run:
        yield from _by_types(store, wanted, way, bounds)
    else:
        yield from _by_appends(store, wanted, way, bounds, need)


def beyond(way: Way, bounds: Bounds) -> int:
    """Return the position that a walk has reached when it has seen everything."""
    return bounds[0] - 1 if way is DOWN else bounds[1] + 1


def marks(values: Sequence[object]) -> str:
    """Return a placeholder for each value."""
    return ", ".join("?" * len(values)) or "NULL"


def _are_rare(types: Sequence[str]) -> bool:
    """Say whether the index of types finds all of them."""
    return bool(types) and not set(types) & set(BULK_TYPES)


def _by_types(store: SqlStore, wanted: Wanted, way: Way, bounds: Bounds) -> Iterator[Batch]:
    """Find records by their type, and keep those whose append fits."""
    found = of_types(store, wanted.types, bounds, way, CANDIDATES)
    for start in range(0, len(found.positions), CHUNK):
        some = found.positions[start : start + CHUNK]
        yield Batch(_fitting(store, wanted, some), some[-1])
    yield Batch((), found.reached)


def of_types(
    store: SqlStore, types: Sequence[str], bounds: tuple[int, int], way: Way, limit: int
) -> Batch:
    """Return the candidates of some rare types, by the index, at most ``limit`` in all."""
    each = limit // len(types)
    end = bounds[0] - 1 if way is DOWN else bounds[1] + 1
    positions, reached = list[int](), end
    for name in types:
        rows = store.rows(
            f"SELECT position FROM events WHERE type = ? AND {NOT_BULK}"  # noqa: S608 - constants
            f" AND position BETWEEN ? AND ? ORDER BY position {way.order} LIMIT ?",
            (name, *bounds, each),
        )
        positions += [position for (position,) in rows]
        if len(rows) == each:
            reached = way.sign * min(way.sign * reached, way.sign * rows[-1][0])
    kept = (one for one in positions if way.sign * one <= way.sign * reached)
    return Batch(sorted(kept, reverse=way is DOWN), reached)


def _fitting(store: SqlStore, wanted: Wanted, positions: Sequence[int]) -> list[int]:
    """Return which of ``positions`` stand in appends that fit."""
    fit = _fit(store, wanted)
    if not fit.clause:
        return list(positions)
    rows = store.rows(
        f"SELECT e.position FROM events e JOIN appends a ON {HOLDS}"  # noqa: S608 - constants
        f" WHERE e.position IN ({marks(positions)}){fit.clause}",
        (*positions, *fit.values),
    )
    fitting = {position for (position,) in rows}
    return [position for position in positions if position in fitting]


def _by_appends(
    store: SqlStore, wanted: Wanted, way: Way, bounds: Bounds, need: int
) -> Iterator[Batch]:
    """Find appends that fit, and take their records, of the wanted types if any are named."""
    budget = EVENTS if wanted.types else CANDIDATES
    for spans, reached in _windows(store, wanted, way, bounds):
        for some in _grouped(spans, way, bounds):
            if isinstance(some, range):
                batches = _pieces(store, wanted.types, way, some, need)
            else:
                batches = iter([(_naming(store, wanted, some), len(some))])
            for batch, cost in batches:
                yield batch
                budget -= cost
                if budget <= 0:
                    return
        yield Batch((), reached)


def _grouped(spans: "Sequence[_Span]", way: Way, bounds: Bounds) -> Iterator[range | list[int]]:
    """Yield whole spans as ranges, and the positions of the others together in lists."""
    group: list[int] = []
    for span in spans:
        places = range(max(span.first, bounds[0]), min(span.last, bounds[1]) + 1)[:: way.sign]
        if span.whole or len(group) >= CHUNK:
            yield from (some for some in [group] if some)
            group = []
        if span.whole:
            yield places
        else:
            group += places
    if group:
        yield group


def _naming(store: SqlStore, wanted: Wanted, positions: Sequence[int]) -> Batch:
    """Return which of ``positions`` name the wanted run in their payload, and are of its types."""
    named, kept = b'"run":' + orjson.dumps(wanted.run), list[int]()
    kinds = f" AND e.type IN ({marks(wanted.types)})" if wanted.types else ""
    for start in range(0, len(positions), CHUNK):
        some = positions[start : start + CHUNK]
        rows = store.rows(
            f"SELECT e.position FROM events e WHERE e.position IN ({marks(some)})"  # noqa: S608 - constants
            f" AND {_CONTAINS[store.driver.name]}{kinds}",
            (*some, named, *wanted.types),
        )
        found = {position for (position,) in rows}
        kept += [position for position in some if position in found]
    return Batch(kept, positions[-1])


def _pieces(
    store: SqlStore, types: Sequence[str], way: Way, places: range, need: int
) -> Iterator[tuple[Batch, int]]:
    """Yield the records of ``types``, or all, at ``places``, and what each piece costs."""
    if _are_rare(types):
        ends = (min(places[0], places[-1]), max(places[0], places[-1]))
        found = of_types(store, types, ends, way, CANDIDATES)
        yield found._replace(reached=min(max(found.reached, ends[0]), ends[1])), A_QUERY
        return
    while places:
        some = places[: PIECE if types else need]
        kept = _typed(store, types, way, some, need) if types else some
        if types and len(kept) == need:  # the rest of the piece was not looked at
            some = some[: abs(kept[-1] - some[0]) + 1]
        yield Batch(kept, some[-1]), len(some)
        places = places[len(some) :]


def _typed(store: SqlStore, types: Sequence[str], way: Way, places: range, need: int) -> list[int]:
    rows = store.rows(
        "SELECT position FROM events WHERE position BETWEEN ? AND ?"  # noqa: S608 - constants
        f" AND type IN ({marks(types)}) ORDER BY position {way.order} LIMIT ?",
        (min(places[0], places[-1]), max(places[0], places[-1]), *types, need),
    )
    return [position for (position,) in rows]


class _Span(NamedTuple):
    """Positions of appends that fit; unless ``whole``, only those that name the wanted run."""

    first: int
    last: int
    whole: bool


def _windows(
    store: SqlStore, wanted: Wanted, way: Way, bounds: Bounds
) -> Iterator[tuple[list[_Span], int]]:
    """Yield spans of fitting appends, adjacent ones joined, and how far the search came."""
    fit, end = _fit(store, wanted), beyond(way, bounds)
    here = bounds[1] + 1 if way is DOWN else _append_of(store, bounds[0]) - 1
    for _ in range(WINDOWS):
        rows, here = _window(store, fit, way, here, end)
        inside = [one for one in rows if one.first <= bounds[1] and one.last >= bounds[0]]
        is_over = way.sign * here >= way.sign * end
        yield _joined(inside, wanted.run), end if is_over else here
        if is_over:
            return


class _Row(NamedTuple):
    """An append that fits."""

    first: int
    last: int
    stream: str
    correlation: str


def _window(store: SqlStore, fit: "_Fit", way: Way, here: int, end: int) -> tuple[list[_Row], int]:
    """Return the next appends that fit, and the last position looked at; ``end`` if no more."""
    reached = _reach(store, fit, way, here)
    limit = end if reached is None else reached
    side = "" if reached is None else f" AND a.first {'>=' if way is DOWN else '<='} ?"
    found = store.rows(
        "SELECT a.first, a.last, s.name, a.correlation FROM appends a"  # noqa: S608 - constants
        " JOIN streams s ON s.id = a.stream"
        f" WHERE a.first {way.beyond} ?{side}{fit.clause} ORDER BY a.first {way.order} LIMIT ?",
        (here, *([] if reached is None else [reached]), *fit.values, CHUNK),
    )
    if len(found) == CHUNK:
        limit = found[-1][0] if way is DOWN else found[-1][1]
    return [_Row(*row) for row in found], limit


def _reach(store: SqlStore, fit: "_Fit", way: Way, here: int) -> int | None:
    """Return the first position of the last append that one query may look at."""
    rows = store.rows(
        f"SELECT a.first FROM appends a WHERE a.first {way.beyond} ?{fit.stream}"  # noqa: S608 - constants
        f" ORDER BY a.first {way.order} LIMIT 1 OFFSET ?",
        (here, *fit.streams, APPENDS - 1),
    )
    return rows[0][0] if rows else None


def _joined(rows: Sequence[_Row], run: str) -> list[_Span]:
    """Return the spans of appends, of which those that touch and are alike became one."""
    joined: list[_Span] = []
    for first, last, stream, correlation in rows:
        whole = not run or stream == run_stream(run) or correlation == run
        before = joined[-1] if joined and joined[-1].whole == whole else None
        if before and last + 1 == before.first:
            joined[-1] = _Span(first, before.last, whole)
        elif before and first == before.last + 1:
            joined[-1] = _Span(before.first, last, whole)
        else:
            joined.append(_Span(first, last, whole))
    return joined


def _append_of(store: SqlStore, position: int) -> int:
    [(first,)] = store.rows("SELECT max(first) FROM appends WHERE first <= ?", (position,))
    return first or 0


class _Fit(NamedTuple):
    """What an append must be like, as SQL that begins with AND, and its values."""

    stream: str
    streams: Sequence[object]
    rest: str
    others: Sequence[object]

    @property
    def clause(self) -> str:
        return self.stream + self.rest

    @property
    def values(self) -> tuple[object, ...]:
        return (*self.streams, *self.others)


def _fit(store: SqlStore, wanted: Wanted) -> _Fit:
    """Return the conditions on an append, found streams by their numbers."""
    given = {
        "actor =": wanted.actor,
        "correlation =": wanted.correlation,
        "causation =": wanted.causation,
        "recorded_at >=": wanted.since and to_microseconds(wanted.since),
        "recorded_at <": wanted.until and to_microseconds(wanted.until),
    }
    asked = {name: value for name, value in given.items() if value not in ("", None)}
    rest = "".join(f" AND a.{name} ?" for name in asked)
    values = tuple(asked.values())
    if wanted.run:
        rest += f" AND ({_ON_BEHALF})"
        values += (run_stream(wanted.run), wanted.run, RUN_STREAM)
    streams = _streams(store, wanted)
    if streams is None:
        return _Fit("", (), rest, values)
    return _Fit(f" AND a.stream IN ({marks(streams)})", streams, rest, values)


def _streams(store: SqlStore, wanted: Wanted) -> list[object] | None:
    """Return the ids of the streams that can hold what is wanted; None means any."""
    where, parameters = list[str](), list[object]()
    if wanted.stream:
        where.append("name = ?")
        parameters.append(wanted.stream)
    if wanted.run:
        where.append("(name = ? OR substr(name, 1, 4) <> ?)")
        parameters += [run_stream(wanted.run), RUN_STREAM]
    if not where:
        return None
    query = f"SELECT id FROM streams WHERE {' AND '.join(where)}"  # noqa: S608 - constants
    return [number for (number,) in store.rows(query, parameters)]
