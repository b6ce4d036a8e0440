"""What the log adds up to: folds over events, with one case for each event.

Feed a fold the events of one run or one model in the order of the log. Forget an event here
and the type checker names it. The curves of a run are in ``curves.py``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal, assert_never

from stairways.core import events as e
from stairways.core.values import Digest, Micros

Status = Literal["empty", "running", "stopped", "finished", "failed"]
Verdict = Literal["training", "validating", "promoted", "rejected", "rolled back"]
OfAttempt = (
    e.PolicyUpdated
    | e.DivergenceDetected
    | e.CycleFinished
    | e.EvaluationStarted
    | e.EvaluationFinished
    | e.ModelRolledBack
    | e.CycleVerdict
)
"""Events about one attempt at a cycle."""

OfRunOnly = (
    e.RunStarted
    | e.RunResumed
    | e.RunFinished
    | e.RunFailed
    | e.RunStopped
    | e.DivergenceDetected
    | e.EvaluationStarted
    | e.EvaluationFinished
)
"""Events that change the summary of a run, but not what a model is."""

Aside = (
    e.DataRegistered
    | e.DataFindingRaised
    | e.ControllerUpdated
    | e.BalanceAsserted
    | e.EvaluationStepTaken
    | e.FoldTestStarted
    | e.FoldTestFinished
    | e.BaselinesMeasured
    | e.SkillMeasured
    | e.GateDecided
    | e.ReplayFinished
    | e.LogVerified
    | e.KeyRotated
    | e.CheckpointSigned
    | e.SegmentSealed
    | e.LegalHoldPlaced
    | e.LegalHoldLifted
    | e.AlertPushFailed
    | e.DaemonStarted
    | e.DaemonStopped
    | e.LeaseTaken
    | e.ScheduleDefined
    | e.ScheduleFired
    | e.ScheduleSkipped
    | e.ScheduleRetried
    | e.ScheduleFinished
    | e.ScheduleFailed
    | e.SchedulePaused
    | e.ScheduleResumed
    | e.ScheduleTriggered
    | e.TrainingHalted
    | e.HaltLifted
    | e.AuditAsked
    | e.ExportMade
)
"""Events that change neither; each is named, so that a new one is decided about."""

AsideOfModel = OfRunOnly | Aside


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """What is served under the name of a model, and how it came to that."""

    steps: int = 0  # environment steps of the newest run
    updates: int = 0
    parameters: Digest | None = None  # being trained
    state: Digest | None = None
    served: Digest | None = None  # last promoted
    served_state: Digest | None = None
    served_run: str = ""
    served_cycle: int = 0
    base_margin: float = 0.0
    margin_spread: float = 0.0
    profit: float = 0.0  # of the served model on its validation bars
    promotions: int = 0
    rejections: int = 0
    rollbacks: int = 0
    overrides: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleSummary:
    """One attempt at a cycle: what was asked, what came out, and the verdict.

    Rates, profit and drawdown are shares; ``hold_rate`` is the one on validation bars.
    """

    cycle: int
    attempt: int
    name: str
    target: float
    learning_rate: float
    parent: Digest
    verdict: Verdict = "training"
    updates: int = 0
    divergence: float | None = None
    parameters: Digest | None = None
    training_hold_rate: float | None = None
    decisions: int | None = None
    hold_rate: float | None = None
    effectiveness: float | None = None
    performance: float | None = None
    start_equity: Micros | None = None
    final_equity: Micros | None = None
    profit: float | None = None
    drawdown: float | None = None
    trades: int | None = None
    win_rate: float | None = None
    trades_per_day: float | None = None
    sharpe: float | None = None
    failed: tuple[str, ...] = ()
    reason: str = ""
    overridden_by: str = ""

    @property
    def filled(self) -> float | None:
        """Return how many orders were filled for each decision to trade on validation bars."""
        return filled(self.decisions, self.hold_rate, self.trades)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run of the stairway on one page; ``cycles`` has one entry for each attempt."""

    model: str = ""
    status: Status = "empty"
    seed: int = 0
    data: Digest | None = None
    simulated: bool = False
    code_version: str = ""
    settings_digest: Digest | None = None
    steps: int = 0
    updates: int = 0
    promoted: int = 0
    rollbacks: int = 0
    resumed: int = 0
    parameters: Digest | None = None  # served after the run so far
    reason: str = ""
    cycles: tuple[CycleSummary, ...] = ()


