"""Pages of the log, newest first: filters over millions of records at a bounded cost.

A page looks through a bounded part of the log. Where that part held fewer records than a page
has room for, the page says how far it came and where to go on, so that no question, however
rare its answer, keeps the database busy. Positions, types and appends narrow the search in the
database; payloads are read for the records that are shown, and for little else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import orjson

from stairways.core.values import Position
from stairways.service.runs import RUN_STREAM, run_stream
from stairways.store.contract import Record
from stairways.store.pages import append_from_row
from stairways.store.records import record_maker, to_microseconds
from stairways.store.sql import SqlStore
from stairways.store.tables import BULK_TYPES, NOT_BULK

ROWS = 50
"""Records on a page."""

CANDIDATES = 5_000
"""Records of a rare type that a page looks at."""

EVENTS = 100_000
"""Positions whose type a page looks at where no index finds the type."""

APPENDS = 20_000
"""Appends that one query looks at; a page asks ``WINDOWS`` times."""

WINDOWS = 5
CHUNK = 500
PIECE = 10_000

_APPEND = """a.first, a.last, s.name, a.version, a.recorded_at, a.actor, a.correlation,
           a.causation, a.append_id"""
_HOLDS = "a.first = (SELECT max(b.first) FROM appends b WHERE b.first <= e.position)"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some records, newest first, and where the neighbouring pages begin.

    ``older`` is None at the end of what was asked for. ``stopped`` is the position the search
    gave up at before the page was full; ``older`` goes on from there.
    """

    records: Sequence[Record]
    older: Position | None
    newer: Position | None
    stopped: Position | None


class _Way(NamedTuple):
    """A direction through the log, in the words of SQL."""

    beyond: str
    order: str
    sign: int


_DOWN, _UP = _Way("<", "DESC", -1), _Way(">", "ASC", 1)


class _Batch(NamedTuple):
    """Candidates in the order of the walk; up to ``reached`` none was left out."""

    positions: Sequence[int]
    reached: int


def page(
    store: SqlStore,
    wanted: Wanted,
    *,
    before: Position | None = None,
    after: Position | None = None,
    rows: int = ROWS,
) -> Page:
    """Return the page of the newest ``rows`` records, or those next to a position.

    With ``before`` those older than it, with ``after`` those newer, nearest first in both
    cases. A record that several pages could hold is on exactly one of a walk.
    """
    top = wanted.last or Position(store.head().size)
    bounds = replace(wanted, last=top)
    if after is None:
        return _older(store, bounds, before or Position(top + 1), rows, newest=before is None)
    found, stopped = _collect(store, bounds, _UP, after, rows)
    if len(found) <= rows and stopped is None:
        return _older(store, bounds, Position(top + 1), rows, newest=True)
    shown = found[:rows][::-1]
    newer = shown[0].position if len(found) > rows else stopped
    older = shown[-1].position if shown else Position(after + 1)
    return Page(records=shown, older=older, newer=newer, stopped=stopped)


def records_at(store: SqlStore, positions: Sequence[int]) -> list[Record]:
    """Return the records at ``positions``, in the order of the log."""
    found: list[Record] = []
    for start in range(0, len(positions), CHUNK):
        found += _records_at(store, positions[start : start + CHUNK])
    return sorted(found, key=lambda record: record.position)


def rare_positions(
    store: SqlStore, types: Sequence[str], first: int, last: int, limit: int = CANDIDATES
) -> list[int]:
    """Return the newest positions from ``first`` to ``last`` of types that are not frequent."""
    return sorted(_of_types(store, types, (first, last), _DOWN, limit).positions)


def _older(store: SqlStore, wanted: Wanted, before: Position, rows: int, *, newest: bool) -> Page:
    found, stopped = _collect(store, wanted, _DOWN, before, rows)
    shown = found[:rows]
    older = shown[-1].position if len(found) > rows else stopped
    newer = None if newest else Position((shown[0].position if shown else before - 1) or 0)
    return Page(records=shown, older=older, newer=newer, stopped=stopped)


