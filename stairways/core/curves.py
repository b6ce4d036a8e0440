"""The curves of a run: what it was worth, and what its controller did, point by point.

An event adds at most one point to a curve; which cycle it belongs to is known from the run's
summary so far. Feed a curve the events of one run in the order of the log.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from stairways.core import events as e
from stairways.core.projections import RunSummary, evolve_run
from stairways.core.values import Micros

Point = TypeVar("Point")

TRACE_EVERY = 25
"""Environment steps between two points of a controller trace: one tick of the slow lane."""

Kind = Literal["training", "validation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PnlPoint:
    """The equity of one account at one bar. Validation has one lane, number 0."""

    kind: Kind
    cycle: int
    attempt: int
    step: int
    lane: int
    bar: int
    equity: Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePoint:
    """The controller after one decision. On validation bars there is no bonus."""

    kind: Kind
    cycle: int
    attempt: int
    step: int
    hold_rate: float
    target: float
    error: float
    regime: float
    fast: float
    slow: float
    bonus: float | None
    margin: float


def pnl_curve(events: Iterable[e.Event]) -> Iterator[PnlPoint]:
    """Yield the profit-and-loss curve of a run, in order."""
    return _points(pnl_point, events)


def controller_trace(events: Iterable[e.Event]) -> Iterator[TracePoint]:
    """Yield the controller trace of a run, in order."""
    return _points(trace_point, events)


def pnl_point(run: RunSummary, event: e.Event) -> PnlPoint | None:
    """Return the point that ``event`` adds to the curve of ``run`` as it stands, if any."""
    match event:
        case e.BalanceAsserted() if not _validating(run):
            return _pnl("training", run, event, run.steps, event.lane)
        case e.EvaluationStepTaken() if _validating(run):
            return _pnl("validation", run, event, event.step, 0)
        case _:  # no other event states a balance
            return None


def trace_point(run: RunSummary, event: e.Event) -> TracePoint | None:
    """Return the point that ``event`` adds to the trace of ``run`` as it stands, if any."""
    match event:
        case e.ControllerUpdated() if event.step % TRACE_EVERY == 0:
            return _trace("training", run, event, event.target, event.bonus)
        case e.EvaluationStepTaken() if _validating(run):
            return _trace("validation", run, event, _current(run)[2], None)
        case _:  # no other event knows the controller
            return None


def _points(
    point: Callable[[RunSummary, e.Event], Point | None], events: Iterable[e.Event]
) -> Iterator[Point]:
    run = RunSummary()
    for event in events:
        run = evolve_run(run, event)
        made = point(run, event)
        if made is not None:
            yield made


def _validating(run: RunSummary) -> bool:
    return bool(run.cycles) and run.cycles[-1].verdict == "validating"


def _current(run: RunSummary) -> tuple[int, int, float]:
    """Return cycle, attempt and target of now; zeros before the first cycle."""
    if not run.cycles:
        return 0, 0, 0.0
    return run.cycles[-1].cycle, run.cycles[-1].attempt, run.cycles[-1].target


def _pnl(
    kind: Kind,
    run: RunSummary,
    event: e.BalanceAsserted | e.EvaluationStepTaken,
    step: int,
    lane: int,
) -> PnlPoint:
    cycle, attempt, _ = _current(run)
    return PnlPoint(
        kind=kind,
        cycle=cycle,
        attempt=attempt,
        step=step,
        lane=lane,
        bar=event.bar,
        equity=event.equity,
    )


def _trace(
    kind: Kind,
    run: RunSummary,
    event: e.ControllerUpdated | e.EvaluationStepTaken,
    target: float,
    bonus: float | None,
) -> TracePoint:
    cycle, attempt, _ = _current(run)
    return TracePoint(
        kind=kind,
        cycle=cycle,
        attempt=attempt,
        step=event.step,
        hold_rate=event.hold_rate,
        target=target,
        error=event.error,
        regime=event.regime,
        fast=event.fast,
        slow=event.slow,
        bonus=bonus,
        margin=event.margin,
    )
