"""What the Grafana dashboard shows: its rows, their panels, and what each asks of Prometheus."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CURRENT = "and on (job, instance, schedule, model) stairways:model:current"
CURRENT_LOG = "and on (job, instance) stairways:log:current"

Kind = Literal["timeseries", "stat", "table", "alertlist"]
Query = tuple[str, str]
"""An expression and the legend of its series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel: what it shows, in which unit, and how wide it is of 24."""

    title: str
    queries: Sequence[Query]
    description: str
    unit: str = "none"
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 7
    red_from: float | None = None


def of_model(metric: str, *by: str, where: str = "") -> str:
    """Return the query of a model's metric from whoever knows the newest event."""
    labels = ", ".join(("model", *by))
    return f'max by ({labels}) ({metric}{{job="$job",model=~"$model"{where}}} {CURRENT})'


def of_log(metric: str, *by: str) -> str:
    """Return the query of a metric of the log from whoever knows the newest event."""
    labels = ", ".join(("job", *by))
    return f'max by ({labels}) ({metric}{{job="$job"}} {CURRENT_LOG})'


def of_schedule(metric: str, *by: str) -> str:
    """Return the query of a schedule's metric."""
    labels = ", ".join(("schedule", *by))
    return f'max by ({labels}) ({metric}{{job="$job"}} {CURRENT_LOG})'


