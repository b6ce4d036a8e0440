"""What was decided about models: what was served when, by whose decision, and what was undone."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from stairways.core import events as e
from stairways.core.values import Position
from stairways.readmodels.batch import MODEL_STREAM, RUN_STREAM, decoded
from stairways.service.audit.asking import Row
from stairways.service.audit.models import runs_of_model
from stairways.store.contract import EventStore, Record

DECISIONS = ("ModelPromoted", "ModelRolledBack", "GateOverridden", "CycleVerdict")
UNDOING = ("DivergenceDetected", "ModelRolledBack")

Promotion = e.ModelPromoted | e.ModelRolledBack


class Decision(NamedTuple):
    """A model was put into service: where that stands, what it says, and what it rests on."""

    record: Record
    event: Promotion
    by: str
    why: str


def rollbacks(store: EventStore, run: str | None = None) -> list[Row]:
    """Return every divergence and rollback of a run, or of all, in the order of the log."""
    found = []
    for record in store.read(types=UNDOING):
        event = decoded(record)
        row = _undone(record, event)
        if row is not None and run in (None, row["run"]):
            found.append(row)
    return found


def as_of(store: EventStore, moment: datetime, model: str | None = None) -> list[Row]:
    """Return what each model served at a moment, since when, and who decided it on what.

    A model that had nothing promoted yet is a row without parameters; one that did not exist
    yet is none. Raises ``NoSuchRunError`` for a ``model`` that the log does not know at all.
    """
    if model is not None:
        runs_of_model(store, model)
    streams = [s for s in store.streams(MODEL_STREAM) if model in (None, s[len(MODEL_STREAM) :])]
    rows = []
    for stream in streams:
        records = list(store.read(stream=stream, types=DECISIONS))
        past = [record for record in records if record.recorded_at <= moment]
        last = serving(past)
        if past:
            name = stream.removeprefix(MODEL_STREAM)
            rows.append(_served(name, last) if last else {"model": name, **_NOTHING})
    return rows


def last_time(store: EventStore) -> datetime | None:
    """Return when the newest event of the log was written, None if there is none."""
    size = store.head().size
    last = next(iter(store.read(after=Position(max(0, size - 1)), until=Position(size))), None)
    return None if last is None else last.recorded_at


def serving(records: list[Record]) -> Decision | None:
    """Return the decision by which a model is served after ``records`` of its stream."""
    found: Decision | None = None
    overrides: dict[Position, e.GateOverridden] = {}
    reasons: dict[Position, str] = {}
    for record in records:
        match event := decoded(record):
            case e.GateOverridden():
                overrides[event.verdict] = event
            case e.CycleVerdict():
                reasons[record.position] = event.reason
            case e.ModelPromoted():
                found = _promoted(record, event, overrides.get(event.verdict), reasons)
            case e.ModelRolledBack() if event.by:
                found = Decision(record, event, event.by, event.reason)
            case _:  # a rollback within training serves nothing else
                pass
    return found


def _promoted(
    record: Record,
    event: e.ModelPromoted,
    override: e.GateOverridden | None,
    reasons: dict[Position, str],
) -> Decision:
    if override is not None:
        return Decision(record, event, override.who, f"against the gates: {override.why}")
    return Decision(record, event, "the gates", reasons.get(event.verdict, ""))


_NOTHING: Row = {
    "parameters": None,
    "run": None,
    "cycle": None,
    "since": None,
    "decided_by": None,
    "reason": "nothing was promoted yet",
    "recorded_by": None,
    "position": None,
    "verdict": None,
    "profit": None,
}


def _served(model: str, last: Decision) -> Row:
    event = last.event
    return {
        "model": model,
        "parameters": event.parameters,
        "run": event.run,
        "cycle": event.cycle,
        "since": last.record.recorded_at,
        "decided_by": last.by,
        "reason": last.why,
        "recorded_by": last.record.actor,
        "position": last.record.position,
        "verdict": event.verdict if isinstance(event, e.ModelPromoted) else None,
        "profit": event.profit,
    }


def _undone(record: Record, event: e.Event) -> Row | None:
    place: Row = {
        "position": record.position,
        "recorded_at": record.recorded_at,
        "type": record.type,
        "actor": record.actor,
    }
    match event:
        case e.DivergenceDetected():
            measured: Row = {
                "run": record.stream.removeprefix(RUN_STREAM),
                "divergence": event.divergence,
                "limit": event.limit,
                "parameters": event.reference,
                "learning_rate": None,
                "by": "",
                "reason": "the parameters moved further than allowed",
                "evidence": (),
            }
        case e.ModelRolledBack():
            measured = {
                "run": event.run,
                "divergence": None,
                "limit": None,
                "parameters": event.parameters,
                "learning_rate": event.learning_rate,
                "by": event.by,
                "reason": event.reason,
                "evidence": event.evidence,
            }
        case _:  # nothing else was read
            return None
    return {**place, "cycle": event.cycle, "attempt": event.attempt, **measured}


def decisions(store: EventStore) -> Iterator[tuple[str, list[Record]]]:
    """Yield each model with the decisions about it, in order."""
    for stream in store.streams(MODEL_STREAM):
        yield stream.removeprefix(MODEL_STREAM), list(store.read(stream=stream, types=DECISIONS))
