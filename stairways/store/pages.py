"""Reading in pages: which appends hold the wanted events, and their events in ranges."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol, cast

from stairways.core.values import Position, StreamName, Version
from stairways.store.driver import EventRow, Row
from stairways.store.records import Append
from stairways.store.tables import BULK_TYPES, NOT_BULK

EVENTS_A_PAGE = 4096
_APPENDS_A_PAGE = 512

_COLUMNS = """a.first, a.last, s.name, a.version, a.recorded_at, a.actor, a.correlation,
           a.causation, a.append_id"""
_OF_LOG = f"""
    SELECT {_COLUMNS} FROM appends a JOIN streams s ON s.id = a.stream
    WHERE a.first >= coalesce((SELECT max(first) FROM appends WHERE first <= ?), 1)
      AND a.first <= ?
    ORDER BY a.first LIMIT {_APPENDS_A_PAGE}"""  # noqa: S608 - constants of this module
_OF_STREAM = f"""
    SELECT {_COLUMNS} FROM appends a JOIN streams s ON s.id = a.stream
    WHERE a.stream = ?
      AND a.first >= coalesce((SELECT max(first) FROM appends WHERE stream = ? AND first <= ?), 1)
      AND a.first <= ?
    ORDER BY a.first LIMIT {_APPENDS_A_PAGE}"""  # noqa: S608 - constants of this module
_EVENTS = """
    SELECT position, type, schema, payload, leaf FROM events
    WHERE position BETWEEN ? AND ?{} ORDER BY position"""


_NO_STEPS = _EVENTS.format(" AND type <> 'StepTaken'")
_SOME = "SELECT position, type, schema, payload, leaf FROM events WHERE position IN ({})"


class Reader(Protocol):
    """Something that answers queries written with ``?`` placeholders."""

    def rows(self, statement: str, parameters: Sequence[object]) -> list[Row]:
        """Return the rows of a query."""
        ...


class Page(NamedTuple):
    """Positions ``first`` to ``last``, without a hole, and the appends that hold them."""

    first: int
    last: int
    appends: Sequence[Append]


def appends_after(
    reader: Reader, stream: StreamName | None, after: Position, until: Position
) -> Iterator[Append]:
    """Yield the appends that hold positions ``after < position <= until``, oldest first."""
    where: tuple[object, ...] = ()
    if stream is not None:
        ids = reader.rows("SELECT id FROM streams WHERE name = ?", (stream,))
        if not ids:
            return
        where = (ids[0][0], ids[0][0])
    query = _OF_LOG if stream is None else _OF_STREAM
    seen = int(after)
    while seen < until:
        found = [append_from_row(row) for row in reader.rows(query, (*where, seen + 1, until))]
        yield from (append for append in found if append.last > seen)
        if len(found) < _APPENDS_A_PAGE:
            return
        seen = found[-1].last


def append_from_row(row: Row) -> Append:
    """Return the append that a row of ``appends``, with the stream's name, describes."""
    first, last, stream, version, recorded_at, actor, correlation, causation, append_id = row
    return Append(
        first=Position(first),
        last=Position(last),
        stream=StreamName(stream),
        version=Version(version),
        recorded_at=recorded_at,
        actor=actor,
        correlation=correlation,
        causation=causation,
        append_id=append_id,
    )


def pages(
    appends: Iterable[Append], after: Position, until: Position, size: int = EVENTS_A_PAGE
) -> Iterator[Page]:
    """Cut what ``appends`` hold into pages of at most ``size`` positions without a hole."""
    first, last, held = 0, 0, list[Append]()
    for append in appends:
        start, end = max(append.first, after + 1), min(append.last, until)
        if held and start != last + 1:
            yield Page(first, last, held)
            held = []
        if not held:
            first = start
        held.append(append)
        last = end
        while last - first + 1 >= size:
            yield Page(first, first + size - 1, held)
            first += size
            held = [append] if first <= last else []
    if held:
        yield Page(first, last, held)


def events_of(reader: Reader, page: Page, types: Sequence[str] = ()) -> list[EventRow]:
    """Return the rows of ``events`` in a page, only those of ``types`` if any are named."""
    rows = reader.rows(
        _EVENTS.format(_type_filter(types)), (page.first, page.last, *dict.fromkeys(types))
    )
    return cast("list[EventRow]", rows)


def skimmed(reader: Reader, page: Page) -> list[EventRow]:
    """Return the rows of a page, but of each append's ``StepTaken`` only the first and the last.

    What the steps between them say is in the events that follow, so a fold need not see them.
    """
    rows = reader.rows(_NO_STEPS, (page.first, page.last))
    there, missing = {row[0] for row in rows}, set[int]()
    for append in page.appends:
        first, last = max(page.first, append.first), min(page.last, append.last)
        steps = (position for position in range(last, first - 1, -1) if position not in there)
        missing |= {*islice(steps, 1), *({first} - there)}
    if missing:
        rows += reader.rows(_SOME.format(", ".join("?" * len(missing))), sorted(missing))
        rows.sort()
    return cast("list[EventRow]", rows)


def _type_filter(types: Sequence[str]) -> str:
    """Return the condition on the type, worded so that the partial index can serve it."""
    names = dict.fromkeys(types)
    if not names:
        return ""
    rare = "" if set(names) & set(BULK_TYPES) else f" AND {NOT_BULK}"
    return f" AND type IN ({', '.join('?' * len(names))}){rare}"
