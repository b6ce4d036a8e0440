"""How schedules stand, one row each, from the log and the leases alone."""

from datetime import datetime
from typing import Any

from stairways.core.operation import Order, ScheduleState
from stairways.daemon.schedule import next_due
from stairways.service.operation.schedules import Follower, holders
from stairways.store.contract import EventStore

Row = dict[str, Any]


def schedule_rows(store: EventStore, now: datetime) -> tuple[list[Row], Order | None]:
    """Return a row for every schedule the log knows, and the halt that is in force."""
    operation, names = Follower(store).state(), holders(store)
    rows = [
        _row(name, state, names.get(name, ""), now)
        for name, state in operation.schedules.items()
        if state.since is not None
    ]
    return rows, operation.halt


def _row(name: str, state: ScheduleState, holder: str, now: datetime) -> Row:
    last, paused = state.last, state.paused
    return {
        "schedule": name,
        "trigger": _words(state),
        "last_fire": None if last is None else last.due,
        "run": None if last is None else last.run,
        "result": _result(state, holder),
        "reason": "" if last is None else last.reason,
        "fires": state.fires,
        "skipped": state.skipped,
        "ordered": len(state.wanted),
        "next_due": None if paused else next_due(state.definition, max(now, state.handled or now)),
        "paused": "" if paused is None else f"{paused.who}: {paused.reason}",
        "holder": holder,
    }


def _result(state: ScheduleState, holder: str) -> str:
    """Return how the last fire ended or stands; a run that nobody keeps is interrupted."""
    if state.last is None:
        return ""
    return "interrupted" if state.open and not holder else state.last.result


def _words(state: ScheduleState) -> str:
    made = state.definition
    cron, every = made.get("cron"), made.get("every", "?")
    return f"{cron} {made.get('timezone', 'UTC')}" if cron else f"every {every} s"