def since(query: str) -> str:
    """Return the query of how long ago something was."""
    return f"time() - {query}"


ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "Now",
        (
            Panel(
                title="Firing alerts",
                queries=(),
                kind="alertlist",
                description="Alerts of ops/prometheus/rules.yml; each has a page in docs/runbook.",
                width=6,
            ),
            Panel(
                title="Last success",
                queries=(
                    (since(of_model("stairways_last_success_timestamp_seconds")), "{{model}}"),
                ),
                kind="stat",
                unit="s",
                description="How long ago a run finished.",
                width=4,
            ),
            Panel(
                title="Rejected in a row",
                queries=((of_model("stairways_rejections_in_a_row"), "{{model}}"),),
                kind="stat",
                description="Cycles rejected since one was promoted.",
                width=4,
                red_from=3,
            ),
            Panel(
                title="Findings",
                queries=(
                    (of_log("stairways_verify_findings"), "verify"),
                    (of_model("stairways_replays_with_findings"), "replay {{model}}"),
                ),
                kind="stat",
                description="Of the newest recorded verification and replays; 0 is good.",
                width=5,
                red_from=1,
            ),
            Panel(
                title="Cycle",
                queries=(
                    (of_model("stairways_cycle"), "{{model}}"),
                    (of_model("stairways_attempt"), "{{model}} attempt"),
                ),
                kind="stat",
                description="Where the newest run stands.",
                width=5,
            ),
        ),
    ),
    (
        "Holding still",
        (
            Panel(
                title="Hold rate and target",
                queries=(
                    (of_model("stairways_hold_rate_ratio", "kind"), "{{model}} {{kind}}"),
                    (
                        of_model("stairways_hold_rate_target_ratio", "kind"),
                        "{{model}} {{kind}} target",
                    ),
                ),
                unit="percentunit",
                description="Share of decisions that left every position alone.",
            ),
            Panel(
                title="Effectiveness",
                queries=(
                    (of_model("stairways_effectiveness_ratio", "kind"), "{{model}} {{kind}}"),
                ),
                unit="percentunit",
                description="1 on target, 0 at a distance of 35 points.",
            ),
            Panel(
                title="Controller",
                queries=(
                    (of_model("stairways_controller_error"), "{{model}} error"),
                    (of_model("stairways_controller_fast"), "{{model}} fast"),
                    (of_model("stairways_controller_slow"), "{{model}} slow"),
                    (of_model("stairways_regime_score"), "{{model}} regime"),
                ),
                description="Error, both lanes and the regime score after the last decision.",
            ),
            Panel(
                title="Actuators",
                queries=(
                    (of_model("stairways_hold_bonus_basis_points"), "{{model}} bonus, bp"),
                    (of_model("stairways_decision_margin"), "{{model}} margin"),
                ),
                description="What holding earns, and what is added to its logit.",
            ),
            Panel(
                title="Controller at its limit",
                queries=((of_model("stairways_controller_saturated_ratio"), "{{model}}"),),
                unit="percentunit",
                description="Share of the newest rollout with the slow lane at its limit.",
                red_from=0.5,
            ),
            Panel(
                title="How often it trades",
                queries=(
                    (of_model("stairways_traded_ratio", "kind"), "{{model}} {{kind}}"),
                    (of_model("stairways_trades_per_day"), "{{model}} fills a session"),
                ),
                description="Share of decisions that traded, and fills a session in validation.",
            ),
        ),
    ),
    (
        "Money and learning",
        (
            Panel(
                title="Portfolio value",
                queries=(
                    (of_model("stairways_portfolio_value_dollars", "kind"), "{{model}} {{kind}}"),
                ),
                unit="currencyUSD",
                description="Cash and positions: mean of the lanes in training, end of validation.",
            ),
            Panel(
                title="Validation",
                queries=(
                    (of_model("stairways_validation_profit_ratio"), "{{model}} profit"),
                    (of_model("stairways_validation_drawdown_ratio"), "{{model}} drawdown"),
                ),
                unit="percentunit",
                description="Profit as a share of capital, and the deepest loss from a peak.",
            ),
            Panel(
                title="Reward",
                queries=((of_model("stairways_reward_basis_points"), "{{model}}"),),
                description="Mean of a step in the newest rollout, basis points. It is no money.",
            ),
            Panel(
                title="Divergence and its limit",
                queries=(
                    (of_model("stairways_divergence_ratio"), "{{model}}"),
                    (of_model("stairways_divergence_limit_ratio"), "{{model}} limit"),
                ),
                unit="percentunit",
                description="Distance of the parameters from the last promoted ones.",
            ),
            Panel(
                title="Steps a second",
                queries=((of_model("stairways_steps_per_second"), "{{model}}"),),
                description="Environment steps, learning included, in the newest rollout.",
            ),
            Panel(
                title="Steps and updates",
                queries=(
                    (of_model("stairways_training_steps_total"), "{{model}} steps"),
                    (of_model("stairways_policy_updates_total"), "{{model}} updates"),
                ),
                description="Over all runs and attempts.",
            ),
        ),
    ),
    (
        "Judgement",
        (
            Panel(
                title="Gates",
                queries=(
                    (of_model("stairways_gate_passed", "gate", "blocking"), "passed"),
                    (of_model("stairways_gate_value", "gate"), "value"),
                    (of_model("stairways_gate_threshold", "gate"), "threshold"),
                ),
                kind="table",
                description="What each gate measured last.",
                width=12,
                height=9,
            ),
            Panel(
                title="Verdicts",
                queries=(
                    (
                        of_model("stairways_cycles_decided_total", "verdict"),
                        "{{model}} {{verdict}}",
                    ),
                    (of_model("stairways_gate_overrides_total"), "{{model}} overridden"),
                ),
                description="Cycles promoted, rejected, and decided by a person.",
                width=6,
                height=9,
            ),
            Panel(
                title="Rollbacks",
                queries=(
                    (of_model("stairways_rollbacks_total", "reason"), "{{model}} {{reason}}"),
                    (of_model("stairways_rollbacks_since_promotion"), "{{model}} since promotion"),
                ),
                description="Returns to an earlier model, by reason.",
                width=6,
                height=9,
            ),
        ),
    ),
    (
        "Operation",
        (
            Panel(
                title="Schedules",
                queries=(
                    (
                        of_schedule("stairways_schedule_fires_total", "outcome"),
                        "{{schedule}} {{outcome}}",
                    ),
                ),
                description="Due times that fired or were skipped, and what became of them.",
            ),
            Panel(
                title="Since the last success of a schedule",
                queries=(
                    (
                        since(of_schedule("stairways_schedule_last_success_timestamp_seconds")),
                        "{{schedule}}",
                    ),
                    (of_schedule("stairways_schedule_period_seconds"), "{{schedule}} period"),
                ),
                unit="s",
                description="An alert fires at twice the period.",
            ),
            Panel(
                title="Runs",
                queries=((of_model("stairways_runs_total", "event"), "{{model}} {{event}}"),),
                description="Runs that began, finished and failed.",
            ),
            Panel(
                title="Log and projections",
                queries=(
                    (of_log("stairways_log_position"), "log"),
                    (of_log("stairways_metrics_position"), "metrics"),
                    (of_log("stairways_projector_position"), "read models"),
                    (of_log("stairways_verified_events"), "verified"),
                ),
                description="Events in the log, and how far each projection of it is.",
            ),
            Panel(
                title="Behind the log",
                queries=(
                    (of_log("stairways_projector_lag_events"), "read models"),
                    (of_log("stairways_unreadable_events"), "unreadable"),
                ),
                description="Events that are missing from the read models or could not be read.",
            ),
            Panel(
                title="Daemons, log, halt",
                queries=(
                    ('up{job="$job"}', "daemon {{instance}}"),
                    ('stairways_log_reachable{job="$job",instance!=""}', "log at {{instance}}"),
                    (of_log("stairways_halted"), "halted"),
                ),
                description="1 is yes.",
            ),
        ),
    ),
)
