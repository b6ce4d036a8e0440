"""How schedules stand, one row each, from the log and the leases alone."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from stairways.core.operation import Order, ScheduleState
from stairways.daemon.schedule import next_due
from stairways.errors import NoSuchRunError
from stairways.service.operation.schedules import Follower, holders
from stairways.service.stairway.unfinished import start_of, summary_of
from stairways.store.contract import EventStore

Row = dict[str, Any]
_NO_PROGRESS: Row = {"cycle": None, "cycles": None, "attempt": None, "progress": None}


def schedule_rows(store: EventStore, now: datetime) -> tuple[list[Row], Order | None]:
    """Return a row for every schedule the log knows, and the halt that is in force."""
    operation, names = Follower(store).state(), holders(store)
    rows = [
        _row(name, state, names.get(name, ""), now) | _progress(store, state)
        for name, state in operation.schedules.items()
        if state.since is not None
    ]
    return rows, operation.halt


def remarks(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what somebody should know about schedules beyond their rows, a sentence each."""
    for row in rows:
        name = row["schedule"]
        if row["paused"]:
            yield f"{name} is paused by {row['paused']}"
        if row["ordered"]:
            yield f"{name} has {row['ordered']} ordered to run as soon as its model is free"
        if row["result"] == "waiting":
            again = f"{row['retry_at']:%H:%M:%SZ}"
            yield f"{name} failed and is tried again at {again}: {row['reason']}"
        if row["result"] == "failed":
            yield f"{name} was given up after {row['failures']} attempts: {row['reason']}"
        if not row["holder"]:
            yield f"{name} is kept by nobody: start `stairways daemon`"


def _row(name: str, state: ScheduleState, holder: str, now: datetime) -> Row:
    last, paused, skip = state.last, state.paused, state.skip
    return {
        "schedule": name,
        "trigger": _words(state),
        "last_fire": None if last is None else last.due,
        "run": None if last is None else last.run,
        "result": _result(state, holder),
        "failures": 0 if last is None else last.failures,
        "reason": "" if last is None else last.reason,
        "retry_at": None if last is None else last.retry_at,
        "fires": state.fires,
        "skipped": state.skipped,
        "last_skip": None if skip is None else {"due": skip.last, "cause": skip.cause},
        "ordered": len(state.wanted),
        "next_due": None if paused else next_due(state.definition, max(now, state.handled or now)),
        "paused": "" if paused is None else f"{paused.who}: {paused.reason}",
        "holder": holder,
    }


def _progress(store: EventStore, state: ScheduleState) -> Row:
    """Return where the run of an open fire stands; repeated attempts do not count."""
    if state.open is None:
        return _NO_PROGRESS
    try:
        settings, went = start_of(store, state.open.run).settings, summary_of(store, state.open.run)
    except NoSuchRunError:  # it is starting
        return _NO_PROGRESS
    cycles = len(settings["stairway.targets"].split(","))
    rollout = int(settings["ppo.lanes"]) * int(settings["ppo.rollout"])
    updates = int(settings["stairway.steps_per_cycle"]) // rollout
    if not went.cycles:
        return _NO_PROGRESS | {"cycles": cycles, "progress": 0.0}
    last = went.cycles[-1]
    done = (last.cycle - 1) * updates + last.updates
    return {
        "cycle": last.cycle,
        "cycles": cycles,
        "attempt": last.attempt,
        "progress": done / (cycles * updates),
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