def filled(decisions: int | None, hold_rate: float | None, trades: int | None) -> float | None:
    """Return the orders filled for each decision that was no hold; None without any.

    A hold rate on target tells nothing of it: an order beyond the limits, or at a bar without
    volume, is no hold and moves nothing. A decision may fill an order of each symbol.
    """
    if decisions is None or hold_rate is None or trades is None:
        return None
    asked = round(decisions * (1.0 - hold_rate))
    return trades / asked if asked else None


def model_state(events: Iterable[e.Event]) -> ModelState:
    """Rebuild the state of a model from its events and those of its runs, in order."""
    return reduce(evolve_model, events, ModelState())


def run_summary(events: Iterable[e.Event]) -> RunSummary:
    """Rebuild the summary of a run from all of its events, in order."""
    return reduce(evolve_run, events, RunSummary())


def evolve_model(state: ModelState, event: e.Event) -> ModelState:
    """Return the state of a model after one more event."""
    match event:
        case e.StepTaken():
            return replace(state, steps=event.step)
        case e.PolicyUpdated():
            return replace(
                state,
                updates=state.updates + 1,
                parameters=event.parameters,
                state=event.state or state.state,
            )
        case e.CycleStarted():
            return replace(state, parameters=event.parent, state=event.state)
        case e.CycleFinished():
            return replace(state, parameters=event.parameters, state=event.state)
        case e.ModelRolledBack():
            back = replace(
                state,
                rollbacks=state.rollbacks + 1,
                parameters=event.parameters,
                state=event.state,
            )
            return _ordered_back(back, event) if event.by else back
        case e.ModelPromoted():
            return _promoted(state, event)
        case e.CycleVerdict():
            return replace(state, rejections=state.rejections + (not event.promoted))
        case e.GateOverridden():
            return replace(state, overrides=state.overrides + 1)
        case _:
            if isinstance(event, AsideOfModel):
                return state
            assert_never(event)


def evolve_run(state: RunSummary, event: e.Event) -> RunSummary:  # noqa: PLR0912 - one case for each event
    """Return the summary of a run after one more event."""
    match event:
        case e.RunStarted():
            return _started(state, event)
        case e.RunResumed():
            return replace(state, status="running", resumed=state.resumed + 1, reason="")
        case e.RunFinished():
            return replace(state, status="finished", steps=event.steps, parameters=event.parameters)
        case e.RunFailed():
            return replace(state, status="failed", reason=event.reason)
        case e.RunStopped():
            return replace(state, status="stopped", reason=event.reason)
        case e.StepTaken():
            return replace(state, steps=event.step)
        case e.CycleStarted():
            return replace(state, cycles=(*state.cycles, _begun(event)))
        case e.PolicyUpdated():
            updated = replace(state, updates=state.updates + 1)
            return _attempt(updated, *_key(event), lambda one: _learned(one, event))
        case e.DivergenceDetected():
            diverged = event.divergence
            return _attempt(state, *_key(event), lambda one: replace(one, divergence=diverged))
        case e.CycleFinished():
            return _attempt(state, *_key(event), lambda one: _finished(one, event))
        case e.EvaluationStarted():
            return _attempt(state, *_key(event), lambda one: replace(one, verdict="validating"))
        case e.EvaluationFinished():
            return _attempt(state, *_key(event), lambda one: _validated(one, event))
        case e.ModelRolledBack():
            back = replace(state, rollbacks=state.rollbacks + 1)
            if event.by:
                return replace(back, parameters=event.parameters)
            return _attempt(back, *_key(event), lambda one: _rolled_back(one, event))
        case e.CycleVerdict():
            return _attempt(state, *_key(event), lambda one: _judged(one, event))
        case e.GateOverridden():
            return _overridden(state, event)
        case e.ModelPromoted():
            return replace(state, promoted=state.promoted + 1, parameters=event.parameters)
        case _:
            if isinstance(event, Aside):
                return state
            assert_never(event)


