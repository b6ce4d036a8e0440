"""How the controller's actuators fared in each attempt at a cycle: a fold over a run's events.

Figures that an old log does not hold are None.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from stairways.core import events as e
from stairways.core.controller import SATURATED_FOR_LONG

Attempt = tuple[int, int]
"""Cycle and attempt."""

STEERED = ("PolicyUpdated", "EvaluationStarted", "EvaluationFinished")
"""Types of the events this is folded from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """What the actuators of one attempt were worth, and whether they were spent.

    ``bonus_ratio`` is the mean hold bonus in standard deviations of the other reward terms; a
    reach is by how many logits the margin could have been moved either way; ``saturated`` is the
    share of decisions with an actuator at its limit. What has ``training`` in its name is of
    the training steps, the rest of the validation bars.
    """

    bonus_ratio: float | None = None
    training_margin_reach: float | None = None
    training_saturated: float | None = None
    margin_reach: float | None = None
    saturated: float | None = None

    @property
    def was_saturated(self) -> bool:
        """Say whether an actuator stood at its limit for long, in training or validation."""
        shares = (self.training_saturated or 0.0, self.saturated or 0.0)
        return max(shares) >= SATURATED_FOR_LONG


def steering(events: Iterable[e.Event]) -> Mapping[Attempt, Steering]:
    """Return how each attempt of a run was steered, from the run's events in order."""
    updates: dict[Attempt, list[e.PolicyUpdated]] = {}
    found: dict[Attempt, Steering] = {}
    for event in events:
        match event:
            case e.PolicyUpdated():
                key = (event.cycle, event.attempt)
                updates.setdefault(key, []).append(event)
                found[key] = _trained(updates[key])
            case e.EvaluationStarted():
                key = (event.cycle, event.attempt)
                found[key] = replace(found.get(key, Steering()), margin_reach=event.margin_reach)
            case e.EvaluationFinished():
                key = (event.cycle, event.attempt)
                found[key] = replace(found.get(key, Steering()), saturated=event.saturated)
            case _:
                pass
    return found


def _trained(updates: list[e.PolicyUpdated]) -> Steering:
    """Return what the updates of an attempt come to; every rollout has as many decisions."""
    return Steering(
        bonus_ratio=_mean(one.bonus_ratio for one in updates),
        training_margin_reach=_mean(one.margin_reach for one in updates),
        training_saturated=_mean(one.saturated for one in updates),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