def _collect(
    store: SqlStore, wanted: Wanted, way: _Way, start: int, rows: int
) -> tuple[list[Record], Position | None]:
    """Return up to ``rows`` + 1 records from ``start`` on, and where the search gave up."""
    found: list[Record] = []
    low, high = wanted.first, int(wanted.last or 0)
    bounds = (low, min(high, start - 1)) if way is _DOWN else (max(low, start + 1), high)
    reached = bounds[0] - 1 if way is _DOWN else bounds[1] + 1
    end = reached
    for batch in _walk(store, wanted, way, bounds, rows + 1):
        records = records_at(store, batch.positions)[:: way.sign]
        found += [record for record in records if _belongs(record, wanted)]
        reached = batch.reached
        if len(found) > rows:
            return found[: rows + 1], None
    return found, None if reached == end else Position(reached)


def _walk(
    store: SqlStore, wanted: Wanted, way: _Way, bounds: tuple[int, int], need: int
) -> Iterator[_Batch]:
    """Yield candidates; the last batch reaches the end, or the budget is used up."""
    if bounds[0] > bounds[1]:
        return
    if wanted.types and not set(wanted.types) & set(BULK_TYPES):
        yield from _walk_rare(store, wanted, way, bounds)
    else:
        yield from _walk_appends(store, wanted, way, bounds, need)


def _walk_rare(
    store: SqlStore, wanted: Wanted, way: _Way, bounds: tuple[int, int]
) -> Iterator[_Batch]:
    """Find records by their type, and keep those whose append fits."""
    found = _of_types(store, wanted.types, bounds, way, CANDIDATES)
    for start in range(0, len(found.positions), CHUNK):
        some = found.positions[start : start + CHUNK]
        yield _Batch(_fitting(store, wanted, some), some[-1])
    yield _Batch((), found.reached)


def _of_types(
    store: SqlStore, types: Sequence[str], bounds: tuple[int, int], way: _Way, limit: int
) -> _Batch:
    """Return the candidates of some rare types, by the index, at most ``limit`` in all."""
    each = limit // len(types)
    end = bounds[0] - 1 if way is _DOWN else bounds[1] + 1
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
    return _Batch(sorted(kept, reverse=way is _DOWN), reached)


def _fitting(store: SqlStore, wanted: Wanted, positions: Sequence[int]) -> list[int]:
    """Return which of ``positions`` stand in appends that fit."""
    fit = _fit(store, wanted)
    if not fit.clause:
        return list(positions)
    rows = store.rows(
        f"SELECT e.position FROM events e JOIN appends a ON {_HOLDS}"  # noqa: S608 - constants
        f" WHERE e.position IN ({_marks(positions)}){fit.clause}",
        (*positions, *fit.values),
    )
    fitting = {position for (position,) in rows}
    return [position for position in positions if position in fitting]


def _walk_appends(
    store: SqlStore, wanted: Wanted, way: _Way, bounds: tuple[int, int], need: int
) -> Iterator[_Batch]:
    """Find appends that fit, and take their records, of the wanted types if any are named."""
    budget = EVENTS if wanted.types else CANDIDATES
    for ranges, reached in _windows(store, wanted, way, bounds):
        for first, last in ranges:
            some = (max(first, bounds[0]), min(last, bounds[1]))
            for batch, cost in _pieces(store, wanted.types, way, some, need):
                yield batch
                budget -= cost
                if budget <= 0:
                    return
        yield _Batch((), reached)


def _pieces(
    store: SqlStore, types: Sequence[str], way: _Way, bounds: tuple[int, int], need: int
) -> Iterator[tuple[_Batch, int]]:
    """Yield the records of ``types``, or all, within ``bounds``, and what each piece costs."""
    places = range(bounds[0], bounds[1] + 1)[:: way.sign]
    while places:
        some = places[: PIECE if types else need]
        kept = _typed(store, types, way, some, need) if types else some
        if types and len(kept) == need:  # the rest of the piece was not looked at
            some = some[: abs(kept[-1] - some[0]) + 1]
        yield _Batch(kept, some[-1]), len(some)
        places = places[len(some) :]


