"""How far a run has come, folded from its events. Resuming a run is reading this."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from stairways.core import events as e
from stairways.core.values import Digest, Position

NO_ORDER = Position(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A promoted model: the reference for divergence and what a rollback returns to."""

    parameters: Digest
    state: Digest
    profit: float
    cycle: int
    base_margin: float
    margin_spread: float


@dataclass(frozen=True, slots=True)
class Anchor:
    """Parameters one can return to, and a captured state that holds them."""

    parameters: Digest
    state: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands. ``cycle`` and ``attempt`` are 0 before the first one starts."""

    cycle: int = 0
    attempt: int = 0
    started: bool = False  # the attempt has begun and not been given up
    update: int = 0
    hold_rates: tuple[float, ...] = ()  # of the attempt's rollouts
    steps: int = 0  # environment steps learned from, over all attempts
    divergence: float = 0.0  # after the last update
    trained: bool = False  # the attempt has taken all its steps
    decided: int = 0  # cycles that have a verdict
    promoted: int = 0
    state: Digest | None = None  # the last one captured
    initial: Digest | None = None  # the first one captured
    served: Served | None = None
    warm_start: Digest | None = None  # of imported parameters, the first reference
    order: Position = NO_ORDER  # of the operator's last order that was followed
    finished: bool = False

    @property
    def anchor(self) -> Anchor | None:
        """Return the reference of divergence, to which a rollback returns; None before one."""
        if self.served is not None:
            return Anchor(self.served.parameters, self.served.state)
        if self.warm_start is not None and self.initial is not None:
            return Anchor(self.warm_start, self.initial)
        return None


def evolve(progress: Progress, event: e.Event) -> Progress:
    """Return the progress after one more event of the run or of its model."""
    match event:
        case e.RunStarted():
            return replace(progress, warm_start=event.warm_start)
        case e.CycleStarted():
            return _started(progress, event)
        case e.PolicyUpdated():
            return replace(
                progress,
                update=event.update,
                steps=event.steps,
                hold_rates=(*progress.hold_rates, event.hold_rate),
                divergence=event.divergence,
                state=event.state or progress.state,
            )
        case e.CycleFinished():
            return replace(progress, trained=True)
        case e.ModelRolledBack():
            back = replace(_given_up(progress), state=event.state)
            return _ordered(back, event) if event.by else back
        case e.CycleVerdict():
            return replace(_given_up(progress), decided=event.cycle, attempt=0)
        case e.ModelPromoted():
            return _promoted(progress, event)
        case e.RunFinished():
            return replace(progress, finished=True)
        case _:
            return progress


def follow(events: Iterable[e.Event]) -> Progress:
    """Return the progress after all of ``events``, in order."""
    return reduce(evolve, events, Progress())


def _started(progress: Progress, event: e.CycleStarted) -> Progress:
    return replace(
        progress,
        cycle=event.cycle,
        attempt=event.attempt,
        started=True,
        divergence=0.0,
        state=event.state,
        initial=progress.initial or event.state,
    )


def _ordered(progress: Progress, event: e.ModelRolledBack) -> Progress:
    """Return the progress after a run followed an operator's order."""
    served = _served(event)
    return replace(progress, served=served, order=event.evidence[0])


def _served(event: e.ModelPromoted | e.ModelRolledBack) -> Served:
    return Served(
        parameters=event.parameters,
        state=event.state,
        profit=event.profit,
        cycle=event.cycle,
        base_margin=event.base_margin,
        margin_spread=event.margin_spread,
    )


def _given_up(progress: Progress) -> Progress:
    return replace(progress, started=False, update=0, hold_rates=(), trained=False)


def _promoted(progress: Progress, event: e.ModelPromoted) -> Progress:
    served = _served(event)
    return replace(progress, served=served, promoted=progress.promoted + 1)
