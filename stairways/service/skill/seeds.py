"""One figure over several runs that differ in nothing but their seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stairways.core.bootstrap import (
    Float64,
    Interval,
    interval_over_seeds,
    interval_over_seeds_and_bars,
)
from stairways.core.projections import CycleSummary
from stairways.core.skill import SkillRules
from stairways.core.values import Digest
from stairways.service.replay.setup import statistics_from
from stairways.service.runs import run_names
from stairways.service.skill import chance
from stairways.service.skill.passes import Pass, passes
from stairways.service.stairway.unfinished import start_of, summary_of
from stairways.store.contract import EventStore

OWN = ("run.seed", "run.model")
"""Settings in which runs of the same experiment differ."""


def _error(one: CycleSummary) -> float | None:
    return None if one.hold_rate is None else abs(one.hold_rate - one.target)


FIGURES: Mapping[str, Callable[[CycleSummary], float | None]] = {
    "hold_rate_error": _error,
    "profit": lambda one: one.profit,
    "drawdown": lambda one: one.drawdown,
    "sharpe": lambda one: one.sharpe,
}
"""What is told of each cycle, from the validation of its last attempt."""


OF_BARS = ("profit", "sharpe")
"""Figures that other bars of the same kind would have changed as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverSeeds:
    """The interquartile mean of one figure of one cycle over runs, and its interval.

    ``all_low`` and ``all_high`` are the bounds where the bars are left to chance too, which all
    runs share; None for a figure that is not measured in returns.
    """

    cycle: int
    figure: str
    runs: int
    low: float
    value: float
    high: float
    all_low: float | None = None
    all_high: float | None = None


def like_runs(store: EventStore, run: str) -> list[str]:
    """Return the finished runs on the bars of ``run`` with its settings, whatever their seed."""
    wanted = _experiment(store, run)
    known = [name for name in run_names(store) if _experiment(store, name) == wanted]
    return [name for name in known if summary_of(store, name).status == "finished"]


def over_seeds(store: EventStore, run: str) -> list[OverSeeds]:
    """Return what every cycle came to over all runs like ``run``, a seed at a time."""
    rules = statistics_from(start_of(store, run).settings) or SkillRules()
    runs = like_runs(store, run)
    judged = [(_judged(store, name), passes(store, name)) for name in runs]
    cycles = sorted({cycle for attempts, _ in judged for cycle in attempts})
    found = []
    for cycle in cycles:
        own = [(attempts[cycle], seen.get(cycle)) for attempts, seen in judged if cycle in attempts]
        found += [_over(figure, own, rules) for figure in FIGURES]
    return [one for one in found if one is not None]


def _over(
    figure: str, own: Sequence[tuple[CycleSummary, Pass | None]], rules: SkillRules
) -> OverSeeds | None:
    """Return one figure of one cycle over the runs that have it; None if no run has."""
    known = [(attempt, seen) for attempt, seen in own if FIGURES[figure](attempt) is not None]
    values = [value for value in (FIGURES[figure](one) for one, _ in known) if value is not None]
    if not values:
        return None
    draws = chance.of_seeds(len(values), rules)
    low, value, high = interval_over_seeds(values, draws, rules.confidence)
    seen = [one for _, one in known if one is not None]
    both = None
    if figure in OF_BARS and len(seen) == len(values):
        both = _with_bars(figure, values, seen, draws, rules)
    return OverSeeds(
        cycle=known[0][0].cycle,
        figure=figure,
        runs=len(values),
        low=low,
        value=value,
        high=high,
        all_low=both.low if both else None,
        all_high=both.high if both else None,
    )


def _with_bars(
    figure: str, values: Sequence[float], seen: Sequence[Pass], draws: Float64, rules: SkillRules
) -> Interval | None:
    """Return the interval over runs and blocks of the bars they share; None if they share none."""
    count = len(seen[0].returns)
    if any(len(one.returns) != count for one in seen):
        return None
    blocks = chance.of_shared_blocks(count, rules)
    resampled = np.stack([one.resampled(figure, blocks) for one in seen])
    return interval_over_seeds_and_bars(values, resampled, draws, rules.confidence)


def _experiment(store: EventStore, run: str) -> tuple[Digest, dict[str, str]]:
    """Return what runs of one experiment have in common: bars and settings."""
    start = start_of(store, run)
    return start.data, {k: v for k, v in start.settings.items() if k not in OWN}


def _judged(store: EventStore, run: str) -> dict[int, CycleSummary]:
    """Return the attempts of a run that were evaluated, by cycle."""
    return {one.cycle: one for one in summary_of(store, run).cycles if one.hold_rate is not None}
