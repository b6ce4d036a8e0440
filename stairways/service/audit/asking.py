"""Lists of what the log holds: runs, cycles, gates, events and steps."""

import heapq
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from stairways.core.projections import filled
from stairways.core.steering import Attempt, Steering
from stairways.core.values import MICROS_PER_DOLLAR, Position, StreamName
from stairways.errors import NoSuchEventError, UnknownEventError
from stairways.readmodels.rows import to_time
from stairways.service.folding import (
    folded_cycles,
    folded_data,
    folded_gates,
    folded_runs,
    folded_steering,
)
from stairways.service.runs import RUN_STREAM, run_stream
from stairways.store.contract import START, Record
from stairways.store.sql import SqlStore

Row = dict[str, Any]

TAIL = 1_000
"""Positions at the end of the log that are looked at first for the newest records."""

TAIL_GROWS = 8
"""How many times further back each next look begins."""

MONEY = frozenset({"prices", "costs", "interest", "borrow", "cash", "equity"})
ORDERS = ("sell", "hold", "buy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events are wanted; what is left at its default restricts nothing."""

    run: str | None = None
    cycle: int | None = None
    stream: str | None = None
    types: tuple[str, ...] = ()
    actor: str | None = None
    contains: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: Position = START
    to: Position | None = None


def runs(store: SqlStore) -> list[Row]:
    """Return all runs, newest first, with the symbols of their bars."""
    symbols = {row["digest"]: row["symbols"] for row in folded_data(store)}
    found = reversed(folded_runs(store))
    return [{**_timed(row), "symbols": symbols.get(row["data"], "")} for row in found]


def cycles(store: SqlStore, run: str) -> list[Row]:
    """Return every attempt at a cycle of a run, in order, with how it was steered.

    ``filled`` is how many orders were filled for each decision to trade on validation bars.
    """
    steered = steering(store, run)
    rows = folded_cycles(store, run)
    return [{**row, "filled": _filled(row), **asdict(_steered(steered, row))} for row in rows]


def _filled(row: Row) -> float | None:
    return filled(row["decisions"], row["hold_rate"], row["trades"])


def steering(store: SqlStore, run: str) -> Mapping[Attempt, Steering]:
    """Return how the controller's actuators fared in every attempt at a cycle of a run."""
    return folded_steering(store, run)


def _steered(steered: Mapping[Attempt, Steering], row: Row) -> Steering:
    return steered.get((row["cycle"], row["attempt"]), Steering())


def gates(store: SqlStore, run: str, cycle: int | None = None) -> list[Row]:
    """Return every gate decision of a run, or of one of its cycles, in order.

    Raises ``NoSuchEventError`` for a cycle that the run has not begun.
    """
    if cycle is not None:
        _range(store, Filter(run=run, cycle=cycle))
    return [_timed(row) for row in folded_gates(store, run) if cycle in (None, row["cycle"])]


def events(store: SqlStore, wanted: Filter) -> Iterator[Record]:
    """Yield the records that pass the filter, in the order of the log, at constant memory."""
    if wanted.to is not None:
        wanted = replace(wanted, to=Position(min(wanted.to, store.head().size)))
    found = _of_run(store, wanted, *_range(store, wanted)) if wanted.run else _of_log(store, wanted)
    return (record for record in found if _passes(record, wanted))


def newest(store: SqlStore, wanted: Filter, count: int) -> list[Record]:
    """Return the last ``count`` records that pass the filter, in the order of the log.

    The log is read from its end, as far back as it takes.
    """
    end = store.head().size if wanted.to is None else min(wanted.to, store.head().size)
    first, width = end, max(TAIL, 2 * count)
    while True:
        first, width = max(int(wanted.after), end - width), width * TAIL_GROWS
        part = replace(wanted, after=Position(first), to=Position(end))
        found = deque(events(store, part), maxlen=count)
        if len(found) == count or first <= wanted.after:
            return list(found)


def steps(
    store: SqlStore, run: str, cycle: int | None = None, *, validation: bool = False
) -> Iterator[Row]:
    """Yield every step of a run with what the controller made of it, money in dollars.

    Training steps by default, with ``validation`` those on validation bars.
    """
    first, last = _range(store, Filter(run=run, cycle=cycle))
    types = ("EvaluationStepTaken",) if validation else ("StepTaken", "ControllerUpdated")
    records = store.read(stream=run_stream(run), types=types, after=first, until=last)
    return map(_step_row, records) if validation else _with_controller(records)


def payload(record: Record) -> Any:  # noqa: ANN401 - any JSON
    """Return what an event says, as JSON; text that is no JSON is returned as it is."""
    try:
        return orjson.loads(record.payload)
    except ValueError:
        return record.payload.decode(errors="backslashreplace")


def _timed(row: Row) -> Row:
    """Return a row with its times as such."""
    return {key: to_time(cell) if key.endswith("_at") else cell for key, cell in row.items()}


def _range(store: SqlStore, wanted: Filter) -> tuple[Position, Position | None]:
    """Return after which and up to which position events can be wanted."""
    if wanted.run is None or wanted.cycle is None:
        return wanted.after, wanted.to
    starts = list(store.read(stream=run_stream(wanted.run), types=("CycleStarted",)))
    own = [i for i, record in enumerate(starts) if _cycle_of(record) == wanted.cycle]
    if not own:
        raise NoSuchEventError(f"Run {wanted.run} has no cycle {wanted.cycle} so far.")
    following = starts[own[-1] + 1].position if own[-1] + 1 < len(starts) else None
    end = store.head().size if following is None else following - 1
    last = end if wanted.to is None else min(end, wanted.to)
    return Position(max(wanted.after, starts[own[0]].position - 1)), Position(last)


def _cycle_of(record: Record) -> object:
    said = payload(record)
    return said.get("cycle") if isinstance(said, dict) else None


def _of_log(store: SqlStore, wanted: Filter) -> Iterator[Record]:
    stream = None if wanted.stream is None else StreamName(wanted.stream)
    return store.read(stream=stream, types=wanted.types, after=wanted.after, until=wanted.to)


def _of_run(
    store: SqlStore, wanted: Filter, first: Position, last: Position | None
) -> Iterable[Record]:
    """Yield a run's own records and those that other streams hold on its behalf, in order."""
    run = wanted.run or ""
    own = run_stream(run)
    others = [s for s in store.streams() if not s.startswith(RUN_STREAM)]
    reads = [
        store.read(stream=stream, types=wanted.types, after=first, until=last)
        for stream in (own, *others)
        if wanted.stream in (None, stream)
    ]
    merged = heapq.merge(*reads, key=lambda record: record.position)
    named = b'"run":' + orjson.dumps(run)
    return (
        record
        for record in merged
        if record.stream == own or record.correlation == run or named in record.payload
    )


def _passes(record: Record, wanted: Filter) -> bool:
    return (
        (wanted.actor is None or record.actor == wanted.actor)
        and (wanted.contains is None or _as_written(wanted.contains) in record.payload)
        and (wanted.since is None or record.recorded_at >= wanted.since)
        and (wanted.until is None or record.recorded_at < wanted.until)
    )


def _as_written(text: str) -> bytes:
    """Return a text as it stands inside a JSON string; bytes that are no text stand in none."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode(errors="surrogateescape")


def _with_controller(records: Iterable[Record]) -> Iterator[Row]:
    """Yield training steps in order, each with the controller's update of the same step.

    The two events of one step stand in one rollout, in any order.
    """
    waiting: dict[int, Row] = {}
    for record in records:
        row = _step_row(record)
        other = waiting.pop(row["step"], None)
        if other is None:
            waiting[row["step"]] = row
        else:
            step, controller = (row, other) if record.type == "StepTaken" else (other, row)
            yield {**controller, **step}
    yield from waiting.values()


def _step_row(record: Record) -> Row:
    """Return what a step or controller event says, money in dollars and actions in words."""
    if not record.payload:
        raise UnknownEventError(
            f"What the {record.type} at position {record.position} says is gone, or in a segment "
            "that is: run `stairways verify`."
        )
    try:
        fields = orjson.loads(record.payload)
        row = {name: _value(name, cell) for name, cell in fields.items()}
        if "action" in row:
            row["action"] = " ".join(action_words(row["action"], len(row["shares"])))
        return {"position": record.position, "step": row.pop("step"), **row}
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise UnknownEventError(
            f"The {record.type} at position {record.position} is damaged; run `stairways verify`."
        ) from error


def action_words(action: int, symbols: int) -> list[str]:
    """Return what an action orders for each symbol, first symbol highest in base 3."""
    digits = (action // 3**place % 3 for place in reversed(range(symbols)))
    return [ORDERS[digit] for digit in digits]


def _value(name: str, cell: Any) -> Any:  # noqa: ANN401 - any JSON
    if name in MONEY:
        return [_dollars(one) for one in cell] if isinstance(cell, list) else _dollars(cell)
    if name == "bar_time":
        return datetime.fromisoformat(cell)
    return float(cell) if isinstance(cell, str) else cell


def _dollars(micros: int) -> Decimal:
    return Decimal(micros) / MICROS_PER_DOLLAR
