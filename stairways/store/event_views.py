"""The views of one type of event each: which fields are columns, and under which names."""

from stairways.store.view import PREFIX, Column, EventView


def _columns(text: str) -> tuple[Column, ...]:
    """Read ``name:kind`` and ``name=field:kind``, separated by spaces."""
    found = []
    for part in text.split():
        name, _, kind = part.partition(":")
        name, _, field = name.partition("=")
        found.append(Column(name, kind, field or name))  # type: ignore[arg-type]  # one of Kind
    return tuple(found)


def _of(name: str, type_: str, columns: str) -> EventView:
    return EventView(PREFIX + name, type_, _columns(columns))


BOOKS = (
    "shares:json prices:json costs:json clipped:json interest:micros borrow:micros cash:micros "
    "positions:json lots:json equity:micros"
)
EVENT_VIEWS = (
    _of(
        "data_sets",
        "DataRegistered",
        "digest:text name:text symbols:json frequency:text adjustment:text timezone:text "
        "calendar:text simulated:flag first:time last:time rows:whole dropped:json sources:json "
        "findings:whole",
    ),
    _of(
        "data_findings",
        "DataFindingRaised",
        "kind:text symbol:text row:whole time:time detail:text",
    ),
    _of(
        "starts",
        "RunStarted",
        "run:text model:text seed:whole data:text features:text simulated:flag settings:json "
        "settings_digest:text code_version:text code_digest:text libraries:json machine:json "
        "windows:json warm_start:text",
    ),
    _of("resumptions", "RunResumed", "run:text state:text resumed_from=position:whole reason:text"),
    _of(
        "finishes",
        "RunFinished",
        "run:text cycles:whole promoted:whole steps:whole parameters:text",
    ),
    _of("failures", "RunFailed", "run:text reason:text cycle:whole step:whole"),
    _of(
        "attempts",
        "CycleStarted",
        "run:text cycle:whole attempt:whole name:text target:real learning_rate:real parent:text "
        "state:text",
    ),
    _of(
        "trainings",
        "CycleFinished",
        "run:text cycle:whole attempt:whole steps:whole hold_rate:real last_third_hold_rate:real "
        "parameters:text state:text",
    ),
    _of(
        "steps",
        "StepTaken",
        "run:text step:whole lane:whole bar:whole bar_time:time action:whole log_probability:real "
        f"value:real {BOOKS} reward:real log_return:real risk_free:real drawdown_penalty:real "
        "hold_bonus:real terminated:flag truncated:flag",
    ),
    _of(
        "controller",
        "ControllerUpdated",
        "run:text step:whole hold_rate:real target:real error:real regime:real fast:real "
        "slow:real bonus:real spread:real margin:real",
    ),
    _of(
        "balances",
        "BalanceAsserted",
        "run:text lane:whole bar:whole cash:micros positions:json equity:micros",
    ),
    _of(
        "updates",
        "PolicyUpdated",
        "run:text cycle:whole attempt:whole update_number=update:whole steps:whole "
        "policy_loss:real value_loss:real entropy:real approximate_kl:real clip_fraction:real "
        "explained_variance:real gradient_norm:real hold_rate:real divergence:real reference:text "
        "parameters:text state:text",
    ),
    _of(
        "divergences",
        "DivergenceDetected",
        "run:text cycle:whole attempt:whole update_number=update:whole divergence:real "
        "largest=limit:real reference:text",
    ),
    _of(
        "rollbacks",
        "ModelRolledBack",
        "run:text cycle:whole attempt:whole reason:text parameters:text state:text "
        "learning_rate:real evidence:json ordered_by=by:text",
    ),
    _of(
        "evaluation_starts",
        "EvaluationStarted",
        "run:text cycle:whole attempt:whole parameters:text first_bar:whole last_bar:whole "
        "target:real base_margin:real margin_spread:real authority:real",
    ),
    _of(
        "evaluation_steps",
        "EvaluationStepTaken",
        f"run:text step:whole bar:whole bar_time:time action:whole {BOOKS} terminated:flag "
        "truncated:flag hold_rate:real error:real regime:real fast:real slow:real margin:real",
    ),
    _of(
        "evaluations",
        "EvaluationFinished",
        "run:text cycle:whole attempt:whole decisions:whole holds:whole hold_rate:real "
        "effectiveness:real performance:real start_equity:micros final_equity:micros profit:real "
        "drawdown:real trades:whole win_rate:real trades_per_day:real sharpe:real evidence:json",
    ),
    _of(
        "gates",
        "GateDecided",
        "run:text cycle:whole attempt:whole gate:text value:real threshold:real passed:flag "
        "blocking:flag reason:text evidence:json",
    ),
    _of(
        "verdicts",
        "CycleVerdict",
        "run:text cycle:whole attempt:whole promoted:flag failed:json reason:text evidence:json",
    ),
    _of(
        "promotions",
        "ModelPromoted",
        "run:text cycle:whole parameters:text state:text base_margin:real margin_spread:real "
        "profit:real verdict:whole",
    ),
    _of(
        "overrides",
        "GateOverridden",
        "run:text cycle:whole who:text why:text promoted:flag verdict:whole",
    ),
    _of(
        "replays",
        "ReplayFinished",
        "run:text level:text checked:whole findings:whole first_position:whole first_field:text "
        "recorded_profit:micros replayed_profit:micros libraries:json",
    ),
    _of(
        "verifications",
        "LogVerified",
        "size:whole root:text findings:whole first_position:whole first_field:text",
    ),
    _of("signing_keys", "KeyRotated", "key:text previous:text reason:text"),
    _of("questions", "AuditAsked", "question:text arguments:json size:whole root:text"),
    _of("exports", "ExportMade", "run:text format:text files:json size:whole root:text"),
)
"""The views of one type of event each. A name that is a word of SQL is written otherwise."""

IN_PAYLOAD = {
    "GateDecided",
    "CycleVerdict",
    "ModelPromoted",
    "ModelRolledBack",
    "GateOverridden",
    "ReplayFinished",
    "ExportMade",
}
"""Types that say of which run they are; that of the others is in the name of their stream."""
