"""What the log adds up to in figures: a fold over its landmarks, model by model.

Landmarks are the events of which a run has few. Figures of single steps are those of the
newest rollout that was learned from; ``ModelFigures.rollout`` says where in the log its steps
stand, and ``rollout.py`` reads them. Times are seconds since 1970 UTC, money is micros.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeVar

from stairways.core import events as e
from stairways.core.values import Micros, Position, StreamName
from stairways.metrics import schedules
from stairways.metrics.schedules import Schedules
from stairways.readmodels.batch import model_of, run_of
from stairways.store.contract import START, Record

Reason = Literal["divergence", "gates", "operator"]
Key = TypeVar("Key")
Value = TypeVar("Value")


class RolloutSpan(NamedTuple):
    """Where the steps of a rollout stand: behind ``after``, up to ``until``, in ``stream``."""

    stream: StreamName
    after: Position
    until: Position
    steps: int
    seconds: float | None  # from the event before its steps to the update; None if interrupted


class GateFigures(NamedTuple):
    """What a gate measured last."""

    value: float
    threshold: float | None  # None where nothing was held to it
    passed: bool
    blocking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """What is needed of a run to read its later events."""

    model: str
    slow_limit: float  # of the controller's slow lane
    divergence_limit: float
    steps: int = 0  # learned from
    boundary: Position = START  # of the event behind which the next rollout stands
    since: float | None = None  # when that was; None once the run was interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures:
    """The figures of one model and its runs; None where nothing was measured yet."""

    position: Position = START  # of the newest event that tells of it
    run: str = ""
    cycle: int = 0
    attempt: int = 0
    started: int = 0
    finished: int = 0
    failed: int = 0
    last_start: float | None = None
    last_success: float | None = None
    last_failure: float | None = None
    last_promotion: float | None = None
    updates: int = 0
    rollout: RolloutSpan | None = None
    slow_limit: float = 0.0
    divergence: float | None = None
    divergence_limit: float | None = None  # None while there is no reference to hold to
    divergences_since_promotion: int = 0
    validation_target: float | None = None
    validation: e.EvaluationFinished | None = None
    gates: Mapping[str, GateFigures] = field(default_factory=dict)
    promoted: int = 0
    rejected: int = 0
    rejections_in_a_row: int = 0
    rollbacks: Mapping[Reason, int] = field(default_factory=dict)
    rollbacks_since_promotion: int = 0
    overrides: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PushFigures:
    """What the log says about pushes of one schedule that failed."""

    reports: int
    last: float  # when it was said last


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything the metrics say, as of ``position``."""

    position: Position = START
    runs: Mapping[str, RunFigures] = field(default_factory=dict)
    models: Mapping[str, ModelFigures] = field(default_factory=dict)
    replays: Mapping[tuple[str, str], int] = field(default_factory=dict)  # run, level: findings
    last_replay: float | None = None
    verified: e.LogVerified | None = None
    last_verified: float | None = None
    pushes: Mapping[str, PushFigures] = field(default_factory=dict)
    schedules: Schedules = field(default_factory=Schedules)
    unreadable: int = 0

    def steps(self, model: str) -> int:
        """Return the environment steps learned from, over all runs of a model."""
        return sum(run.steps for run in self.runs.values() if run.model == model)

    def has_schedule(self, model: str) -> bool:
        """Say whether some schedule promotes under the name of a model."""
        return any(one.model == model for one in self.schedules.by_name.values())

    def replays_with_findings(self, model: str) -> int:
        """Return how many of a model's replays, each run and level once, found something."""
        return sum(
            found > 0
            for (run, _), found in self.replays.items()
            if run in self.runs and self.runs[run].model == model
        )


def evolve(figures: Figures, record: Record, event: e.Event) -> Figures:
    """Return the figures after one more landmark of the log."""
    figures = _of_log(replace(figures, position=record.position), record, event)
    name = run_of(record, event)
    before = _begun(event) if isinstance(event, e.RunStarted) else figures.runs.get(name)
    model = model_of(record) or (before.model if before else "")
    if before is not None:
        figures = replace(figures, runs=_with(figures.runs, name, _of_run(before, record, event)))
    if not model:
        return figures
    standing = replace(figures.models.get(model, ModelFigures()), position=record.position)
    after = _of_model(standing, before, record, event)
    return replace(figures, models=_with(figures.models, model, after))


def unreadable(figures: Figures, record: Record) -> Figures:
    """Return the figures after a landmark that cannot be read: counted, and passed over."""
    return replace(figures, position=record.position, unreadable=figures.unreadable + 1)


def _of_log(figures: Figures, record: Record, event: e.Event) -> Figures:
    """Take what tells of the log as a whole."""
    match event:
        case e.ReplayFinished():
            replays = _with(figures.replays, (event.run, event.level), event.findings)
            return replace(figures, replays=replays, last_replay=_time(record))
        case e.LogVerified():
            return replace(figures, verified=event, last_verified=_time(record))
        case e.AlertPushFailed():
            before = figures.pushes.get(event.schedule)
            told = PushFigures(reports=(before.reports if before else 0) + 1, last=_time(record))
            return replace(figures, pushes=_with(figures.pushes, event.schedule, told))
        case _:  # what is left may be about a schedule, or about no figure of the log
            known = schedules.evolve(figures.schedules, event, _time(record), record.stream)
            return replace(figures, schedules=known)


