"""A small stairway on simulated bars, quick enough to run many times."""

from collections.abc import Callable
from dataclasses import dataclass, field

from stairways import settings
from stairways.core import events as e
from stairways.core.gate import Verdict
from stairways.core.progress import Progress
from stairways.core.stairway import Cycle
from stairways.core.values import Position
from stairways.service.stairway.plan import Plan
from stairways.service.stairway.run import Job
from stairways.settings import Given

SMALL = {
    "stairway.targets": "0.7,0.6,0.6",
    "stairway.learning_rates": "3e-3,1e-3,1e-3",
    "stairway.steps_per_cycle": "240",
    "stairway.divergence_limit": "0.02",
    "gates.hold_rate_error": "1.0",
    "gates.lowest_hold_rate": "0.0",
    "gates.highest_hold_rate": "1.0",
    "gates.effectiveness": "-10",
    "gates.drawdown": "10",
    "gates.profit_shortfall": "10",
    "gates.divergence": "10",
    "ppo.lanes": "4",
    "ppo.rollout": "20",
    "ppo.batch": "40",
    "ppo.epochs": "3",
}
"""Every cycle passes its gates, so that divergence has a reference from the first on."""


@dataclass
class Quiet:
    """A watcher that remembers verdicts, and may stop the run like a power cut."""

    verdicts: list[Verdict] = field(default_factory=list)
    rollbacks: list[tuple[int, int, float]] = field(default_factory=list)

    def advanced(self, progress: Progress, cycle: Cycle) -> None: ...

    def noted(self, event: e.Event, position: Position) -> None:
        match event:
            case e.DivergenceDetected():
                self.rollbacks.append((event.cycle, event.attempt, event.divergence))
            case e.CycleVerdict():
                self.verdicts.append(Verdict(event.promoted, event.failed, event.reason))


def small_plan(**changes: str) -> Plan:
    given = {**SMALL, **{name.replace("__", "."): value for name, value in changes.items()}}
    chosen = settings.build([Given(name, value, "the test") for name, value in given.items()])
    return Plan(
        model=chosen.run.model,
        seed=chosen.run.seed,
        programme=chosen.stairway,
        ppo=chosen.ppo,
        trading=chosen.trading,
        control=chosen.controller,
        limits=chosen.gates,
        statistics=chosen.statistics,
        settings=settings.flatten(chosen),
        settings_digest=settings.digest(chosen),
    )


NewJob = Callable[..., Job]
