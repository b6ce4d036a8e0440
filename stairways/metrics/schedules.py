"""What the log says of schedules: when they were due, what came of it, how often they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from stairways.core import events as e

DUES = 8
"""Due times that are remembered to tell how often a schedule is due."""

OfSchedule = (
    e.ScheduleDefined
    | e.ScheduleFired
    | e.ScheduleSkipped
    | e.ScheduleRetried
    | e.ScheduleFinished
    | e.ScheduleFailed
    | e.SchedulePaused
    | e.ScheduleResumed
)
"""Events that tell of one schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFigures:
    """One schedule: its due times in seconds since 1970, and how many ended how."""

    model: str = ""
    since: float | None = None  # when it became what it is
    every: float | None = None  # seconds, of a schedule that says so
    dues: tuple[float, ...] = ()  # the last ones, oldest first
    fired: int = 0
    skipped: int = 0
    retried: int = 0
    finished: int = 0
    failed: int = 0
    failed_in_a_row: int = 0
    last_success: float | None = None  # when that was recorded
    paused: bool = False

    @property
    def period(self) -> float | None:
        """Return the longest time between two of the last due times, or what it says of itself.

        The longest, because a schedule of trading days has gaps over weekends.
        """
        pairs = zip(self.dues, self.dues[1:], strict=False)
        return max((later - earlier for earlier, later in pairs), default=self.every)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedules:
    """Every schedule by name, and whether a person halted all of them.

    Daemons with other settings may share a log: what one of them no longer names, another may.
    """

    by_name: Mapping[str, ScheduleFigures] = field(default_factory=dict)
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by the stream of a daemon
    halted: bool = False


def evolve(schedules: Schedules, event: e.Event, at: float, stream: str) -> Schedules:
    """Return the schedules after one more event of a stream, ``at`` seconds since 1970."""
    match event:
        case e.TrainingHalted():
            return replace(schedules, halted=True)
        case e.HaltLifted():
            return replace(schedules, halted=False)
        case e.DaemonStarted():
            named = {**schedules.named, stream: event.schedules}
            kept = dict.fromkeys(name for names in named.values() for name in names)
            by_name = {name: schedules.by_name.get(name, _NEW) for name in kept}
            return replace(schedules, by_name=by_name, named=named)
        case _ if isinstance(event, OfSchedule):
            before = schedules.by_name.get(event.schedule, _NEW)
            after = _after(before, event, at)
            return replace(schedules, by_name={**schedules.by_name, event.schedule: after})
        case _:  # no other event is about a schedule
            return schedules


def _after(schedule: ScheduleFigures, event: OfSchedule, at: float) -> ScheduleFigures:
    match event:
        case e.ScheduleDefined():
            since, every = event.since.timestamp(), float(event.definition.get("every", "0"))
            told = replace(schedule, since=since, every=every or None, dues=())
            return replace(told, model=event.model)
        case e.ScheduleFired():
            dues = (event.due,) if event.trigger == "time" else ()
            return replace(_due(schedule, *dues), model=event.model, fired=schedule.fired + 1)
        case e.ScheduleSkipped():
            missed = _due(schedule, event.first, event.last)
            return replace(missed, skipped=schedule.skipped + event.count)
        case e.ScheduleRetried():
            return replace(schedule, retried=schedule.retried + 1)
        case e.ScheduleFinished():
            done = schedule.finished + 1
            return replace(schedule, finished=done, failed_in_a_row=0, last_success=at)
        case e.ScheduleFailed():
            row = schedule.failed_in_a_row + 1
            return replace(schedule, failed=schedule.failed + 1, failed_in_a_row=row)
        case e.SchedulePaused():
            return replace(schedule, paused=True)
        case e.ScheduleResumed():
            return replace(schedule, paused=False)


def _due(schedule: ScheduleFigures, *times: datetime) -> ScheduleFigures:
    dues = sorted({*schedule.dues, *(time.timestamp() for time in times)})
    return replace(schedule, dues=tuple(dues[-DUES:]))


_NEW = ScheduleFigures()
