"""Events about operation: daemons, leases, schedules, and a person's word to stop or go on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStarted:
    """A daemon began to keep schedules, or read its settings again."""

    holder: str  # pid and host of the daemon
    code_version: str
    schedules: tuple[str, ...]  # names, in the order of the settings


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStopped:
    """A daemon ended by its own will; one that was killed leaves no such event."""

    holder: str  # pid and host of the daemon
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTaken:
    """A process took a lease: only under its epoch may anybody write what the lease covers."""

    lease: str  # what it covers, for example `schedule-nightly`
    holder: str  # pid and host of the process
    epoch: int  # fencing number; grows with every taking
    previous: str  # the holder it was taken from; empty if nobody held it


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDefined:
    """From ``since`` on a schedule is this; due times before are none of it."""

    schedule: str  # its name
    since: datetime  # time of the daemon's clock
    trigger: str  # when it is due, in words
    model: str  # name under which its runs promote
    definition: Mapping[str, str]  # every setting of the schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFired:
    """A due time was claimed: it gets this run and no other, whoever goes on with it.

    A second event for the same schedule and due time is impossible: both make the append id.
    """

    schedule: str  # its name
    due: datetime  # time it was to fire at
    run: str  # the run that begins, or was begun, for it
    model: str  # name under which the run promotes
    seed: int  # of the run
    late: float  # seconds between the due time and the claim
    trigger: str  # `time`, or the name of the person who triggered it
    holder: str  # pid and host of the daemon
    epoch: int  # of the daemon's lease on the schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSkipped:
    """Due times passed without a run."""

    schedule: str  # its name
    first: datetime  # the earliest due time skipped
    last: datetime  # the latest one
    count: int  # how many there were
    cause: str  # `coalesced`, `late`, `overlap`, `paused` or `halted`
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRetried:
    """An attempt at a due time failed; another one follows."""

    schedule: str  # its name
    due: datetime  # time it was to fire at
    run: str  # that goes on at the next attempt
    attempt: int  # the one that failed, from 1
    reason: str
    retry_at: datetime  # not before then


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFinished:
    """The run of a due time reached its end."""

    schedule: str  # its name
    due: datetime  # time it was to fire at
    run: str  # that finished
    attempts: int  # it took, of which all but the last failed


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFailed:
    """The run of a due time failed in every attempt and is given up; somebody has to look."""

    schedule: str  # its name
    due: datetime  # time it was to fire at
    run: str  # that is given up
    attempts: int  # all that were allowed
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePaused:
    """A person ordered that a schedule shall not fire."""

    schedule: str  # its name
    who: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleResumed:
    """A person ordered that a paused schedule shall fire again."""

    schedule: str  # its name
    who: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleTriggered:
    """A person ordered a run of a schedule at once."""

    schedule: str  # its name
    at: datetime  # the due time of that run
    who: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingHalted:
    """A person stopped all training and serving."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltLifted:
    """A person allowed training and serving again."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPushFailed:
    """Metrics did not reach the Pushgateway, so alerts may be silent about what happened."""

    schedule: str  # whose metrics they are; `manual` for runs that no schedule began
    gateway: str  # its URL, without user and password
    reason: str
    failures: int  # pushes that failed in a row, this one included
