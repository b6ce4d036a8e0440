"""The metrics by name: what each means, and where its value comes from.

``docs/metrics.md`` is made from these tables. Names follow Prometheus' rules: base units,
``_ratio`` for shares from 0 to 1, ``_total`` for what only grows.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from stairways.metrics.figures import Figures, ModelFigures, dollars
from stairways.metrics.follower import Snapshot
from stairways.metrics.rollout import RolloutFigures

Value = float | int | bool | None


class Labelled(NamedTuple):
    """A value under further labels."""

    labels: tuple[str, ...]
    value: Value


Values = Value | Iterable[Labelled]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfModel:
    """What is known of one model when its metrics are made."""

    name: str
    model: ModelFigures
    rollout: RolloutFigures | None
    figures: Figures
    period: float


@dataclass(frozen=True, slots=True)
class Family:
    """One metric of a model: name, kind, meaning, where it comes from, and further labels."""

    name: str
    meaning: str
    read: Callable[[OfModel], Values]
    labels: tuple[str, ...] = ()
    counts: bool = False

    @property
    def shown(self) -> str:
        """Return the name as Prometheus shows it."""
        return f"{self.name}_total" if self.counts else self.name


@dataclass(frozen=True, slots=True)
class LogFamily:
    """One metric of the log as a whole."""

    name: str
    meaning: str
    read: Callable[[Snapshot], Values]
    labels: tuple[str, ...] = ()
    counts: bool = False

    @property
    def shown(self) -> str:
        """Return the name as Prometheus shows it."""
        return f"{self.name}_total" if self.counts else self.name


def families(
    snapshot: Snapshot, period: float, only: Iterable[str] | None = None
) -> Iterator[Metric]:
    """Yield the metrics of every model, or of those in ``only``; unmeasured ones are absent.

    ``period`` is how often, in seconds, a model is expected to succeed.
    """
    names = snapshot.figures.models if only is None else [*only]
    models = [
        OfModel(
            name=name,
            model=snapshot.figures.models[name],
            rollout=snapshot.rollouts.get(name),
            figures=snapshot.figures,
            period=period,
        )
        for name in names
        if name in snapshot.figures.models
    ]
    for family in OF_A_MODEL:
        metric = _metric(family, ("model", *family.labels))
        for one in models:
            _add(metric, (one.name,), family.read(one))
        if metric.samples:
            yield metric


def log_families(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield the metrics of the log as a whole."""
    for family in OF_THE_LOG:
        metric = _metric(family, family.labels)
        _add(metric, (), family.read(snapshot))
        if metric.samples:
            yield metric


def _metric(
    family: Family | LogFamily, labels: tuple[str, ...]
) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if family.counts else GaugeMetricFamily
    return kind(family.name, family.meaning, labels=labels)


