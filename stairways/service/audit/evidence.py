"""Why a gate decided as it did, or a model is served: the chain of evidence, link by link.

Each link is a record of the log, rehashed when it is read, or content that the log names by
its digest. The chain ends where the log's knowledge begins: at the files the bars came from,
the settings, the code and the parameters the run started with.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stairways.core import events as e
from stairways.core.values import Digest, Position
from stairways.errors import BlobMissingError, NoSuchEventError, UnknownEventError
from stairways.readmodels.batch import MODEL_STREAM, decoded, run_of
from stairways.service.audit.asking import Filter, events
from stairways.service.audit.decisions import DECISIONS, serving
from stairways.service.audit.sentences import said, short
from stairways.service.stairway.journal import LANDMARKS
from stairways.store.contract import EventStore, Record
from stairways.store.sql import SqlStore

SHORTEST_DIGEST = 8
_MOST_PARENTS = 100
"""Generations of parameters that a chain follows back."""

RULING = {
    "hold_rate_range": ("gates.lowest_hold_rate", "gates.highest_hold_rate", "controller.guard"),
    "look_ahead": (),
    "ledger_replay": (),
}
"""Settings that rule a gate whose name is not that of its limit."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a chain: how deep it hangs, what it is to the link above, what it says.

    ``position`` and ``type`` are those of a record; content outside of records has neither.
    """

    depth: int
    role: str
    says: str
    position: Position | None = None
    type: str = ""


@dataclass(frozen=True, slots=True)
class _Story:
    """What a run and its model say about it, steps left out, in order."""

    run: str
    told: Sequence[tuple[Record, e.Event]]

    def at(self, position: Position) -> tuple[Record, e.Event] | None:
        """Return the event at a position, if it is one of the story."""
        return next((one for one in self.told if one[0].position == position), None)

    def start(self) -> tuple[Record, e.RunStarted]:
        """Return how the run began."""
        for record, event in self.told:
            if isinstance(event, e.RunStarted):
                return record, event
        raise NoSuchEventError(f"Run {self.run} has no RunStarted. Run `stairways verify`.")


def why(
    store: SqlStore, target: str, run: str | None = None, cycle: int | None = None
) -> list[Link]:
    """Return the chain of evidence behind a gate decision or a model.

    ``target`` is a position, the name of a gate (of the last decision in ``run`` and ``cycle``),
    the digest of parameters or its beginning, or the name of a model, which means what it
    serves now. Raises ``NoSuchEventError`` if nothing of that kind is in the log.
    """
    record = _target(store, target, run, cycle)
    event = decoded(record)
    story = _story(store, run_of(record, event))
    return [link for link in _chain(store, story, record, event) if link is not None]


def _target(store: SqlStore, target: str, run: str | None, cycle: int | None) -> Record:
    """Return the record that ``target`` means."""
    found = _by_position(store, target) if target.isascii() and target.isdigit() else None
    found = found or _gate(store, target, run, cycle)
    found = found or _by_digest(store, target) or _by_model(store, target)
    if found is None:
        raise NoSuchEventError(
            f"{target!r} is no position of a decision, no gate that was decided, no digest of "
            "promoted parameters and no model. `stairways audit gates` lists gates."
        )
    return found


def _by_position(store: SqlStore, target: str) -> Record | None:
    if len(target) > len(str(store.head().size)):
        return None
    place = Position(int(target))
    found = next(store.read(after=Position(place - 1), until=place, limit=1), None)
    if found is not None and found.type not in ("GateDecided", *DECISIONS, "EvaluationFinished"):
        raise NoSuchEventError(
            f"Position {place} is {found.type}; ask why of a GateDecided, CycleVerdict, "
            "ModelPromoted, ModelRolledBack or EvaluationFinished."
        )
    return found


def _gate(store: SqlStore, target: str, run: str | None, cycle: int | None) -> Record | None:
    found = None
    for record in store.read(types=("GateDecided",)):
        event = decoded(record)
        assert isinstance(event, e.GateDecided)  # noqa: S101 - only these were read
        meant = event.gate == target and run in (None, event.run) and cycle in (None, event.cycle)
        found = record if meant else found
    return found


def _by_digest(store: SqlStore, target: str) -> Record | None:
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_DIGEST},64}}", target):
        return None
    found = None
    for record in store.read(types=("EvaluationFinished", "EvaluationStarted", "ModelPromoted")):
        event = decoded(record)
        if isinstance(event, e.ModelPromoted | e.EvaluationStarted):
            found = record if event.parameters.startswith(target) else found
    return found


def _by_model(store: SqlStore, target: str) -> Record | None:
    stream = next((s for s in store.streams(MODEL_STREAM) if s == MODEL_STREAM + target), None)
    if stream is None:
        return None
    served = serving(list(store.read(stream=stream, types=DECISIONS)))
    if served is None:
        raise NoSuchEventError(f"Nothing was promoted yet under the model {target}.")
    return served.record


def _story(store: SqlStore, run: str) -> _Story:
    """Return the landmarks of a run; raises ``UnknownEventError`` where one cannot be read."""
    if not run:
        raise UnknownEventError("The record does not say of which run it is.")
    found = events(store, Filter(run=run, types=LANDMARKS))
    return _Story(run, [(record, decoded(record)) for record in found])


def _link(depth: int, role: str, told: tuple[Record, e.Event]) -> Link:
    record, event = told
    return Link(depth, role, said(event), record.position, record.type)


def _chain(store: EventStore, story: _Story, record: Record, event: e.Event) -> Iterator[Link]:
    """Yield the links from a decision down to bars, settings and code."""
    told = record, event
    match event:
        case e.GateDecided():
            yield _link(0, "decision", told)
            yield from _limits(story, event)
            yield from _compared(story, event)
            yield from _evaluated(store, story, record, event.cycle, event.attempt)
        case e.CycleVerdict():
            yield _link(0, "verdict", told)
            yield from _gates(story, event.evidence, 1)
            yield from _evaluated(store, story, record, event.cycle, event.attempt)
        case e.ModelPromoted():
            yield _link(0, "promotion", told)
            yield from _promotion(store, story, event)
        case e.ModelRolledBack():
            yield _link(0, "rollback", told)
            yield from _rollback(store, story, event)
        case e.EvaluationStarted() | e.EvaluationFinished():
            yield _link(0, "evaluation", told)
            yield from _evaluated(store, story, record, event.cycle, event.attempt)
        case _:
            yield _link(0, "decision", told)


def _promotion(store: EventStore, story: _Story, event: e.ModelPromoted) -> Iterator[Link]:
    for record, other in story.told:
        if isinstance(other, e.GateOverridden) and other.verdict == event.verdict:
            yield _link(1, "overridden by", (record, other))
    verdict = story.at(event.verdict)
    if verdict is None or not isinstance(verdict[1], e.CycleVerdict):
        return
    yield _link(1, "verdict", verdict)
    yield from _gates(story, verdict[1].evidence, 2)
    yield from _evaluated(store, story, verdict[0], event.cycle, verdict[1].attempt)


def _rollback(store: EventStore, story: _Story, event: e.ModelRolledBack) -> Iterator[Link]:
    for place in event.evidence:
        cause = story.at(place)
        if cause is not None:
            yield _link(1, "because of", cause)
    yield from _returned(story, event.parameters)
    yield from _grounds(store, story, 1)


def _returned(story: _Story, parameters: Digest) -> Iterator[Link]:
    """Yield where the parameters that were returned to had been promoted."""
    for record, other in story.told:
        if isinstance(other, e.ModelPromoted) and other.parameters == parameters:
            yield _link(1, "returned to", (record, other))
            return


def _gates(story: _Story, places: Sequence[Position], depth: int) -> Iterator[Link]:
    for place in places:
        gate = story.at(place)
        if gate is None:
            yield Link(depth, "gate", "is missing: run `stairways verify`", place)
        else:
            yield _link(depth, "gate", gate)


def _limits(story: _Story, event: e.GateDecided) -> Iterator[Link]:
    """Yield the settings that rule a gate."""
    record, start = story.start()
    names = RULING.get(event.gate, (f"gates.{event.gate}",))
    for name in names:
        if name in start.settings:
            text = f"{name} = {start.settings[name]}"
            yield Link(1, "limit", text, record.position, record.type)


def _compared(story: _Story, event: e.GateDecided) -> Iterator[Link]:
    """Yield the promotion of the model that a candidate was held against, where there is one."""
    for told in filter(None, map(story.at, event.evidence)):
        if isinstance(told[1], e.ModelPromoted):
            yield _link(1, "compared with", told)


def _evaluated(
    store: EventStore, story: _Story, until: Record, cycle: int, attempt: int
) -> Iterator[Link]:
    """Yield the evaluation an attempt was judged by, its training, and what both rest on."""
    evaluation = _last(story, until, (e.EvaluationFinished, e.EvaluationStarted), cycle, attempt)
    parameters = None
    for told in reversed(evaluation):
        yield _link(1, "measured by" if told[0].type.endswith("Finished") else "measured on", told)
        if isinstance(told[1], e.EvaluationStarted):
            parameters = told[1].parameters
    yield from _trained(story, until, cycle, attempt)
    yield from _ancestors(story, parameters, cycle, attempt)
    yield from _grounds(store, story, 1)


def _last(
    story: _Story, until: Record, kinds: tuple[type[e.Event], ...], cycle: int, attempt: int
) -> list[tuple[Record, e.Event]]:
    """Return the last event of each kind of an attempt, before or at a record."""
    found: dict[type, tuple[Record, e.Event]] = {}
    for record, event in story.told:
        mine = (getattr(event, "cycle", None), getattr(event, "attempt", None)) == (cycle, attempt)
        if mine and isinstance(event, kinds) and record.position <= until.position:
            found[type(event)] = (record, event)
    return [found[kind] for kind in kinds[::-1] if kind in found]


def _trained(story: _Story, until: Record, cycle: int, attempt: int) -> Iterator[Link]:
    kinds = (e.PolicyUpdated, e.CycleStarted)
    found = _last(story, until, kinds, cycle, attempt)
    for told in reversed(found):
        yield _link(2, "trained by" if told[0].type == "PolicyUpdated" else "trained in", told)
    begun = next((told for told in found if isinstance(told[1], e.CycleStarted)), None)
    if begun is not None:
        text = f"audit steps {story.run} --cycle {cycle} lists the steps it learned from"
        yield Link(3, "steps", text, begun[0].position, begun[0].type)


def _ancestors(
    story: _Story, parameters: Digest | None, cycle: int, attempt: int
) -> Iterator[Link]:
    """Yield where the parameters an attempt began from came from, generation by generation."""
    begun = {
        (event.cycle, event.attempt): event.parent
        for _, event in story.told
        if isinstance(event, e.CycleStarted)
    }
    ends = {
        event.parameters: (record, event)
        for record, event in story.told
        if isinstance(event, e.CycleFinished)
    }
    parent, seen = begun.get((cycle, attempt)), {parameters}
    for _ in range(_MOST_PARENTS):
        if parent is None or parent in seen:
            return
        seen.add(parent)
        told = ends.get(parent)
        if told is None:
            yield Link(2, "grown from", f"{short(parent)}: the parameters the run began with")
            return
        yield _link(2, "grown from", told)
        assert isinstance(told[1], e.CycleFinished)  # noqa: S101 - only these are in ends
        parent = begun.get((told[1].cycle, told[1].attempt))


def _grounds(store: EventStore, story: _Story, depth: int) -> Iterator[Link]:
    """Yield what a run rests on: settings, code, libraries, machine, bars and their sources."""
    record, start = story.start()
    yield _link(depth, "run", (record, start))
    here = record.position, record.type
    inner = depth + 1
    yield Link(
        inner, "settings", f"{len(start.settings)} settings, digest {start.settings_digest}", *here
    )
    yield Link(inner, "code", f"version {start.code_version}, digest {start.code_digest}", *here)
    libraries = ", ".join(f"{name} {version}" for name, version in start.libraries.items())
    yield Link(inner, "libraries", libraries, *here)
    if start.warm_start is not None:
        yield Link(inner, "warm start", f"from parameters {start.warm_start}", *here)
    yield from _bars(store, start, inner)


def _bars(store: EventStore, start: e.RunStarted, depth: int) -> Iterator[Link]:
    """Yield the registration of a run's bars, whether they are what it names, and the files."""
    for record in store.read(types=("DataRegistered",)):
        event = decoded(record)
        if isinstance(event, e.DataRegistered) and event.digest == start.data:
            yield _link(depth, "bars", (record, event))
            for name, digest in event.sources.items():
                text = f"{name}, SHA-256 {digest}"
                yield Link(depth + 1, "file", text, record.position, record.type)
            break
    else:
        yield Link(depth, "bars", f"{start.data} were never registered in this log")
    yield Link(depth + 1, "content", _blob(store, start.data))


def _blob(store: EventStore, digest: Digest) -> str:
    try:
        size = len(store.get_blob(digest))
    except BlobMissingError as error:
        return str(error)
    return f"blob {digest}: {size:,} bytes, whose SHA-256 is that name"
