"""What operation adds up to: the state of every schedule, and whether all is halted.

Folded from the events of daemons and the orders of people, wherever in the log they stand.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import reduce
from typing import Literal

from stairways.core import events as e

TIME = "time"
"""What triggers a fire that nobody ordered."""

LEASE = "schedule-"
"""What the name of a lease on a schedule begins with."""

TYPES = (
    "LeaseTaken",
    "ScheduleDefined",
    "ScheduleFired",
    "ScheduleSkipped",
    "ScheduleRetried",
    "ScheduleFinished",
    "ScheduleFailed",
    "SchedulePaused",
    "ScheduleResumed",
    "ScheduleTriggered",
    "TrainingHalted",
    "HaltLifted",
)
"""The types of events that tell of schedules and halts."""

Result = Literal["running", "waiting", "finished", "failed"]


@dataclass(frozen=True, slots=True)
class Order:
    """A person's word that is in force: training is halted, or a schedule paused."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """A due time that got a run."""

    due: datetime
    run: str
    seed: int
    model: str = ""
    result: Result = "running"
    failures: int = 0  # attempts that failed
    crashes: int = 0  # daemons in a row that died meanwhile, since an attempt failed
    retry_at: datetime | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether its run is still to be brought to an end."""
        return self.result in ("running", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleState:
    """How a schedule stands."""

    definition: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None  # from when the definition counts
    handled: datetime | None = None  # the latest due time that fired or was skipped
    fires: int = 0
    last: Fire | None = None
    paused: Order | None = None
    wanted: tuple[e.ScheduleTriggered, ...] = ()  # ordered and not yet fired
    skipped: int = 0
    skip: e.ScheduleSkipped | None = None  # the last one
    failed_in_a_row: int = 0  # fires given up since one succeeded
    last_failure: str = ""  # why the last of them was

    @property
    def open(self) -> Fire | None:
        """The fire whose run is still to be brought to an end."""
        return self.last if self.last is not None and self.last.is_open else None


@dataclass(frozen=True, slots=True)
class Operation:
    """Every schedule by name, and the halt that is in force."""

    schedules: Mapping[str, ScheduleState] = field(default_factory=dict)
    halt: Order | None = None

    def schedule(self, name: str) -> ScheduleState:
        """Return how a schedule stands; an empty state for one nobody has heard of."""
        return self.schedules.get(name, ScheduleState())


def operation(events: Iterable[e.Event], before: Operation | None = None) -> Operation:
    """Return what ``events``, in the order of the log, make of what was before."""
    return reduce(evolve, events, before or Operation())


def evolve(state: Operation, event: e.Event) -> Operation:
    """Return the state after one more event."""
    match event:
        case e.TrainingHalted():
            return replace(state, halt=Order(event.who, event.reason))
        case e.HaltLifted():
            return replace(state, halt=None)
        case e.LeaseTaken():
            return _taken(state, event)
        case (
            e.ScheduleDefined()
            | e.ScheduleFired()
            | e.ScheduleSkipped()
            | e.ScheduleRetried()
            | e.ScheduleFinished()
            | e.ScheduleFailed()
            | e.SchedulePaused()
            | e.ScheduleResumed()
            | e.ScheduleTriggered()
        ):
            changed = _evolve_schedule(state.schedule(event.schedule), event)
            return replace(state, schedules={**state.schedules, event.schedule: changed})
        case _:
            return state


def _taken(state: Operation, event: e.LeaseTaken) -> Operation:
    """Return the state after a daemon took a schedule, perhaps from one that died in training."""
    name = event.lease.removeprefix(LEASE)
    schedule = state.schedules.get(name)
    if schedule is None or schedule.last is None or schedule.last.result != "running":
        return state
    if not event.lease.startswith(LEASE) or not event.previous or state.halt is not None:
        return state
    last = replace(schedule.last, crashes=schedule.last.crashes + 1)
    return replace(state, schedules={**state.schedules, name: replace(schedule, last=last)})


def _evolve_schedule(state: ScheduleState, event: e.Event) -> ScheduleState:
    match event:
        case e.ScheduleDefined():
            return replace(state, definition=event.definition, since=event.since)
        case e.ScheduleFired():
            return _fired(state, event)
        case e.ScheduleSkipped():
            handled = _later(state.handled, event.last)
            return replace(state, handled=handled, skipped=state.skipped + event.count, skip=event)
        case e.SchedulePaused():
            return replace(state, paused=Order(event.who, event.reason))
        case e.ScheduleResumed():
            return replace(state, paused=None)
        case e.ScheduleTriggered():
            return replace(state, wanted=(*state.wanted, event))
        case _:
            return _ended(state, event)


def _fired(state: ScheduleState, event: e.ScheduleFired) -> ScheduleState:
    by_time = event.trigger == TIME
    return replace(
        state,
        handled=_later(state.handled, event.due) if by_time else state.handled,
        wanted=tuple(one for one in state.wanted if one.at != event.due),
        fires=state.fires + 1,
        last=Fire(due=event.due, run=event.run, seed=event.seed, model=event.model),
    )


def _ended(state: ScheduleState, event: e.Event) -> ScheduleState:
    """Return the state after an attempt of the last fire ended."""
    last = state.last
    if last is None or getattr(event, "due", None) != last.due:
        return state
    match event:
        case e.ScheduleRetried():
            changed = replace(
                last,
                result="waiting",
                failures=event.attempt,
                crashes=0,
                retry_at=event.retry_at,
                reason=event.reason,
            )
        case e.ScheduleFinished():
            changed = replace(last, result="finished", retry_at=None, reason="")
        case e.ScheduleFailed():
            failed = replace(last, result="failed", failures=event.attempts)
            changed = replace(failed, retry_at=None, reason=event.reason)
        case _:
            return state
    return replace(_counted(state, event), last=changed)


def _counted(state: ScheduleState, event: e.Event) -> ScheduleState:
    """Return the state with the fires counted that were given up since one succeeded."""
    match event:
        case e.ScheduleFinished():
            return replace(state, failed_in_a_row=0, last_failure="")
        case e.ScheduleFailed():
            failed = state.failed_in_a_row + 1
            return replace(state, failed_in_a_row=failed, last_failure=event.reason)
        case _:
            return state


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)
