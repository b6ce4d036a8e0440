"""The metrics by name: what each means, and where its value comes from.

``docs/metrics.md`` is made from these tables. Names follow Prometheus' rules: base units,
``_ratio`` for shares from 0 to 1, ``_total`` for what only grows.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from stairways.metrics.family import Family, Labelled, Value
from stairways.metrics.figures import Figures, ModelFigures, dollars
from stairways.metrics.follower import Snapshot
from stairways.metrics.rollout import RolloutFigures
from stairways.metrics.schedules import ScheduleFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class OfModel:
    """What is known of one model when its metrics are made."""

    name: str
    model: ModelFigures
    rollout: RolloutFigures | None
    figures: Figures
    period: float


def _steered(read: Callable[[RolloutFigures], Value]) -> Callable[[OfModel], Value]:
    """Return the reader of a figure of the newest rollout."""
    return lambda one: None if one.rollout is None else read(one.rollout)


def _by_kind(
    training: Callable[[RolloutFigures], Value], validation: Callable[[ModelFigures], Value]
) -> Callable[[OfModel], Iterable[Labelled]]:
    """Return the reader of a figure that training and validation both have."""

    def read(one: OfModel) -> Iterator[Labelled]:
        if one.rollout is not None:
            yield Labelled(("training",), training(one.rollout))
        if one.model.validation is not None:
            yield Labelled(("validation",), validation(one.model))

    return read


def _validated(name: str) -> Callable[[OfModel], Value]:
    return lambda one: getattr(one.model.validation, name, None)


def _validation(model: ModelFigures, name: str) -> float:
    return float(getattr(model.validation, name))


def _gates(read: Callable[..., Value]) -> Callable[[OfModel], Iterable[Labelled]]:
    return lambda one: (Labelled((name,), read(gate)) for name, gate in one.model.gates.items())


OF_A_MODEL = (
    Family[OfModel](
        "stairways_model_position",
        "Log position of the newest event about the model or its runs.",
        lambda one: one.model.position,
    ),
    Family[OfModel](
        "stairways_run_info",
        "1 for the run that acted last.",
        lambda one: [Labelled((one.model.run,), 1)] if one.model.run else [],
        ("run",),
    ),
    Family[OfModel]("stairways_cycle", "Cycle of the newest run.", lambda one: one.model.cycle),
    Family[OfModel]("stairways_attempt", "Attempt at that cycle.", lambda one: one.model.attempt),
    Family[OfModel](
        "stairways_training_steps",
        "Environment steps learned from, over all runs and attempts.",
        lambda one: one.figures.steps(one.name),
        counts=True,
    ),
    Family[OfModel](
        "stairways_policy_updates",
        "Policy updates, over all runs and attempts.",
        lambda one: one.model.updates,
        counts=True,
    ),
    Family[OfModel](
        "stairways_steps_per_second",
        "Environment steps a second, learning included, in the newest rollout.",
        _steered(lambda rollout: rollout.steps_per_second),
    ),
    Family[OfModel](
        "stairways_reward_basis_points",
        "Mean reward of a step in the newest rollout: what the learner saw, no money.",
        _steered(lambda rollout: rollout.reward),
    ),
    Family[OfModel](
        "stairways_hold_rate_ratio",
        "Share of decisions that left every position alone: the controller's last 100 in "
        "training, all of them in validation.",
        _by_kind(
            lambda rollout: rollout.controller.hold_rate,
            lambda model: _validation(model, "hold_rate"),
        ),
        ("kind",),
    ),
    Family[OfModel](
        "stairways_hold_rate_target_ratio",
        "Hold rate aimed at.",
        _by_kind(lambda rollout: rollout.controller.target, lambda model: model.validation_target),
        ("kind",),
    ),
    Family[OfModel](
        "stairways_effectiveness_ratio",
        "1 - |hold rate - target| / 0.35.",
        _by_kind(
            lambda rollout: rollout.effectiveness,
            lambda model: _validation(model, "effectiveness"),
        ),
        ("kind",),
    ),
    Family[OfModel](
        "stairways_controller_error",
        "Error of the controller, -1 to 1; positive means too little holding.",
        _steered(lambda rollout: rollout.controller.error),
    ),
    Family[OfModel](
        "stairways_controller_fast",
        "Fast lane of the controller.",
        _steered(lambda rollout: rollout.controller.fast),
    ),
    Family[OfModel](
        "stairways_controller_slow",
        "Slow lane of the controller.",
        _steered(lambda rollout: rollout.controller.slow),
    ),
    Family[OfModel](
        "stairways_controller_saturated_ratio",
        "Share of the newest rollout's steps with the slow lane at its limit.",
        _steered(lambda rollout: rollout.saturated),
    ),
    Family[OfModel](
        "stairways_hold_bonus_basis_points",
        "What holding earns at the next step.",
        _steered(lambda rollout: rollout.controller.bonus),
    ),
    Family[OfModel](
        "stairways_decision_margin",
        "What is added to the logit of hold.",
        _steered(lambda rollout: rollout.controller.margin),
    ),
    Family[OfModel](
        "stairways_regime_score",
        "Regime score of the bar decided on last, -3 to 3.",
        _steered(lambda rollout: rollout.controller.regime),
    ),
    Family[OfModel](
        "stairways_portfolio_value_dollars",
        "Cash and positions at the close: mean of the lanes at the end of the newest rollout, "
        "and the end of the newest validation.",
        _by_kind(
            lambda rollout: rollout.equity,
            lambda model: dollars(model.validation.final_equity) if model.validation else None,
        ),
        ("kind",),
    ),
    Family[OfModel](
        "stairways_traded_ratio",
        "Share of the newest rollout's steps that bought or sold; fills a decision in validation.",
        _by_kind(
            lambda rollout: rollout.traded,
            lambda model: _validation(model, "trades") / max(1, _validation(model, "decisions")),
        ),
        ("kind",),
    ),
    Family[OfModel](
        "stairways_trades_per_day",
        "Fills a session in the newest validation.",
        _validated("trades_per_day"),
    ),
    Family[OfModel](
        "stairways_validation_profit_ratio",
        "Profit of the newest validation, as a share of starting capital.",
        _validated("profit"),
    ),
    Family[OfModel](
        "stairways_validation_drawdown_ratio",
        "Deepest loss from a peak in the newest validation.",
        _validated("drawdown"),
    ),
    Family[OfModel](
        "stairways_divergence_ratio",
        "Distance of the parameters from their reference after the last update.",
        lambda one: one.model.divergence,
    ),
    Family[OfModel](
        "stairways_divergence_limit_ratio",
        "Divergence that rolls back; absent while there is no reference to hold to.",
        lambda one: one.model.divergence_limit,
    ),
    Family[OfModel](
        "stairways_divergences_since_promotion",
        "Attempts that diverged since a model was promoted last.",
        lambda one: one.model.divergences_since_promotion,
    ),
    Family[OfModel](
        "stairways_gate_passed",
        "1 if the gate passed when it was decided last; only a blocking one can reject.",
        lambda one: [
            Labelled((name, str(gate.blocking).lower()), gate.passed)
            for name, gate in one.model.gates.items()
        ],
        ("gate", "blocking"),
    ),
    Family[OfModel](
        "stairways_gate_value",
        "What the gate measured last.",
        _gates(lambda gate: gate.value),
        ("gate",),
    ),
    Family[OfModel](
        "stairways_gate_threshold",
        "Limit of the gate when it was decided last.",
        _gates(lambda gate: gate.threshold),
        ("gate",),
    ),
    Family[OfModel](
        "stairways_cycles_decided",
        "Cycles that got a verdict.",
        lambda one: [
            Labelled(("promoted",), one.model.promoted),
            Labelled(("rejected",), one.model.rejected),
        ],
        ("verdict",),
        counts=True,
    ),
    Family[OfModel](
        "stairways_rejections_in_a_row",
        "Cycles rejected since one was promoted last.",
        lambda one: one.model.rejections_in_a_row,
    ),
    Family[OfModel](
        "stairways_rollbacks",
        "Returns to an earlier model.",
        lambda one: [
            Labelled((reason,), one.model.rollbacks.get(reason, 0))
            for reason in ("divergence", "gates", "operator")
        ],
        ("reason",),
        counts=True,
    ),
    Family[OfModel](
        "stairways_rollbacks_since_promotion",
        "Returns to an earlier model since one was promoted last.",
        lambda one: one.model.rollbacks_since_promotion,
    ),
    Family[OfModel](
        "stairways_gate_overrides",
        "Decisions of the gates that a person overrode.",
        lambda one: one.model.overrides,
        counts=True,
    ),
    Family[OfModel](
        "stairways_runs",
        "Runs that began, finished and failed.",
        lambda one: [
            Labelled(("started",), one.model.started),
            Labelled(("finished",), one.model.finished),
            Labelled(("failed",), one.model.failed),
        ],
        ("event",),
        counts=True,
    ),
    Family[OfModel](
        "stairways_last_start_timestamp_seconds",
        "When a run began last.",
        lambda one: one.model.last_start,
    ),
    Family[OfModel](
        "stairways_last_success_timestamp_seconds",
        "When a run finished last.",
        lambda one: one.model.last_success,
    ),
    Family[OfModel](
        "stairways_last_failure_timestamp_seconds",
        "When a run failed last.",
        lambda one: one.model.last_failure,
    ),
    Family[OfModel](
        "stairways_last_promotion_timestamp_seconds",
        "When a model was promoted last.",
        lambda one: one.model.last_promotion,
    ),
    Family[OfModel](
        "stairways_period_seconds",
        "How often a run should succeed, by `metrics.period`; absent where a schedule trains.",
        lambda one: None if one.figures.has_schedule(one.name) else one.period or None,
    ),
    Family[OfModel](
        "stairways_replays_with_findings",
        "Runs and levels whose newest recorded replay found something.",
        lambda one: one.figures.replays_with_findings(one.name),
    ),
)
"""Every metric of a model, labelled with its name."""

OF_A_SCHEDULE = (
    Family[ScheduleFigures](
        "stairways_schedule_fires",
        "Due times that fired or were skipped, attempts that were retried, and how fires ended.",
        lambda one: [
            Labelled((name,), getattr(one, name))
            for name in ("fired", "skipped", "retried", "finished", "failed")
        ],
        ("outcome",),
        counts=True,
    ),
    Family[ScheduleFigures](
        "stairways_schedule_failed_in_a_row",
        "Due times given up since one succeeded last.",
        lambda one: one.failed_in_a_row,
    ),
    Family[ScheduleFigures](
        "stairways_schedule_paused", "1 while a person paused it.", lambda one: one.paused
    ),
    Family[ScheduleFigures](
        "stairways_schedule_since_timestamp_seconds",
        "When it became what it is.",
        lambda one: one.since,
    ),
    Family[ScheduleFigures](
        "stairways_schedule_last_due_timestamp_seconds",
        "Its newest due time.",
        lambda one: one.dues[-1] if one.dues else None,
    ),
    Family[ScheduleFigures](
        "stairways_schedule_last_success_timestamp_seconds",
        "When one of its runs finished last.",
        lambda one: one.last_success,
    ),
    Family[ScheduleFigures](
        "stairways_schedule_period_seconds",
        "Longest time between two of its last eight due times.",
        lambda one: one.period,
    ),
)
"""Every metric of a schedule, labelled with its name and the model it trains."""

OF_THE_LOG = (
    Family[Snapshot](
        "stairways_log_reachable", "1 if the log could be read.", lambda s: s.reachable
    ),
    Family[Snapshot]("stairways_log_position", "Events in the log.", lambda s: s.size),
    Family[Snapshot](
        "stairways_metrics_position",
        "Log position that these metrics are of.",
        lambda s: s.figures.position,
    ),
    Family[Snapshot](
        "stairways_projector_position",
        "Log position that the read models are of; absent while nobody filled them.",
        lambda s: s.projected,
    ),
    Family[Snapshot](
        "stairways_projector_lag_events",
        "Events that the read models are behind the log.",
        lambda s: None if s.projected is None else max(0, s.size - s.projected),
    ),
    Family[Snapshot](
        "stairways_unreadable_events",
        "Events that this version could not read, and passed over.",
        lambda s: s.figures.unreadable,
    ),
    Family[Snapshot](
        "stairways_verify_findings",
        "Findings of the newest recorded verification.",
        lambda s: s.figures.verified.findings if s.figures.verified else None,
    ),
    Family[Snapshot](
        "stairways_verified_events",
        "Events that the newest recorded verification covered.",
        lambda s: s.figures.verified.size if s.figures.verified else None,
    ),
    Family[Snapshot](
        "stairways_last_verify_timestamp_seconds",
        "When the log was verified last, and the result recorded.",
        lambda s: s.figures.last_verified,
    ),
    Family[Snapshot](
        "stairways_last_replay_timestamp_seconds",
        "When a run was replayed last, and the result recorded.",
        lambda s: s.figures.last_replay,
    ),
    Family[Snapshot](
        "stairways_halted",
        "1 while a person halted all training and serving.",
        lambda s: s.figures.schedules.halted,
    ),
    Family[Snapshot](
        "stairways_push_failures_reported",
        "AlertPushFailed events: one for a while of failures, not one for each.",
        lambda s: [Labelled((name,), one.reports) for name, one in s.figures.pushes.items()],
        ("pushed_schedule",),
        counts=True,
    ),
    Family[Snapshot](
        "stairways_last_push_failure_timestamp_seconds",
        "When an AlertPushFailed event was recorded last.",
        lambda s: [Labelled((name,), one.last) for name, one in s.figures.pushes.items()],
        ("pushed_schedule",),
    ),
)
"""Every metric of the log as a whole."""
