"""When the payloads of a run may be moved to segments: after its date, and under no hold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stairways.core.events import LegalHoldLifted, LegalHoldPlaced

LONGEST = 36_500
SETTING = "retention.days"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRules:
    """How long the payloads of a run that is closed stay where they were written."""

    days: int = 30  # from the end of a run until its step payloads may be moved to segments

    def __post_init__(self) -> None:
        if not 0 <= self.days <= LONGEST:
            raise ValueError(f"days {self.days} must be from 0 to {LONGEST}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A legal hold that is in force."""

    name: str
    runs: tuple[str, ...]  # none means every run
    who: str
    reason: str
    placed: datetime

    def covers(self, run: str) -> bool:
        """Say whether nothing of ``run`` may be moved because of this hold."""
        return not self.runs or run in self.runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """How a run stands: when it was closed, if it is, and what it was promised."""

    run: str
    closed: datetime | None
    promised: Mapping[str, str]  # the settings it recorded


def holds_in_force(
    events: Iterable[tuple[datetime, LegalHoldPlaced | LegalHoldLifted]],
) -> Sequence[Hold]:
    """Return the holds that were placed and not lifted, oldest first."""
    holds = dict[str, Hold]()
    for moment, event in events:
        holds.pop(event.name, None)
        if isinstance(event, LegalHoldPlaced):
            holds[event.name] = Hold(
                name=event.name,
                runs=event.runs,
                who=event.who,
                reason=event.reason,
                placed=moment,
            )
    return list(holds.values())


def retention_date(closing: Closing, rules: RetentionRules) -> datetime | None:
    """Return from when on the run may be archived; None while it is not closed.

    What a run was promised when it began can only be made longer.
    """
    if closing.closed is None:
        return None
    promised = closing.promised.get(SETTING, "0")
    days = max(rules.days, int(promised) if promised.isdecimal() else 0)
    return closing.closed + timedelta(days=days)


def refusal(
    closing: Closing, rules: RetentionRules, holds: Sequence[Hold], now: datetime
) -> str | None:
    """Return why the payloads of a run must stay, in one sentence; None if they may go."""
    due = retention_date(closing, rules)
    if due is None:
        return f"Run {closing.run} is not closed."
    for hold in holds:
        if hold.covers(closing.run):
            return f"Run {closing.run} is under the legal hold {hold.name}: {hold.reason}."
    if now < due:
        return f"Run {closing.run} must stay until {due:%Y-%m-%d %H:%M} UTC ({SETTING})."
    return None
