"""Where in the log the records are that a filter lets through, at a bounded cost.

A filter is answered by whichever is cheaper: by the index of types, where all of them are rare,
or by walking the appends, which are hundreds of times fewer than the events.
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

CANDIDATES = 20_000
"""Records that one search looks at one by one, or finds by a rare type."""

EVENTS = 100_000
"""Positions whose type one search looks at where no index finds the type."""

APPENDS = 20_000
"""Appends that one query looks at; a search asks ``WINDOWS`` times."""

WINDOWS = 5
CHUNK = 1_000
PIECE = 10_000

HOLDS = "a.first = (SELECT max(b.first) FROM appends b WHERE b.first <= e.position)"
"""That the append ``a`` holds the event ``e``."""

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
    if wanted.types and not set(wanted.types) & set(BULK_TYPES):
        yield from _by_types(store, wanted, way, bounds)
    else:
        yield from _by_appends(store, wanted, way, bounds, need)


def beyond(way: Way, bounds: Bounds) -> int:
    """Return the position that a walk has reached when it has seen everything."""
    return bounds[0] - 1 if way is DOWN else bounds[1] + 1


def marks(values: Sequence[object]) -> str:
    """Return a placeholder for each value."""
    return ", ".join("?" * len(values)) or "NULL"


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
    """Return which of ``positions`` stand in appends that fit, and tell of the wanted run."""
    fit, run = _fit(store, wanted), _telling(store, wanted.run)
    if not fit.clause:
        return list(positions)
    rows = store.rows(
        f"SELECT e.position FROM events e JOIN appends a ON {HOLDS}"  # noqa: S608 - constants
        f" JOIN streams s ON s.id = a.stream"
        f" WHERE e.position IN ({marks(positions)}){fit.clause}{run[0]}",
        (*positions, *fit.values, *run[1]),
    )
    fitting = {position for (position,) in rows}
    return [position for position in positions if position in fitting]


def _telling(store: SqlStore, run: str) -> tuple[str, tuple[object, ...]]:
    """Return the condition that a record is a run's own, belongs to it, or names it."""
    if not run:
        return "", ()
    clause = f" AND (s.name = ? OR a.correlation = ? OR {_CONTAINS[store.driver.name]})"
    return clause, (run_stream(run), run, _naming(run))


def _naming(run: str) -> bytes:
    """Return how a payload names a run."""
    return b'"run":' + orjson.dumps(run)


def _by_appends(
    store: SqlStore, wanted: Wanted, way: Way, bounds: Bounds, need: int
) -> Iterator[Batch]:
    """Find appends that fit, and take their records, of the wanted types if any are named."""
    budget = EVENTS if wanted.types else CANDIDATES
    for spans, reached in _windows(store, wanted, way, bounds):
        for span in spans:
            some = (max(span.first, bounds[0]), min(span.last, bounds[1]))
            for batch, cost in _pieces(
                store, wanted.types, way, some, need if span.whole else CHUNK
            ):
                kept = batch.positions if span.whole else _named(store, wanted.run, batch.positions)
                yield Batch(kept, batch.reached)
                budget -= cost
                if budget <= 0:
                    return
        yield Batch((), reached)


def _named(store: SqlStore, run: str, positions: Sequence[int]) -> list[int]:
    """Return which of ``positions`` name a run in their payload."""
    rows = store.rows(
        f"SELECT e.position FROM events e WHERE e.position IN ({marks(positions)})"  # noqa: S608 - constants
        f" AND {_CONTAINS[store.driver.name]}",
        (*positions, _naming(run)),
    )
    naming = {position for (position,) in rows}
    return [position for position in positions if position in naming]


def _pieces(
    store: SqlStore, types: Sequence[str], way: Way, bounds: tuple[int, int], need: int
) -> Iterator[tuple[Batch, int]]:
    """Yield the records of ``types``, or all, within ``bounds``, and what each piece costs."""
    places = range(bounds[0], bounds[1] + 1)[:: way.sign]
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
    streams = _streams(store, wanted)
    if streams is None:
        return _Fit("", (), rest, tuple(asked.values()))
    return _Fit(f" AND a.stream IN ({marks(streams)})", streams, rest, tuple(asked.values()))


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