def _of_run(run: RunFigures, record: Record, event: e.Event) -> RunFigures:
    """Take where a run's next rollout begins and what it learned from."""
    match event:
        case e.CycleStarted():
            return replace(run, boundary=record.position, since=_time(record))
        case e.PolicyUpdated():
            return replace(run, steps=event.steps, boundary=record.position, since=_time(record))
        case e.RunResumed():  # a rollout that was durable before stands where it stood
            return replace(run, since=None)
        case _:
            return run


def _of_model(
    model: ModelFigures, run: RunFigures | None, record: Record, event: e.Event
) -> ModelFigures:
    """Take what tells of a model or one of its runs; other events leave it as it is."""
    match event:
        case e.RunStarted():
            return _run_started(model, record, event)
        case e.RunResumed():
            return replace(model, run=run_of(record, event))
        case e.CycleStarted():
            return replace(model, cycle=event.cycle, attempt=event.attempt)
        case e.RunFinished():
            return replace(model, finished=model.finished + 1, last_success=_time(record))
        case e.RunFailed():
            return replace(model, failed=model.failed + 1, last_failure=_time(record))
        case e.PolicyUpdated():
            return _learned(model, run, record, event)
        case e.DivergenceDetected():
            return replace(model, divergences_since_promotion=model.divergences_since_promotion + 1)
        case _:
            return _judged(model, record, event)


def _gate(event: e.GateDecided) -> GateFigures:
    """Return what a gate measured; before a first promotion divergence has nothing to hold to."""
    is_held = event.gate != "divergence" or not event.passed or event.value <= event.threshold
    threshold = event.threshold if is_held else None
    return GateFigures(event.value, threshold, event.passed, event.blocking)


def _judged(model: ModelFigures, record: Record, event: e.Event) -> ModelFigures:
    match event:
        case e.EvaluationStarted():
            return replace(model, validation_target=event.target)
        case e.EvaluationFinished():
            return replace(model, validation=event)
        case e.GateDecided():
            return replace(model, gates=_with(model.gates, event.gate, _gate(event)))
        case e.CycleVerdict():
            return _decided(model, event)
        case e.ModelPromoted():
            return _promoted(model, record)
        case e.ModelRolledBack():
            return _rolled_back(model, event)
        case e.GateOverridden():
            return replace(model, overrides=model.overrides + 1)
        case _:
            return model


def _begun(event: e.RunStarted) -> RunFigures:
    """Return what a run was told; a setting it does not name has its limit at infinity."""

    def limit(name: str) -> float:
        return float(event.settings.get(name, "inf"))

    return RunFigures(
        model=event.model,
        slow_limit=limit("controller.slow_limit"),
        divergence_limit=limit("stairway.divergence_limit"),
    )


def _run_started(model: ModelFigures, record: Record, event: e.RunStarted) -> ModelFigures:
    return replace(
        model,
        run=run_of(record, event),
        started=model.started + 1,
        last_start=_time(record),
        cycle=0,
        attempt=0,
        divergence=None,
        divergence_limit=None,
    )


def _learned(
    model: ModelFigures, run: RunFigures | None, record: Record, event: e.PolicyUpdated
) -> ModelFigures:
    """Take an update; ``run`` is as it was before. A run nobody started has no limits."""
    if run is None:
        return replace(model, updates=model.updates + 1, divergence=event.divergence)
    steps = event.steps - run.steps
    seconds = None if run.since is None else _time(record) - run.since
    return replace(
        model,
        updates=model.updates + 1,
        rollout=RolloutSpan(record.stream, run.boundary, record.position, steps, seconds),
        slow_limit=run.slow_limit,
        divergence=event.divergence,
        divergence_limit=run.divergence_limit if event.reference is not None else None,
    )


def _decided(model: ModelFigures, event: e.CycleVerdict) -> ModelFigures:
    if event.promoted:
        return replace(model, promoted=model.promoted + 1, rejections_in_a_row=0)
    return replace(
        model,
        rejected=model.rejected + 1,
        rejections_in_a_row=model.rejections_in_a_row + 1,
    )


def _promoted(model: ModelFigures, record: Record) -> ModelFigures:
    return replace(
        model,
        last_promotion=_time(record),
        rejections_in_a_row=0,
        rollbacks_since_promotion=0,
        divergences_since_promotion=0,
    )


def _rolled_back(model: ModelFigures, event: e.ModelRolledBack) -> ModelFigures:
    reason = reason_of(event)
    return replace(
        model,
        rollbacks=_with(model.rollbacks, reason, model.rollbacks.get(reason, 0) + 1),
        rollbacks_since_promotion=model.rollbacks_since_promotion + 1,
    )


def reason_of(event: e.ModelRolledBack) -> Reason:
    """Return in one word why a model was rolled back."""
    if event.by:
        return "operator"
    return "divergence" if event.reason == "divergence" else "gates"


def dollars(amount: Micros) -> float:
    """Return micros as dollars, for graphs only."""
    return amount / 1_000_000


def _time(record: Record) -> float:
    return record.recorded_at.timestamp()


def _with(mapping: Mapping[Key, Value], key: Key, value: Value) -> Mapping[Key, Value]:
    return {**mapping, key: value}
