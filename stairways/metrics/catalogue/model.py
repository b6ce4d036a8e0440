"""The metrics of a model: how it learns, holds still, earns and is judged."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from stairways.metrics.family import Family, Labelled, Value
from stairways.metrics.figures import Figures, ModelFigures, dollars
from stairways.metrics.rollout import RolloutFigures


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
        "Limit of the gate when it was decided last; absent where nothing was held to it.",
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