def _typed(store: SqlStore, types: Sequence[str], way: _Way, places: range, need: int) -> list[int]:
    rows = store.rows(
        "SELECT position FROM events WHERE position BETWEEN ? AND ?"  # noqa: S608 - constants
        f" AND type IN ({_marks(types)}) ORDER BY position {way.order} LIMIT ?",
        (min(places[0], places[-1]), max(places[0], places[-1]), *types, need),
    )
    return [position for (position,) in rows]


def _windows(
    store: SqlStore, wanted: Wanted, way: _Way, bounds: tuple[int, int]
) -> Iterator[tuple[list[tuple[int, int]], int]]:
    """Yield ranges of fitting appends, adjacent ones joined, and how far the search came."""
    fit = _fit(store, wanted)
    end = bounds[0] - 1 if way is _DOWN else bounds[1] + 1
    here = bounds[1] + 1 if way is _DOWN else _append_of(store, bounds[0]) - 1
    for _ in range(WINDOWS):
        rows, here = _window(store, fit, way, here, end)
        inside = [(a, b) for a, b in rows if a <= bounds[1] and b >= bounds[0]]
        is_over = way.sign * here >= way.sign * end
        yield _joined(inside), end if is_over else here
        if is_over:
            return


def _window(
    store: SqlStore, fit: "_Fit", way: _Way, here: int, end: int
) -> tuple[list[tuple[int, int]], int]:
    """Return the next appends that fit, and the last position looked at; ``end`` if no more."""
    reached = _reach(store, fit, way, here)
    limit = end if reached is None else reached
    side = "" if reached is None else f" AND a.first {'>=' if way is _DOWN else '<='} ?"
    found = store.rows(
        f"SELECT a.first, a.last FROM appends a WHERE a.first {way.beyond} ?{side}{fit.clause}"  # noqa: S608 - constants
        f" ORDER BY a.first {way.order} LIMIT ?",
        (here, *([] if reached is None else [reached]), *fit.values, CHUNK),
    )
    if len(found) == CHUNK:
        limit = found[-1][0] if way is _DOWN else found[-1][1]
    return [(first, last) for first, last in found], limit


def _reach(store: SqlStore, fit: "_Fit", way: _Way, here: int) -> int | None:
    """Return the first position of the last append that one query may look at."""
    rows = store.rows(
        f"SELECT a.first FROM appends a WHERE a.first {way.beyond} ?{fit.stream}"  # noqa: S608 - constants
        f" ORDER BY a.first {way.order} LIMIT 1 OFFSET ?",
        (here, *fit.streams, APPENDS - 1),
    )
    return rows[0][0] if rows else None


def _joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges of which those that touch became one, in the same order."""
    joined: list[tuple[int, int]] = []
    for first, last in ranges:
        if joined and last + 1 == joined[-1][0]:
            joined[-1] = (first, joined[-1][1])
        elif joined and first == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
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
    return _Fit(f" AND a.stream IN ({_marks(streams)})", streams, rest, tuple(asked.values()))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values)) or "NULL"


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


def _belongs(record: Record, wanted: Wanted) -> bool:
    """Say whether a record of another stream than the run's own tells of the run."""
    run = wanted.run
    return (
        not run
        or record.stream == run_stream(run)
        or record.correlation == run
        or b'"run":' + orjson.dumps(run) in record.payload
    )


def _records_at(store: SqlStore, positions: Sequence[int]) -> list[Record]:
    rows = store.rows(
        f"SELECT e.position, e.type, e.schema, e.payload, e.leaf, {_APPEND}"  # noqa: S608 - constants
        f" FROM events e JOIN appends a ON {_HOLDS} JOIN streams s ON s.id = a.stream"
        f" WHERE e.position IN ({_marks(positions)})",
        tuple(positions),
    )
    events = store.filled([row[:5] for row in rows])
    return [
        record_maker(append_from_row(row[5:]))(position, type_, schema, payload or b"", leaf)
        for row, (position, type_, schema, payload, leaf) in zip(rows, events, strict=True)
    ]
