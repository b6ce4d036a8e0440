"""The daemon: schedules and how they stand, halts, leases, and what happened lately."""

from dataclasses import dataclass, field

from starlette.responses import Response

from stairways.console.desk import Call, Page
from stairways.console.questions import AFTER, BEFORE, FORMAT
from stairways.core import events as e
from stairways.errors import UnknownEventError
from stairways.readmodels.batch import decoded
from stairways.readmodels.rows import to_time
from stairways.service.audit import browsing, payload
from stairways.service.audit.searching import Wanted
from stairways.service.audit.sentences import sentence
from stairways.service.tabular import Row
from stairways.store.contract import Record

KINDS = (
    "AlertPushFailed", "DaemonStarted", "DaemonStopped", "HaltLifted", "LeaseTaken",
    "ScheduleDefined", "ScheduleFailed", "ScheduleFinished", "ScheduleFired", "SchedulePaused",
    "ScheduleResumed", "ScheduleRetried", "ScheduleSkipped", "ScheduleTriggered",
    "TrainingHalted",
)  # fmt: skip
KEYS = ("position", "recorded_at", "type", "stream", "actor", "payload")
EACH = 100
"""Newest records of a kind that how schedules stand is told from."""


@dataclass(slots=True)
class Schedule:
    """A schedule and the newest record of each kind about it."""

    name: str
    newest: dict[str, tuple[Record, e.Event]] = field(default_factory=dict)

    @property
    def is_paused(self) -> bool:
        """Say whether the newest word of a person about it is to pause."""
        return self._place("SchedulePaused") > self._place("ScheduleResumed")

    @property
    def last(self) -> str:
        """Return how the newest due time went, in one word."""
        words = {
            "ScheduleFired": "running",
            "ScheduleRetried": "retrying",
            "ScheduleFinished": "finished",
            "ScheduleFailed": "failed",
            "ScheduleSkipped": "skipped",
        }
        newest = max(words, key=self._place)
        return words[newest] if self._place(newest) else "waiting"

    def _place(self, kind: str) -> int:
        return self.newest[kind][0].position if kind in self.newest else 0


def show_daemon(call: Call) -> Response:
    """Show schedules, halts, leases, and the newest records of operation."""
    found = browsing.page(
        call.desk.store,
        Wanted(types=KINDS),
        before=call.asked["before"],
        after=call.asked["after"],
        rows=30,
    )
    if call.asked["format"]:
        return call.rows("daemon", list(map(_row, found.records)), KEYS)
    halts, lifts = (_newest(call, kind, 1) for kind in ("TrainingHalted", "HaltLifted"))
    halted = bool(halts) and (not lifts or lifts[0][0].position < halts[0][0].position)
    return call.page(
        "daemon.html",
        schedules=_schedules(call),
        halted=halts[0] if halted else None,
        started=_newest(call, "DaemonStarted", 3),
        leases=_leases(call),
        found=found,
        rows=[(record, sentence(record)) for record in found.records],
    )


def _schedules(call: Call) -> list[Schedule]:
    known: dict[str, Schedule] = {}
    for kind in KINDS:
        if kind.startswith("Schedule"):
            for record, event in _newest(call, kind, EACH):
                name = str(getattr(event, "schedule", ""))
                known.setdefault(name, Schedule(name)).newest.setdefault(kind, (record, event))
    return [known[name] for name in sorted(known)]


def _newest(call: Call, kind: str, most: int) -> list[tuple[Record, e.Event]]:
    found = []
    for record in browsing.page(call.desk.store, Wanted(types=(kind,)), rows=most).records:
        try:
            found.append((record, decoded(record)))
        except UnknownEventError:
            continue
    return found


def _leases(call: Call) -> list[Row]:
    rows = call.desk.store.rows(
        "SELECT name, holder, epoch, seconds, renewed_at FROM leases ORDER BY name LIMIT 200", ()
    )
    return [
        {"name": name, "holder": holder, "epoch": epoch, "seconds": seconds,
         "renewed_at": to_time(renewed_at)}
        for name, holder, epoch, seconds, renewed_at in rows
    ]  # fmt: skip


def _row(record: Record) -> Row:
    return {**record._asdict(), "leaf": record.leaf.hex(), "payload": payload(record)}


PAGES = (Page("/daemon", show_daemon, "Schedules, halts and leases", (BEFORE, AFTER, FORMAT)),)
