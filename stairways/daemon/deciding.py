"""What a daemon does about a schedule: worked out from the log's state and the time alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from stairways.core.operation import TIME, Fire, Order, ScheduleState
from stairways.daemon.schedule import TRIGGER, Due, Schedule, due_between

GATHER = timedelta(minutes=1)
"""Due times that pass for one reason are one event a minute: a schedule may be due each second."""


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What keeps a schedule from firing, and when it was seen to."""

    cause: str
    reason: str
    seen: datetime

    def is_as(self, other: "Hindrance | None") -> bool:
        """Tell whether the other one is the same thing, seen at another time."""
        return other is not None and (self.cause, self.reason) == (other.cause, other.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is so around a schedule at the moment."""

    now: datetime
    halt: Order | None
    is_free: bool  # nobody trains the model
    is_training: bool  # a process of this daemon trains it
    hindered: Hindrance | None = None  # at the last look of this daemon


@dataclass(frozen=True, slots=True)
class Define:
    """Record what the schedule is from ``since`` on."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Skip:
    """Record that due times pass without a run."""

    due: Due
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
    if state.since is None:
        return [Define(around.now)]
    if state.definition != schedule.definition():
        return _redefine(schedule, state, state.since, around)
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


def hindrance(state: ScheduleState, around: Surroundings) -> Hindrance | None:
    """Return what keeps a schedule from firing now."""
    if state.paused is not None:
        reason = f"{state.paused.who} paused it: {state.paused.reason}"
        return Hindrance("paused", reason, around.now)
    if around.halt is not None:
        reason = f"{around.halt.who} halted all: {around.halt.reason}"
        return Hindrance("halted", reason, around.now)
    if state.open is not None:
        return Hindrance("overlap", f"run {state.open.run} has not ended", around.now)
    if around.is_training or not around.is_free:
        return Hindrance("overlap", "another process trains the model", around.now)
    return None


def _redefine(
    schedule: Schedule, state: ScheduleState, since: datetime, around: Surroundings
) -> list[Action]:
    """Return how a changed schedule begins to count: only another trigger makes it begin anew.

    Then what was due by the trigger before is handled first: nobody took it back in time.
    """
    definition = schedule.definition()
    if all(state.definition.get(name) == definition[name] for name in TRIGGER):
        return [Define(since)]
    return [*_due(schedule, state, around, gather=False), Define(around.now)]


def _due(
    schedule: Schedule, state: ScheduleState, around: Surroundings, *, gather: bool = True
) -> list[Action]:
    """Return what becomes of the due times that have come since the last one was handled."""
    in_the_way = hindrance(state, around)
    actions = list(_gathered(state, around, in_the_way))
    after = actions[-1].due.last if actions else _handled(state)
    due = due_between(state.definition, after, around.now)
    if due is None:
        return [*actions]
    if in_the_way is None:
        return [*actions, *_latest(schedule, due, around.now)]
    if gather and _is_told(state, in_the_way):
        return [*actions]
    return [*actions, Skip(due, in_the_way.cause, in_the_way.reason)]


def _handled(state: ScheduleState) -> datetime:
    """Return until when every due time has fired or was skipped."""
    assert state.since is not None  # noqa: S101 - it was defined
    return max(state.since, state.handled or state.since)


def _gathered(
    state: ScheduleState, around: Surroundings, in_the_way: Hindrance | None
) -> Iterator[Skip]:
    """Yield what was due while something was in the way that is no more, and is not told yet."""
    before = around.hindered
    if before is None or before.is_as(in_the_way):
        return
    due = due_between(state.definition, _handled(state), before.seen)
    if due is not None:
        yield Skip(due, before.cause, before.reason)


def _is_told(state: ScheduleState, in_the_way: Hindrance) -> bool:
    """Tell whether it was recorded within a minute that due times pass for this reason."""
    last = state.skip
    if last is None or last.last != state.handled:
        return False
    told = Hindrance(last.cause, last.reason, last.last)
    return in_the_way.is_as(told) and in_the_way.seen - told.seen < GATHER


def _latest(schedule: Schedule, due: Due, now: datetime) -> list[Action]:
    """Return the actions that train the latest of ``due`` and skip those before it."""
    actions: list[Action] = []
    earlier, last = due.earlier(), due.last
    if earlier is not None:
        reason = f"missed; the due time {last:%Y-%m-%d %H:%M:%SZ} stands for all"
        actions.append(Skip(earlier, "coalesced", reason))
    late = now - last
    if late > timedelta(seconds=schedule.late):
        reason = f"missed by {late.total_seconds():.0f} s, more than {schedule.late} s"
        return [*actions, Skip(Due(last, last, 1), "late", reason)]
    return [*actions, Claim(last, TIME, late.total_seconds())]
