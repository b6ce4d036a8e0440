"""The figures of the newest rollout, from its steps in the log."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from stairways.core import events as e
from stairways.core.controller import effectiveness
from stairways.metrics.figures import RolloutSpan, dollars
from stairways.readmodels.batch import decoded
from stairways.service.stairway.journal import STEPS
from stairways.store.contract import EventStore

SLACK = 1e-12
"""How near the limit of the slow lane counts as at the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutFigures:
    """One rollout in figures; the controller's are those after its last decision."""

    reward: float  # basis points, mean of its steps
    traded: float  # share of its steps that bought or sold
    equity: float  # dollars, mean of the lanes at its end
    saturated: float  # share of its steps with the slow lane at its limit
    steps_per_second: float | None
    controller: e.ControllerUpdated

    @property
    def effectiveness(self) -> float:
        """Return how near the hold rate is to its target: 1 on it, 0 at a distance of 0.35."""
        return effectiveness(self.controller.hold_rate, self.controller.target)


def read_rollout(store: EventStore, span: RolloutSpan, slow_limit: float) -> RolloutFigures | None:
    """Return the figures of the rollout at ``span``; None if no step is there.

    Raises ``UnknownEventError`` naming the position of a step that cannot be read.
    """
    records = store.read(stream=span.stream, types=STEPS, after=span.after, until=span.until)
    return fold([decoded(record) for record in records], span, slow_limit)


def fold(events: Sequence[e.Event], span: RolloutSpan, slow_limit: float) -> RolloutFigures | None:
    """Return the figures of a rollout from its events."""
    steps = [event for event in events if isinstance(event, e.StepTaken)]
    steered = [event for event in events if isinstance(event, e.ControllerUpdated)]
    if not steps or not steered:
        return None
    return RolloutFigures(
        reward=fmean(step.reward for step in steps),
        traded=fmean(any(step.shares) for step in steps),
        equity=_equity(steps),
        saturated=fmean(abs(one.slow) >= slow_limit - SLACK for one in steered),
        steps_per_second=span.steps / span.seconds if span.seconds else None,
        controller=steered[-1],
    )


def _equity(steps: Iterable[e.StepTaken]) -> float:
    """Return the mean over the lanes of the equity after each one's last step, in dollars."""
    return fmean({step.lane: dollars(step.equity) for step in steps}.values())