def _add(
    metric: CounterMetricFamily | GaugeMetricFamily, labels: tuple[str, ...], values: Values
) -> None:
    several = values if isinstance(values, Iterable) else [Labelled((), values)]
    for further, value in several:
        if value is not None:
            metric.add_metric([*labels, *further], float(value))


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
    Family(
        "stairways_model_position",
        "Log position of the newest event about the model or its runs.",
        lambda one: one.model.position,
    ),
    Family(
        "stairways_run_info",
        "1 for the run that acted last.",
        lambda one: [Labelled((one.model.run,), 1)] if one.model.run else [],
        ("run",),
    ),
    Family("stairways_cycle", "Cycle of the newest run.", lambda one: one.model.cycle),
    Family("stairways_attempt", "Attempt at that cycle.", lambda one: one.model.attempt),
    Family(
        "stairways_training_steps",
        "Environment steps learned from, over all runs and attempts.",
        lambda one: one.figures.steps(one.name),
        counts=True,
    ),
    Family(
        "stairways_policy_updates",
        "Policy updates, over all runs and attempts.",
        lambda one: one.model.updates,
        counts=True,
    ),
    Family(
        "stairways_steps_per_second",
        "Environment steps a second, learning included, in the newest rollout.",
        _steered(lambda rollout: rollout.steps_per_second),
    ),
    Family(
        "stairways_reward_basis_points",
        "Mean reward of a step in the newest rollout: what the learner saw, no money.",
        _steered(lambda rollout: rollout.reward),
    ),
    Family(
        "stairways_hold_rate_ratio",
        "Share of decisions that left every position alone: the controller's last 100 in "
        "training, all of them in validation.",
        _by_kind(
            lambda rollout: rollout.controller.hold_rate,
            lambda model: _validation(model, "hold_rate"),
        ),
        ("kind",),
    ),
    Family(
        "stairways_hold_rate_target_ratio",
        "Hold rate aimed at.",
        _by_kind(lambda rollout: rollout.controller.target, lambda model: model.validation_target),
        ("kind",),
    ),
    Family(
        "stairways_effectiveness_ratio",
        "1 - |hold rate - target| / 0.35.",
        _by_kind(
            lambda rollout: rollout.effectiveness,
            lambda model: _validation(model, "effectiveness"),
        ),
        ("kind",),
    ),
    Family(
        "stairways_controller_error",
        "Error of the controller, -1 to 1; positive means too little holding.",
        _steered(lambda rollout: rollout.controller.error),
    ),
    Family(
        "stairways_controller_fast",
        "Fast lane of the controller.",
        _steered(lambda rollout: rollout.controller.fast),
    ),
    Family(
        "stairways_controller_slow",
        "Slow lane of the controller.",
        _steered(lambda rollout: rollout.controller.slow),
    ),
    Family(
        "stairways_controller_saturated_ratio",
        "Share of the newest rollout's steps with the slow lane at its limit.",
        _steered(lambda rollout: rollout.saturated),
    ),
    Family(
        "stairways_hold_bonus_basis_points",
        "What holding earns at the next step.",
        _steered(lambda rollout: rollout.controller.bonus),
    ),
    Family(
        "stairways_decision_margin",
        "What is added to the logit of hold.",
        _steered(lambda rollout: rollout.controller.margin),
    ),
    Family(
        "stairways_regime_score",
        "Regime score of the bar decided on last, -3 to 3.",
        _steered(lambda rollout: rollout.controller.regime),
    ),
    Family(
        "stairways_portfolio_value_dollars",
        "Cash and positions at the close: mean of the lanes at the end of the newest rollout, "
        "and the end of the newest validation.",
        _by_kind(
            lambda rollout: rollout.equity,
            lambda model: dollars(model.validation.final_equity) if model.validation else None,
        ),
        ("kind",),
    ),
    Family(
        "stairways_traded_ratio",
        "Share of the newest rollout's steps that bought or sold; fills a decision in validation.",
        _by_kind(
            lambda rollout: rollout.traded,
            lambda model: _validation(model, "trades") / max(1, _validation(model, "decisions")),
        ),
        ("kind",),
    ),
    Family(
        "stairways_trades_per_day",
        "Fills a session in the newest validation.",
        _validated("trades_per_day"),
    ),
    Family(
        "stairways_validation_profit_ratio",
        "Profit of the newest validation, as a share of starting capital.",
        _validated("profit"),
    ),
    Family(
        "stairways_validation_drawdown_ratio",
        "Deepest loss from a peak in the newest validation.",
        _validated("drawdown"),
    ),
    Family(
        "stairways_divergence_ratio",
        "Distance of the parameters from their reference after the last update.",
        lambda one: one.model.divergence,
    ),
    Family(
        "stairways_divergence_limit_ratio",
        "Divergence that rolls back; absent while there is no reference to hold to.",
        lambda one: one.model.divergence_limit,
    ),
    Family(
        "stairways_divergences_since_promotion",
        "Attempts that diverged since a model was promoted last.",
        lambda one: one.model.divergences_since_promotion,
    ),
    Family(
        "stairways_gate_passed",
        "1 if the gate passed when it was decided last.",
        _gates(lambda gate: gate.passed),
        ("gate",),
    ),
    Family(
        "stairways_gate_value",
        "What the gate measured last.",
        _gates(lambda gate: gate.value),
        ("gate",),
    ),
    Family(
        "stairways_gate_threshold",
        "Limit of the gate when it was decided last.",
        _gates(lambda gate: gate.threshold),
        ("gate",),
    ),
    Family(
        "stairways_cycles_decided",
        "Cycles that got a verdict.",
        lambda one: [
            Labelled(("promoted",), one.model.promoted),
            Labelled(("rejected",), one.model.rejected),
        ],
        ("verdict",),
        counts=True,
    ),
    Family(
        "stairways_rejections_in_a_row",
        "Cycles rejected since one was promoted last.",
        lambda one: one.model.rejections_in_a_row,
    ),
    Family(
        "stairways_rollbacks",
        "Returns to an earlier model.",
        lambda one: [
            Labelled((reason,), one.model.rollbacks.get(reason, 0))
            for reason in ("divergence", "gates", "operator")
        ],
        ("reason",),
        counts=True,
    ),
    Family(
        "stairways_rollbacks_since_promotion",
        "Returns to an earlier model since one was promoted last.",
        lambda one: one.model.rollbacks_since_promotion,
    ),
    Family(
        "stairways_gate_overrides",
        "Decisions of the gates that a person overrode.",
        lambda one: one.model.overrides,
        counts=True,
    ),
    Family(
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
    Family(
        "stairways_last_start_timestamp_seconds",
        "When a run began last.",
        lambda one: one.model.last_start,
    ),
    Family(
        "stairways_last_success_timestamp_seconds",
        "When a run finished last.",
        lambda one: one.model.last_success,
    ),
    Family(
        "stairways_last_failure_timestamp_seconds",
        "When a run failed last.",
        lambda one: one.model.last_failure,
    ),
    Family(
        "stairways_last_promotion_timestamp_seconds",
        "When a model was promoted last.",
        lambda one: one.model.last_promotion,
    ),
    Family(
        "stairways_period_seconds",
        "How often a run is expected to succeed.",
        lambda one: one.period,
    ),
    Family(
        "stairways_replays_with_findings",
        "Runs and levels whose newest recorded replay found something.",
        lambda one: one.figures.replays_with_findings(one.name),
    ),
)
"""Every metric of a model, labelled with its name."""

