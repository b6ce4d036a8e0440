"""What the controller's actuators were worth in the steps of a trace, and whether they were spent.

Sums are exact (``fmean``), so that they are the same on every processor.
"""

from statistics import fmean

from stairways.core.controller import is_saturated
from stairways.env.lanes import Lanes


def bonus_ratio(lanes: Lanes) -> float:
    """Return the mean hold bonus in standard deviations of the other reward terms.

    Decisions before those terms first differed have no such ratio and are left out.
    """
    steps = lanes.trace.steps
    known = steps["spread"] > 0
    ratios = (steps["bonus"][known] / steps["spread"][known]).tolist()
    return fmean(ratios) if ratios else 0.0


def saturation(lanes: Lanes) -> float:
    """Return the share of decisions after which an actuator stood at its limit."""
    steps = lanes.trace.steps
    outputs = zip(steps["fast"].ravel().tolist(), steps["slow"].ravel().tolist(), strict=True)
    return fmean(is_saturated(fast, slow, lanes.control) for fast, slow in outputs)
