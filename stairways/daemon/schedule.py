"""A schedule: when a stairway is trained, on which bars, and as which model."""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
_TICK, _STEP = timedelta(microseconds=1), timedelta(minutes=30)
_PARTS = ("minute", "hour", "day", "month", "day_of_week")
_SHORTCUTS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * sun",
    "@monthly": "0 0 1 * *",
}


LONGEST = 366 * 86_400
"""Seconds that a schedule may wait for anything: a year, so that no sum of times overflows."""

TRIGGER = ("cron", "every", "timezone")
"""The settings that say when a schedule is due."""


@dataclass(frozen=True, slots=True)
class Due:
    """Due times in a row, so many from ``first`` to ``last``."""

    first: datetime
    last: datetime
    count: int
    next_to_last: datetime | None = None

    def earlier(self) -> "Due | None":
        """Return all of them but the last one."""
        if self.next_to_last is None:
            return None
        return Due(self.first, self.next_to_last, self.count - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonRules:
    """How a daemon keeps its schedules."""

    lease_seconds: int = 10  # of silence after which another daemon takes over
    poll_seconds: float = 1.0  # between two looks at the log and at the runs
    stop_seconds: float = 8.0  # that a run has to finish its rollout before it is killed

    def __post_init__(self) -> None:
        for name in ("lease_seconds", "poll_seconds", "stop_seconds"):
            if not 0 < getattr(self, name) <= 3600:  # noqa: PLR2004 - an hour
                raise ValueError(f"{name} {getattr(self, name)} must be above 0, at most 3600")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a stairway is trained, on which bars, and as which model.

    ``settings`` are those of the file, changed for this schedule; they decide about its runs.
    """

    cron: str = ""  # minute hour day month weekday; weekdays by name, as in `30 22 * * mon-fri`
    every: int = 0  # seconds between due times, counted from 1970 UTC; instead of `cron`
    timezone: str = "UTC"  # of `cron`
    bars: tuple[str, ...] = ()  # `[SYMBOL=]FILE` of each, read anew for every run
    data: str = ""  # registered bars by name or digest, instead of `bars`
    options: tuple[str, ...] = ()  # more options of `stairways train`, such as `--adjustment=raw`
    model: str = ""  # name under which runs promote; the schedule's own name without one
    seed: int = 0  # of the first run
    seeds: Literal["fixed", "advance"] = "fixed"  # `advance`: every fire takes the next seed
    start: Literal["cold", "served"] = "cold"  # `served`: from what the model serves, if anything
    attempts: int = 3  # at a run before it is given up
    crashes: int = 5  # daemons that die in a row over a run that gets no further, likewise
    backoff: int = 60  # seconds before the second attempt; twice as long before each further one
    late: int = 3600  # seconds a due time may have passed and still be trained
    settings: Mapping[str, str] = field(default_factory=dict)  # table: `"ppo.lanes" = 4`

    def __post_init__(self) -> None:
        if bool(self.cron) == bool(self.every):
            raise ValueError("give either cron or every")
        if bool(self.bars) == bool(self.data):
            raise ValueError("give either bars or data")
        if min(self.every, self.backoff, self.late) < 0:
            raise ValueError("every, backoff and late must not be negative")
        if max(self.every, self.backoff, self.late) > LONGEST:
            raise ValueError(f"every, backoff and late must be at most {LONGEST} s, a year")
        if min(self.attempts, self.crashes) < 1:
            raise ValueError("attempts and crashes must be 1 or more")
        if self.start == "served" and any(one.startswith("--warm-start") for one in self.options):
            raise ValueError('give either start = "served" or the option --warm-start')
        if trigger(self.cron, self.every, self.timezone).get_next_fire_time(None, _ORIGIN) is None:
            raise ValueError(f"cron {self.cron!r} is never due")
        if self.every and self.timezone != "UTC":
            raise ValueError(f"timezone {self.timezone!r} would change nothing: it is that of cron")

    @property
    def trigger(self) -> str:
        """When it is due, in words."""
        return f"cron {self.cron} {self.timezone}" if self.cron else f"every {self.every} s"

    def definition(self) -> dict[str, str]:
        """Return every setting of the schedule as text, those of its runs included."""
        own = {
            "cron": self.cron,
            "every": str(self.every),
            "timezone": self.timezone,
            "bars": "\n".join(self.bars),
            "data": self.data,
            "options": "\n".join(self.options),
            "seed": str(self.seed),
            "seeds": self.seeds,
            "start": self.start,
            "attempts": str(self.attempts),
            "crashes": str(self.crashes),
            "backoff": str(self.backoff),
            "late": str(self.late),
        }
        return {**own, **{f"settings.{name}": text for name, text in self.settings.items()}}

    def starting_from(self, parameters: str | None) -> "Schedule":
        """Return the schedule with runs that begin warm from these parameters; cold from None."""
        if parameters is None:
            return self
        options = (*self.options, f"--warm-start={parameters}")
        return replace(self, start="cold", options=options)

    def pause_after(self, attempt: int) -> timedelta:
        """Return how long to wait after the failed ``attempt``, counted from 1."""
        doublings = min(attempt - 1, LONGEST.bit_length())  # more would change nothing
        return timedelta(seconds=min(self.backoff * 2**doublings, LONGEST))

    def seed_of(self, fires: int) -> int:
        """Return the seed of the fire after ``fires`` others."""
        return self.seed + fires if self.seeds == "advance" else self.seed


@functools.lru_cache(maxsize=64)
def trigger(cron: str, every: int, timezone: str) -> "BaseTrigger":
    """Return APScheduler's trigger; raises ``ValueError`` saying what is wrong with it."""
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415 - only daemons pay for it
    from apscheduler.triggers.interval import IntervalTrigger  # noqa: PLC0415 - as above

    if every:
        return IntervalTrigger(seconds=every, start_date=_ORIGIN, timezone=UTC)
    fields = _SHORTCUTS.get(cron, cron).split()
    if len(fields) != len(_PARTS):
        raise ValueError(f"cron {cron!r} must have five parts: minute hour day month weekday")
    if re.search(r"\d", fields[-1]):  # 0 is Sunday to cron and Monday to APScheduler
        raise ValueError(f"cron {cron!r}: write weekdays by name, as in mon-fri")
    try:
        return CronTrigger(**dict(zip(_PARTS, fields, strict=True)), timezone=timezone)
    except (ValueError, KeyError, LookupError) as error:
        raise ValueError(f"cron {cron!r} in timezone {timezone!r}: {error}") from error


def due_between(definition: Mapping[str, str], after: datetime, until: datetime) -> Due | None:
    """Return the due times with ``after < due <= until``; None if there is none.

    They are never listed: a schedule due each second has thirty million of them a year.
    """
    if every := int(definition["every"]):
        return _every(timedelta(seconds=every), after, until)
    found: Due | None = None
    for due in due_times(definition, after, until):
        first, count, before = (found.first, found.count, found.last) if found else (due, 0, None)
        found = Due(first, due, count + 1, before)
    return found


def _every(period: timedelta, after: datetime, until: datetime) -> Due | None:
    """Return the multiples of a period since 1970 with ``after < due <= until``."""
    first, last = (after - _ORIGIN) // period + 1, (until - _ORIGIN) // period
    if last < first:
        return None
    before = _ORIGIN + (last - 1) * period if last > first else None
    return Due(_ORIGIN + first * period, _ORIGIN + last * period, last - first + 1, before)


def due_times(
    definition: Mapping[str, str], after: datetime, until: datetime
) -> Iterator[datetime]:
    """Yield the due times of a schedule with ``after < due <= until``, in UTC and in order."""
    while (due := next_due(definition, after)) is not None and due <= until:
        yield due
        after = due


def next_due(definition: Mapping[str, str], after: datetime) -> datetime | None:
    """Return the first due time later than ``after``, in UTC; None if there is none."""
    made = trigger(definition["cron"], int(definition["every"]), definition["timezone"])
    now = after + _TICK
    while (found := made.get_next_fire_time(None, now)) is not None:
        due: datetime = found.astimezone(UTC)
        if due > after:
            return due
        now += _STEP  # where clocks are put back, APScheduler names the earlier of two hours
    return None