OF_THE_LOG = (
    LogFamily("stairways_log_reachable", "1 if the log could be read.", lambda s: s.reachable),
    LogFamily("stairways_log_position", "Events in the log.", lambda s: s.size),
    LogFamily(
        "stairways_metrics_position",
        "Log position that these metrics are of.",
        lambda s: s.figures.position,
    ),
    LogFamily(
        "stairways_projector_position",
        "Log position that the read models are of; absent while nobody filled them.",
        lambda s: s.projected,
    ),
    LogFamily(
        "stairways_projector_lag_events",
        "Events that the read models are behind the log.",
        lambda s: None if s.projected is None else max(0, s.size - s.projected),
    ),
    LogFamily(
        "stairways_unreadable_events",
        "Events that this version could not read, and passed over.",
        lambda s: s.figures.unreadable,
    ),
    LogFamily(
        "stairways_verify_findings",
        "Findings of the newest recorded verification.",
        lambda s: s.figures.verified.findings if s.figures.verified else None,
    ),
    LogFamily(
        "stairways_verified_events",
        "Events that the newest recorded verification covered.",
        lambda s: s.figures.verified.size if s.figures.verified else None,
    ),
    LogFamily(
        "stairways_last_verify_timestamp_seconds",
        "When the log was verified last, and the result recorded.",
        lambda s: s.figures.last_verified,
    ),
    LogFamily(
        "stairways_last_replay_timestamp_seconds",
        "When a run was replayed last, and the result recorded.",
        lambda s: s.figures.last_replay,
    ),
    LogFamily(
        "stairways_push_failures_reported",
        "AlertPushFailed events: one for a while of failures, not one for each.",
        lambda s: [Labelled((name,), one.reports) for name, one in s.figures.pushes.items()],
        ("pushed_schedule",),
        counts=True,
    ),
)
"""Every metric of the log as a whole."""
