"""What ``stairways train`` shows while it trains: a moving bar, and lines in the log's words."""

from typing import TYPE_CHECKING

import structlog
from structlog.contextvars import bind_contextvars

if TYPE_CHECKING:
    from stairways.core import events as e
    from stairways.core.progress import Progress
    from stairways.core.stairway import Cycle
    from stairways.core.values import Position
    from stairways.logs import Progress as Bar
    from stairways.service.stairway.plan import Plan

_LOG = structlog.get_logger("train")


class Watcher:
    """Moves the bar with every update and logs what is decided."""

    def __init__(self, plan: "Plan") -> None:
        self._plan = plan
        self._bar: Bar | None = None
        self._shown = 0

    def show(self, bar: "Bar") -> None:
        """Use ``bar`` from now on."""
        self._bar = bar

    def advanced(self, progress: "Progress", cycle: "Cycle") -> None:
        """Move the bar; an attempt that is repeated does not move it back.

        Lines from here on name the cycle: a run that goes on amid one began it long ago.
        """
        bind_contextvars(cycle=cycle.number)
        done = progress.decided * self._plan.programme.steps_per_cycle
        done += progress.update * self._plan.ppo.steps
        held = progress.hold_rates[-1]
        note = f"{cycle.name} attempt {progress.attempt}, holding {held:.0%}"
        if self._bar is not None:
            self._bar.advance(max(0, done - self._shown), note)
        self._shown = max(self._shown, done)

    def noted(self, event: "e.Event", position: "Position") -> None:
        """Log what an event says, in its own figures; lines from here on name its position."""
        from stairways.core import events as kinds  # noqa: PLC0415 - help must start in a blink

        bind_contextvars(position=position)
        match event:
            case kinds.RunStarted():
                _LOG.info("run started", model=event.model, seed=event.seed)
            case kinds.EvaluationStarted():
                bind_contextvars(cycle=event.cycle)
            case kinds.CycleStarted():
                bind_contextvars(cycle=event.cycle)
                facts = {"target": event.target, "learning_rate": event.learning_rate}
                _LOG.debug("cycle started", attempt=event.attempt, **facts)
            case kinds.DivergenceDetected():
                facts = {"divergence": event.divergence, "limit": event.limit}
                _LOG.warning("diverged", attempt=event.attempt, **facts)
            case kinds.ModelRolledBack():
                facts = {"attempt": event.attempt, "learning_rate": event.learning_rate}
                _LOG.warning("rolled back", reason=event.reason, **facts)
            case kinds.EvaluationFinished():
                facts = {"hold_rate": event.hold_rate, "effectiveness": event.effectiveness}
                facts |= {"profit": event.profit, "drawdown": event.drawdown}
                _LOG.info("validated", attempt=event.attempt, **facts)
            case kinds.CycleVerdict():
                _LOG.info(event.reason, attempt=event.attempt, promoted=event.promoted)
            case kinds.RunFinished():
                facts = {"cycles": event.cycles, "promoted": event.promoted}
                _LOG.info("run finished", steps=event.steps, **facts)
