"""How schedules stand, one row each, from the log and the leases alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from stairways.core.operation import Fire, Order, ScheduleState
from stairways.daemon.schedule import next_due
from stairways.errors import NoSuchRunError
from stairways.service.operation.leases import is_trained
from stairways.service.operation.schedules import Follower, holders
from stairways.service.runs import run_stream
from stairways.service.stairway.journal import LANDMARKS
from stairways.service.stairway.unfinished import start_of, summary_of
from stairways.store.contract import EventStore

Row = dict[str, Any]
Trouble = Callable[[str, Mapping[str, str]], str]
SILENCE = timedelta(seconds=60)
"""After which a run that no process trains does not begin any more."""

_NO_PROGRESS: Row = {"cycle": None, "cycles": None, "attempt": None, "progress": None}


def schedule_rows(
    store: EventStore, now: datetime, trouble: Trouble | None = None
) -> tuple[list[Row], Order | None]:
    """Return a row for every schedule the log knows, and the halt that is in force.

    ``trouble`` says of a schedule and its definition why its next run could not begin, if so.
    """
    operation, names = Follower(store).state(), holders(store)
    rows = [
        _row(name, state, names.get(name, ""), now)
        | {"result": _result(store, state, names.get(name, ""), now)}
        | _progress(store, state)
        | {"trouble": trouble(name, state.definition) if trouble and not state.paused else ""}
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
        elif row["failed_in_a_row"]:
            failed = f"{name} was given up {row['failed_in_a_row']} times in a row before"
            yield f"{failed}: {row['last_failure']}"
        if row["trouble"]:
            yield f"{name} could not begin its next run: {row['trouble']}"
        if row["result"] == "interrupted" and row["holder"]:
            yield f"{name} is kept, and nobody trains its run: look at the lines of the daemon"
        if not row["holder"]:
            yield (
                f"{name} is kept by nobody: start `stairways daemon`, or pause it for good if it "
                "left the settings"
            )


def is_in_order(row: Row) -> bool:
    """Tell whether nobody has to look after a schedule; one that is paused needs no daemon."""
    well = row["result"] not in ("failed", "interrupted") and not row["failed_in_a_row"]
    return bool(row["paused"]) or (well and bool(row["holder"]) and not row["trouble"])


def _row(name: str, state: ScheduleState, holder: str, now: datetime) -> Row:
    last, paused, skip = state.last, state.paused, state.skip
    return {
        "schedule": name,
        "trigger": _words(state),
        "last_fire": None if last is None else last.due,
        "run": None if last is None else last.run,
        "result": "",
        "failures": 0 if last is None else last.failures,
        "reason": "" if last is None else last.reason,
        "failed_in_a_row": state.failed_in_a_row,
        "last_failure": state.last_failure,
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


def _result(store: EventStore, state: ScheduleState, holder: str, now: datetime) -> str:
    """Return how the last fire ended or stands.

    A run is interrupted if nobody keeps its schedule, or nobody trains it for a while: its
    process may have died on a log that takes no more, which then cannot tell either.
    """
    if state.last is None or state.open is None:
        return "" if state.last is None else state.last.result
    if not holder:
        return "interrupted"
    if is_trained(store, state.open.model):
        return "running"
    if state.open.result == "running" and now - _last_sign(store, state.open) > SILENCE:
        return "interrupted"
    return state.open.result


def _last_sign(store: EventStore, fire: Fire) -> datetime:
    """Return when something of the run of a fire was recorded last, at least its due time."""
    stream = run_stream(fire.run)
    last = store.read(stream=stream, types=LANDMARKS)
    return max([fire.due, *(record.recorded_at for record in last)])


def _words(state: ScheduleState) -> str:
    made = state.definition
    cron, every = made.get("cron"), made.get("every", "?")
    return f"{cron} {made.get('timezone', 'UTC')}" if cron else f"every {every} s"
