"""What a result is worth, in words."""

from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

from stairways.core.events import BaselinesMeasured, SkillMeasured

if TYPE_CHECKING:
    from stairways.service.skill.weighing import Conclusion


def conclusion_lines(found: "Conclusion") -> Iterator[str]:
    """Yield what a run's served model earned, what simple strategies did, and the conclusion."""
    if found.served is not None:
        measured, simple = found.served.measured, found.served.baselines
        yield f"Validation of cycle {measured.cycle}, served: {_earned(measured, found)}."
        if simple is not None:
            yield f"The same bars: {_simple(simple, measured)}."
    yield f"{found.reason[0].upper()}{found.reason[1:]}."


def _earned(measured: SkillMeasured, found: "Conclusion") -> str:
    low, profit, high = measured.profit
    least, sharpe, most = measured.sharpe
    return (
        f"return {profit:+.1%} ({found.confidence:.0%} interval {low:+.1%} to {high:+.1%}), "
        f"Sharpe {sharpe:.2f} ({least:.2f} to {most:.2f})"
    )


def _simple(simple: BaselinesMeasured, measured: SkillMeasured) -> str:
    return (
        f"buy-and-hold {simple.buy_and_hold:+.1%}, always-hold {simple.always_hold:+.1%}, "
        f"{len(simple.random)} random policies that hold as often {simple.random[0]:+.1%} to "
        f"{simple.random[-1]:+.1%}, median {median(simple.random):+.1%}: "
        f"ahead of {measured.beaten:.0%}"
    )
