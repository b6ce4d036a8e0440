"""What a log says, whoever wrote it, when, and however often it was interrupted."""

from dataclasses import replace

from stairways.core import events as e
from stairways.core.values import Position
from stairways.readmodels.batch import OfRun
from stairways.service.stairway.journal import decoded
from stairways.store.contract import EventStore
from stairways.store.opening import open_store

INTERRUPTIONS = ("RunResumed", "RunStopped", "TrainingHalted", "HaltLifted")
"""What stands in the log only because somebody or something interrupted a run."""


def content(store: EventStore) -> list[tuple[str, e.Event]]:
    """Return what a log says, but for times, names of appends, and that it was resumed."""
    resumes = [record.position for record in store.read(types=INTERRUPTIONS)]
    records = (record for record in store.read() if record.type not in INTERRUPTIONS)
    return [(record.stream, renumbered(decoded(record), resumes)) for record in records]


def renumbered(event: e.Event, resumes: list[Position]) -> e.Event:
    """Return an event whose evidence is numbered as if nobody had ever resumed."""

    def moved(position: Position) -> Position:
        return Position(position - sum(resume < position for resume in resumes))

    match event:
        case e.EvaluationFinished() | e.FoldTestFinished() | e.BaselinesMeasured():
            first, last = event.evidence
            return replace(event, evidence=(moved(first), moved(last)))
        case e.GateDecided() | e.CycleVerdict() | e.ModelRolledBack() | e.SkillMeasured():
            return replace(event, evidence=tuple(map(moved, event.evidence)))
        case e.ModelPromoted():
            return replace(event, verdict=moved(event.verdict))
        case _:
            return event


def nameless(store: EventStore) -> list[tuple[str, e.Event]]:
    """Return the content of a log without the name of its run, which is made up, and machine."""
    return [(stream.partition("-")[0], _without_name(event)) for stream, event in content(store)]


def nameless_at(url: str) -> list[tuple[str, e.Event]]:
    """Return the same of the log in a database."""
    store = open_store(url)
    try:
        return nameless(store)
    finally:
        store.close()


def _without_name(event: e.Event) -> e.Event:
    if isinstance(event, e.RunStarted):
        return replace(event, machine={})
    if isinstance(event, OfRun):
        return replace(event, run="")
    return event
