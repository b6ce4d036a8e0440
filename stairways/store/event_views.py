"""The views of one type of event each: which fields are columns, and under which names.

Every type of event has one, and every field of it is a column; a test holds this list to that.
"""

import dataclasses

from stairways.codec import CLASSES
from stairways.store.view import PREFIX, Column, EventView


def _columns(text: str) -> tuple[Column, ...]:
    """Read ``name:kind``, ``name=field:kind`` and ``name=field[place]:kind``, by spaces."""
    found = []
    for part in text.split():
        name, _, kind = part.partition(":")
        name, _, field = name.partition("=")
        field, _, place = (field or name).partition("[")
        number = int(place.removesuffix("]")) if place else None
        found.append(Column(name, kind, field, number))  # type: ignore[arg-type]  # one of Kind
    return tuple(found)


def _interval(name: str) -> str:
    """Return the columns of a figure between the bounds of its interval."""
    return f"{name}_low={name}[0]:real {name}={name}[1]:real {name}_high={name}[2]:real"


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
        "slow:real bonus:real spread:real margin:real setpoint:real",
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
        "parameters:text state:text bonus_ratio:real margin_reach:real saturated:real",
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
        "learning_rate:real evidence:json ordered_by=by:text base_margin:real margin_spread:real "
        "profit:real",
    ),
    _of(
        "evaluation_starts",
        "EvaluationStarted",
        "run:text cycle:whole attempt:whole parameters:text first_bar:whole last_bar:whole "
        "target:real base_margin:real margin_spread:real authority:real setpoint:real "
        "margin_reach:real",
    ),
    _of(
        "evaluation_steps",
        "EvaluationStepTaken",
        f"run:text step:whole bar:whole bar_time:time action:whole {BOOKS} terminated:flag "
        "truncated:flag hold_rate:real error:real regime:real fast:real slow:real margin:real "
        "owed:real",
    ),
    _of(
        "evaluations",
        "EvaluationFinished",
        "run:text cycle:whole attempt:whole decisions:whole holds:whole hold_rate:real "
        "effectiveness:real performance:real start_equity:micros final_equity:micros profit:real "
        "drawdown:real trades:whole win_rate:real trades_per_day:real sharpe:real evidence:json "
        "saturated:real",
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
    _of("stops", "RunStopped", "run:text reason:text cycle:whole steps:whole"),
    _of(
        "fold_starts",
        "FoldTestStarted",
        "run:text cycle:whole parameters:text first_bar:whole last_bar:whole target:real "
        "base_margin:real margin_spread:real authority:real setpoint:real margin_reach:real",
    ),
    _of(
        "folds",
        "FoldTestFinished",
        "run:text cycle:whole decisions:whole holds:whole hold_rate:real effectiveness:real "
        "performance:real start_equity:micros final_equity:micros profit:real drawdown:real "
        "trades:whole win_rate:real trades_per_day:real sharpe:real evidence:json "
        "saturated:real",
    ),
    _of(
        "baselines",
        "BaselinesMeasured",
        "run:text cycle:whole attempt:whole judged_on=window:text buy_and_hold:real "
        "always_hold:real random_policies=random:json evidence:json",
    ),
    _of(
        "skill",
        "SkillMeasured",
        "run:text cycle:whole attempt:whole judged_on=window:text data:text first_bar:whole "
        f"last_bar:whole returns:whole a_year:real block:whole {_interval('sharpe')} "
        f"{_interval('profit')} {_interval('over_buy_and_hold')} {_interval('over_always_hold')} "
        f"{_interval('over_random')} beaten:real skewness:real kurtosis:real trials:whole "
        "trial_spread:real best_by_chance:real probabilistic_sharpe:real deflated_sharpe:real "
        "skill:flag reason:text evidence:json",
    ),
    _of(
        "checkpoints",
        "CheckpointSigned",
        "checkpoint:whole origin:text size:whole root:text signers=keys:json note:text "
        "subtrees:text",
    ),
    _of(
        "segments",
        "SegmentSealed",
        "stream:text of_type=type:text of_schema=schema:whole first_position=first:whole "
        "last_position=last:whole events:whole segment:text size:whole",
    ),
    _of("legal_holds", "LegalHoldPlaced", "name:text runs:json who:text reason:text"),
    _of("legal_hold_lifts", "LegalHoldLifted", "name:text who:text reason:text"),
    _of(
        "push_failures",
        "AlertPushFailed",
        "schedule:text gateway:text reason:text failures:whole",
    ),
    _of("daemon_starts", "DaemonStarted", "holder:text code_version:text schedules:json"),
    _of("daemon_stops", "DaemonStopped", "holder:text reason:text"),
    _of("leases", "LeaseTaken", "lease:text holder:text epoch:whole previous:text"),
    _of(
        "schedules",
        "ScheduleDefined",
        "schedule:text since:time due_when=trigger:text model:text definition:json",
    ),
    _of(
        "schedule_fires",
        "ScheduleFired",
        "schedule:text due:time run:text model:text seed:whole late:real triggered_by=trigger:text "
        "holder:text epoch:whole",
    ),
    _of(
        "schedule_skips",
        "ScheduleSkipped",
        "schedule:text first_due=first:time last_due=last:time skipped=count:whole cause:text "
        "reason:text",
    ),
    _of(
        "schedule_retries",
        "ScheduleRetried",
        "schedule:text due:time run:text attempt:whole reason:text retry_at:time",
    ),
    _of("schedule_finishes", "ScheduleFinished", "schedule:text due:time run:text attempts:whole"),
    _of(
        "schedule_failures",
        "ScheduleFailed",
        "schedule:text due:time run:text attempts:whole reason:text",
    ),
    _of("schedule_pauses", "SchedulePaused", "schedule:text who:text reason:text"),
    _of("schedule_resumptions", "ScheduleResumed", "schedule:text who:text reason:text"),
    _of("schedule_orders", "ScheduleTriggered", "schedule:text due=at:time who:text reason:text"),
    _of("halts", "TrainingHalted", "who:text reason:text"),
    _of("halt_lifts", "HaltLifted", "who:text reason:text"),
)
"""The views of one type of event each. A name that is a word of SQL is written otherwise."""

IN_PAYLOAD = frozenset(
    type_
    for type_, event in CLASSES.items()
    if any(field.name == "run" for field in dataclasses.fields(event))
)
"""Types that say of which run they are; that of the others is in the name of their stream."""
