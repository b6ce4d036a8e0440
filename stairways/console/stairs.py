"""The stairway as a drawing: each cycle's target is a step, and where it stood beside it."""

from collections.abc import Sequence
from typing import NamedTuple

from stairways.core.projections import CycleSummary

WIDTH, HEIGHT = 560.0, 150.0
TOP, BOTTOM = 14.0, 118.0
LEAST_SPAN = 0.14
"""Hold rates that the drawing spans at least, so that small differences stay small."""

FULL_STAIRS = 8


class Stair(NamedTuple):
    """One cycle: its tread from ``left`` to ``right`` at ``target``, and what was measured."""

    cycle: int
    attempt: int
    attempts: int
    left: float
    right: float
    middle: float
    target: float
    measured: float | None
    training: float | None
    verdict: str
    words: str


def stairs(cycles: Sequence[CycleSummary], planned: int = FULL_STAIRS) -> list[Stair]:
    """Return the steps of a run, from the last attempt at each cycle; y grows downwards."""
    last = {one.cycle: one for one in sorted(cycles, key=lambda one: one.attempt)}
    if not last:
        return []
    low, high = _span(list(last.values()))
    width = WIDTH / max(planned, *last)
    drawn = []
    for number, one in sorted(last.items()):
        left = (number - 1) * width
        drawn.append(
            Stair(
                number,
                one.attempt,
                sum(other.cycle == number for other in cycles),
                round(left, 1),
                round(left + width, 1),
                round(left + width / 2, 1),
                _height(one.target, low, high),
                None if one.hold_rate is None else _height(one.hold_rate, low, high),
                None
                if one.training_hold_rate is None
                else _height(one.training_hold_rate, low, high),
                one.verdict,
                _words(one),
            )
        )
    return drawn


def _span(cycles: Sequence[CycleSummary]) -> tuple[float, float]:
    seen = [one.target for one in cycles]
    seen += [one.hold_rate for one in cycles if one.hold_rate is not None]
    low, high = min(seen), max(seen)
    missing = max(0.0, LEAST_SPAN - (high - low)) / 2
    return low - missing, high + missing


def _height(rate: float, low: float, high: float) -> float:
    place = BOTTOM - (rate - low) / (high - low) * (BOTTOM - TOP)
    return round(min(max(place, TOP - 8), BOTTOM + 8), 1)


def _words(one: CycleSummary) -> str:
    held = "not measured yet" if one.hold_rate is None else f"held {one.hold_rate:.1%}"
    return f"cycle {one.cycle}: target {one.target:.0%}, {held}, {one.verdict}"