def _promoted(state: ModelState, event: e.ModelPromoted) -> ModelState:
    return replace(
        state,
        served=event.parameters,
        served_state=event.state,
        served_run=event.run,
        served_cycle=event.cycle,
        base_margin=event.base_margin,
        margin_spread=event.margin_spread,
        profit=event.profit,
        promotions=state.promotions + 1,
    )


def _ordered_back(state: ModelState, event: e.ModelRolledBack) -> ModelState:
    """Return the state after an operator put an earlier model back into service."""
    return replace(
        state,
        served=event.parameters,
        served_state=event.state,
        served_run=event.run,
        served_cycle=event.cycle,
        base_margin=event.base_margin,
        margin_spread=event.margin_spread,
        profit=event.profit,
    )


def _started(state: RunSummary, event: e.RunStarted) -> RunSummary:
    return replace(
        state,
        model=event.model,
        status="running",
        seed=event.seed,
        data=event.data,
        simulated=event.simulated,
        code_version=event.code_version,
        settings_digest=event.settings_digest,
        parameters=event.warm_start,
    )


def _begun(event: e.CycleStarted) -> CycleSummary:
    return CycleSummary(
        cycle=event.cycle,
        attempt=event.attempt,
        name=event.name,
        target=event.target,
        learning_rate=event.learning_rate,
        parent=event.parent,
    )


def _key(event: OfAttempt) -> tuple[int, int]:
    return event.cycle, event.attempt


def _attempt(
    state: RunSummary, cycle: int, attempt: int, change: Callable[[CycleSummary], CycleSummary]
) -> RunSummary:
    """Return the summary with one attempt changed; an attempt nobody started stays unknown."""
    changed = tuple(
        change(one) if (one.cycle, one.attempt) == (cycle, attempt) else one for one in state.cycles
    )
    return replace(state, cycles=changed)


def _learned(one: CycleSummary, event: e.PolicyUpdated) -> CycleSummary:
    return replace(
        one,
        updates=event.update,
        divergence=event.divergence,
        parameters=event.parameters,
    )


def _finished(one: CycleSummary, event: e.CycleFinished) -> CycleSummary:
    return replace(one, training_hold_rate=event.hold_rate, parameters=event.parameters)


def _validated(one: CycleSummary, event: e.EvaluationFinished) -> CycleSummary:
    return replace(
        one,
        decisions=event.decisions,
        hold_rate=event.hold_rate,
        effectiveness=event.effectiveness,
        performance=event.performance,
        start_equity=event.start_equity,
        final_equity=event.final_equity,
        profit=event.profit,
        drawdown=event.drawdown,
        trades=event.trades,
        win_rate=event.win_rate,
        trades_per_day=event.trades_per_day,
        sharpe=event.sharpe,
    )


def _rolled_back(one: CycleSummary, event: e.ModelRolledBack) -> CycleSummary:
    """Return the attempt rolled back; a verdict stays, for the rollback follows from it."""
    if one.verdict in ("promoted", "rejected"):
        return one
    return replace(one, verdict="rolled back", reason=event.reason)


def _judged(one: CycleSummary, event: e.CycleVerdict) -> CycleSummary:
    verdict: Verdict = "promoted" if event.promoted else "rejected"
    return replace(one, verdict=verdict, failed=event.failed, reason=event.reason)


def _overridden(state: RunSummary, event: e.GateOverridden) -> RunSummary:
    """Return the summary after a person decided about the last attempt of a cycle."""
    verdict: Verdict = "promoted" if event.promoted else "rejected"
    last = max((one.attempt for one in state.cycles if one.cycle == event.cycle), default=0)
    return _attempt(
        state,
        event.cycle,
        last,
        lambda one: replace(one, verdict=verdict, reason=event.why, overridden_by=event.who),
    )
