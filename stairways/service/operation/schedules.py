"""Schedules as the log knows them, and what people order about them."""

from datetime import datetime, timedelta

from stairways.core import events as e
from stairways.core.operation import LEASE, TYPES, Fire, Operation, ScheduleState, operation
from stairways.core.values import NEW, Position, Version
from stairways.errors import NoSuchScheduleError
from stairways.service.operation.halt import STREAM, check_words, refuse_when_halted
from stairways.service.operation.processes import is_gone
from stairways.service.runs import run_stream
from stairways.service.stairway.journal import ASIDE, LANDMARKS, decoded, encoded
from stairways.store.contract import START, Appended, Context, EventStore


class Follower:
    """The state of operation, kept up with the log; asking again reads only what is new."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._position: Position = START
        self._state = Operation()

    def state(self) -> Operation:
        """Return how all schedules stand at the end of the log."""
        end = Position(self._store.head().size)
        if end > self._position:
            records = self._store.read(types=TYPES, after=self._position, until=end)
            self._state = operation(map(decoded, records), self._state)
            self._position = end
        return self._state


def schedule_lease(schedule: str) -> str:
    """Return the name of the lease without which nobody keeps a schedule."""
    return f"{LEASE}{schedule}"


def holders(store: EventStore) -> dict[str, str]:
    """Return the name of the process that keeps each schedule, unless it certainly is gone."""
    return {
        lease.name.removeprefix(LEASE): lease.holder.name
        for lease in store.leases(LEASE)
        if lease.holder is not None and not is_gone(lease.holder.process)
    }


def pause(store: EventStore, name: str, *, who: str, reason: str, context: Context) -> Appended:
    """Order that a schedule shall not fire; a run that began goes on."""
    check_words(who, reason)
    if known(store, name).paused is not None:
        raise NoSuchScheduleError(f"Schedule {name} is paused already.")
    return _order(store, e.SchedulePaused(schedule=name, who=who, reason=reason), context)


def resume(store: EventStore, name: str, *, who: str, reason: str, context: Context) -> Appended:
    """Order that a paused schedule shall fire again, from its next due time on."""
    check_words(who, reason)
    if known(store, name).paused is None:
        raise NoSuchScheduleError(f"Schedule {name} is not paused.")
    return _order(store, e.ScheduleResumed(schedule=name, who=who, reason=reason), context)


def run_now(
    store: EventStore, name: str, *, now: datetime, who: str, reason: str, context: Context
) -> Appended:
    """Order a run of a schedule at once, or as soon as nobody trains its model."""
    check_words(who, reason)
    refuse_when_halted(store)
    state, at = known(store, name), now
    taken = {one.at for one in state.wanted} | ({state.last.due} if state.last else set())
    while at in taken:
        at += timedelta(microseconds=1)
    ordered = e.ScheduleTriggered(schedule=name, at=at, who=who, reason=reason)
    return _order(store, ordered, context)


def known(store: EventStore, name: str) -> ScheduleState:
    """Return how a schedule stands; raises ``NoSuchScheduleError`` naming those there are."""
    schedules = Follower(store).state().schedules
    found = schedules.get(name)
    if found is None or found.since is None:
        listed = ", ".join(schedules) or "none; start one with `stairways daemon`"
        raise NoSuchScheduleError(f"The log knows no schedule {name}. It knows {listed}.")
    return found


def crashes(store: EventStore, schedule: str, fire: Fire) -> int:
    """Return how many daemons died in a row over the run of a fire that got no further.

    One that ends by its own will gives its lease back, so that nobody takes it from it.
    """
    progress = [one for one in LANDMARKS if one not in ASIDE]
    landmarks = store.read(stream=run_stream(fire.run), types=progress)
    last = max((one.position for one in landmarks), default=None)
    if last is None or not fire.crashes:
        return fire.crashes
    taken = map(decoded, store.read(types=("LeaseTaken",), after=last))
    lease = schedule_lease(schedule)
    since = sum(isinstance(one, e.LeaseTaken) and one.lease == lease for one in taken)
    return min(fire.crashes, since)


def outcome(store: EventStore, run: str, begun: Version = NEW) -> e.Event | None:
    """Return by what a run ended, or stopped after its stream had ``begun`` events; else None."""
    types = ("RunFinished", "RunStopped")
    for record in store.read(stream=run_stream(run), types=types):
        event = decoded(record)
        if isinstance(event, e.RunFinished) or record.version > begun:
            return event
    return None


def _order(store: EventStore, event: e.Event, context: Context) -> Appended:
    return store.append(STREAM, None, encoded([event]), context)
