"""One figure over several runs that differ in nothing but their seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stairways.core.bootstrap import Interval, interval_over_seeds
from stairways.core.projections import CycleSummary
from stairways.core.skill import SkillRules
from stairways.core.values import Digest
from stairways.service.replay.setup import statistics_from
from stairways.service.runs import run_names
from stairways.service.skill import chance
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OverSeeds:
    """The interquartile mean of one figure of one cycle over runs, and its interval."""

    cycle: int
    figure: str
    runs: int
    low: float
    value: float
    high: float


def like_runs(store: EventStore, run: str) -> list[str]:
    """Return the finished runs on the bars of ``run`` with its settings, whatever their seed."""
    wanted = _experiment(store, run)
    known = [name for name in run_names(store) if _experiment(store, name) == wanted]
    return [name for name in known if summary_of(store, name).status == "finished"]


def over_seeds(store: EventStore, run: str) -> list[OverSeeds]:
    """Return what every cycle came to over all runs like ``run``, a seed at a time."""
    rules = statistics_from(start_of(store, run).settings) or SkillRules()
    judged = [_judged(store, name) for name in like_runs(store, run)]
    cycles = sorted({cycle for one in judged for cycle in one})
    found = []
    for cycle in cycles:
        attempts = [one[cycle] for one in judged if cycle in one]
        for figure, of in FIGURES.items():
            values = [value for value in map(of, attempts) if value is not None]
            if values:
                low, value, high = _interval(values, rules)
                found.append(
                    OverSeeds(
                        cycle=cycle,
                        figure=figure,
                        runs=len(values),
                        low=low,
                        value=value,
                        high=high,
                    )
                )
    return found


def _interval(values: list[float], rules: SkillRules) -> Interval:
    return interval_over_seeds(values, chance.of_seeds(len(values), rules), rules.confidence)


def _experiment(store: EventStore, run: str) -> tuple[Digest, dict[str, str]]:
    """Return what runs of one experiment have in common: bars and settings."""
    start = start_of(store, run)
    return start.data, {k: v for k, v in start.settings.items() if k not in OWN}


def _judged(store: EventStore, run: str) -> dict[int, CycleSummary]:
    """Return the attempts of a run that were evaluated, by cycle."""
    return {one.cycle: one for one in summary_of(store, run).cycles if one.hold_rate is not None}
