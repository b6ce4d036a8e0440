"""What a daemon does about a schedule: worked out from the log's state and the time alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stairways.core.operation import TIME, Fire, Order, ScheduleState
from stairways.daemon.schedule import Schedule, due_times


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is so around a schedule at the moment."""

    now: datetime
    halt: Order | None
    is_free: bool  # nobody trains the model
    is_training: bool  # a process of this daemon trains it


@dataclass(frozen=True, slots=True)
class Define:
    """Record what the schedule is from ``since`` on."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Skip:
    """Record that due times pass without a run."""

    due: Sequence[datetime]
    cause: str
    reason: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Claim a due time, which then gets a run."""

    due: datetime
    trigger: str
    late: float  # seconds


@dataclass(frozen=True, slots=True)
class Attempt:
    """Train the run of a fire, or go on with it."""

    fire: Fire


Action = Define | Skip | Claim | Attempt


def decide(schedule: Schedule, state: ScheduleState, around: Surroundings) -> list[Action]:
    """Return what to do now, in this order; nothing when all is as it should be.

    Every action becomes an event, and deciding again from the log with that event decides the
    next: so it may be cut short after any of them.
    """
    if state.definition != schedule.definition() or state.since is None:
        return [Define(_since(schedule, state, around.now))]
    actions = _due(schedule, state, around)
    if any(isinstance(action, Claim) for action in actions) or around.halt is not None:
        return actions
    if around.is_training or not around.is_free:
        return actions
    if state.open is not None:
        ready = state.open.retry_at is None or around.now >= state.open.retry_at
        return [*actions, Attempt(state.open)] if ready else actions
    if state.wanted:
        ordered = state.wanted[0]
        late = max(0.0, (around.now - ordered.at).total_seconds())
        return [*actions, Claim(ordered.at, ordered.who, late)]
    return actions


def _since(schedule: Schedule, state: ScheduleState, now: datetime) -> datetime:
    """Return from when a changed schedule counts: only another trigger makes it begin anew."""
    before = state.definition
    changed = [
        name
        for name in ("cron", "every", "timezone")
        if before.get(name) != schedule.definition()[name]
    ]
    return now if changed or state.since is None else state.since


def _due(schedule: Schedule, state: ScheduleState, around: Surroundings) -> list[Action]:
    """Return what becomes of the due times that have come since the last one was handled."""
    assert state.since is not None  # noqa: S101 - it was defined
    after = max(state.since, state.handled or state.since)
    due = list(due_times(schedule.definition(), after, around.now))
    if not due:
        return []
    if state.paused is not None:
        return [Skip(due, "paused", f"{state.paused.who} paused it: {state.paused.reason}")]
    if around.halt is not None:
        return [Skip(due, "halted", f"{around.halt.who} halted all: {around.halt.reason}")]
    if state.open is not None or around.is_training:
        run = state.open.run if state.open else "of it"
        return [Skip(due, "overlap", f"run {run} has not ended")]
    if not around.is_free:
        return [Skip(due, "overlap", "another process trains the model")]
    return _latest(schedule, due, around.now)


def _latest(schedule: Schedule, due: Sequence[datetime], now: datetime) -> list[Action]:
    """Return the actions that train the latest of ``due`` and skip those before it."""
    *earlier, last = due
    actions: list[Action] = []
    if earlier:
        reason = f"missed; the due time {last:%Y-%m-%d %H:%M:%SZ} stands for all"
        actions.append(Skip(earlier, "coalesced", reason))
    late = now - last
    if late > timedelta(seconds=schedule.late):
        reason = f"missed by {late.total_seconds():.0f} s, more than {schedule.late} s"
        return [*actions, Skip([last], "late", reason)]
    return [*actions, Claim(last, TIME, late.total_seconds())]
