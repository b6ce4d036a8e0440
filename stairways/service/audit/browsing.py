"""Pages of the log, newest first: filters over millions of records at a bounded cost.

A page looks through a bounded part of the log. Where that part held fewer records than a page
has room for, the page says how far it came and where to go on, so that no question, however
rare its answer, keeps the database busy. Positions, types and appends narrow the search in the
database; payloads are read for the records that are shown, and for little else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stairways.core.values import Position
from stairways.service.audit.searching import (
    CANDIDATES,
    CHUNK,
    DOWN,
    HOLDS,
    UP,
    Wanted,
    Way,
    beyond,
    marks,
    of_types,
    search,
)
from stairways.store.contract import Record
from stairways.store.pages import append_from_row
from stairways.store.records import records_of
from stairways.store.sql import SqlStore

ROWS = 50
"""Records on a page."""

_APPEND = """a.first, a.last, s.name, a.version, a.recorded_at, a.actor, a.correlation,
           a.causation, a.append_id"""


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
    found, stopped = _collect(store, bounds, UP, after, rows)
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


def payloads_at(store: SqlStore, positions: Sequence[int]) -> list[tuple[str, bytes]]:
    """Return type and payload of the events at ``positions``, in the order of the log."""
    found = []
    for start in range(0, len(positions), CHUNK):
        some = positions[start : start + CHUNK]
        rows = store.rows(
            "SELECT position, type, schema, payload, leaf FROM events"  # noqa: S608 - constants
            f" WHERE position IN ({marks(some)}) ORDER BY position",
            tuple(some),
        )
        found += [(type_, payload or b"") for _, type_, _, payload, _ in store.filled(rows)]
    return found


def rare_positions(
    store: SqlStore, types: Sequence[str], first: int, last: int, limit: int = CANDIDATES
) -> list[int]:
    """Return the newest positions from ``first`` to ``last`` of types that are not frequent."""
    return sorted(of_types(store, types, (first, last), DOWN, limit).positions)


def _older(store: SqlStore, wanted: Wanted, before: Position, rows: int, *, newest: bool) -> Page:
    found, stopped = _collect(store, wanted, DOWN, before, rows)
    shown = found[:rows]
    older = shown[-1].position if len(found) > rows else stopped
    newer = None if newest else Position((shown[0].position if shown else before - 1) or 0)
    return Page(records=shown, older=older, newer=newer, stopped=stopped)


def _collect(
    store: SqlStore, wanted: Wanted, way: Way, start: int, rows: int
) -> tuple[list[Record], Position | None]:
    """Return up to ``rows`` + 1 records from ``start`` on, and where the search gave up."""
    found: list[Record] = []
    low, high = wanted.first, int(wanted.last or 0)
    bounds = (low, min(high, start - 1)) if way is DOWN else (max(low, start + 1), high)
    reached = end = beyond(way, bounds)
    for batch in search(store, wanted, way, bounds, rows + 1):
        found += records_at(store, batch.positions[: rows + 1 - len(found)])[:: way.sign]
        reached = batch.reached
        if len(found) > rows:
            return found, None
    return found, None if reached == end else Position(reached)


def _records_at(store: SqlStore, positions: Sequence[int]) -> list[Record]:
    rows = store.rows(
        f"SELECT e.position, e.type, e.schema, e.payload, e.leaf, {_APPEND}"  # noqa: S608 - constants
        f" FROM events e JOIN appends a ON {HOLDS} JOIN streams s ON s.id = a.stream"
        f" WHERE e.position IN ({marks(positions)})",
        tuple(positions),
    )
    events = store.filled([row[:5] for row in rows])
    return [
        record
        for row, event in zip(rows, events, strict=True)
        for record in records_of(append_from_row(row[5:]), [event])
    ]
