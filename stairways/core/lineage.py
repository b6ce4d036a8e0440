"""Which parameters a run had at a moment, and from which captured state they come."""

from collections.abc import Iterable
from dataclasses import dataclass

from stairways.core import events as e
from stairways.core.values import Digest, Position

Placed = tuple[Position, e.Event]
"""An event and its place in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The parameters of a run as they stood after the event at ``position``.

    ``state`` was captured at ``captured``. When that is the same event it holds these very
    parameters; otherwise the updates after ``captured`` lead to them.
    """

    position: Position
    kind: str  # of the event at ``position``
    parameters: Digest
    captured: Position
    state: Digest

    @property
    def is_captured(self) -> bool:
        """Tell whether the state at hand holds the parameters themselves."""
        return self.captured == self.position


def standing(events: Iterable[Placed], until: Position) -> Standing | None:
    """Return how a run stood after position ``until``; None before its first cycle.

    ``events`` are those of the run and of its model, in the order of the log.
    """
    found: Standing | None = None
    for position, event in events:
        if position > until:
            break
        found = _after(found, position, event)
    return found


def end_of_cycle(events: Iterable[Placed], cycle: int) -> Position | None:
    """Return where the last attempt at ``cycle`` made its last update; None if it made none."""
    ends = [
        position
        for position, event in events
        if isinstance(event, e.PolicyUpdated) and event.cycle == cycle
    ]
    return max(ends, default=None)


def calibrated(events: Iterable[Placed], parameters: Digest) -> tuple[Position, float] | None:
    """Return where ``parameters`` were last evaluated, and their base margin."""
    found = None
    for position, event in events:
        if isinstance(event, e.EvaluationStarted) and event.parameters == parameters:
            found = position, event.base_margin
    return found


def _after(before: Standing | None, position: Position, event: e.Event) -> Standing | None:
    """Return how the run stands after one more event."""
    match event:
        case e.CycleStarted():
            return _captured(position, event, event.parent, event.state)
        case e.PolicyUpdated(state=None) if before is not None:
            return Standing(
                position=position,
                kind=type(event).__name__,
                parameters=event.parameters,
                captured=before.captured,
                state=before.state,
            )
        case e.PolicyUpdated(state=str() as state):
            return _captured(position, event, event.parameters, Digest(state))
        case e.ModelRolledBack() | e.ModelPromoted():
            return _captured(position, event, event.parameters, event.state)
        case _:
            return before


def _captured(position: Position, event: e.Event, parameters: Digest, state: Digest) -> Standing:
    return Standing(
        position=position,
        kind=type(event).__name__,
        parameters=parameters,
        captured=position,
        state=state,
    )
