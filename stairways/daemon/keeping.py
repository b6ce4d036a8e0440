"""The daemon: keeps schedules, claims due times, and sees every run of them to its end.

Any number of daemons may keep the same schedules on one log. Each schedule is kept by the one
that holds its lease; the others stand by. What happened is read from the log alone, so that
a daemon may be killed at any moment and another goes on where it was.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from stairways import __version__
from stairways.core import events as e
from stairways.core.operation import TIME, Fire, Operation
from stairways.core.values import Position, StreamName, Version
from stairways.daemon.deciding import (
    Attempt,
    Claim,
    Define,
    Hindrance,
    Skip,
    Surroundings,
    decide,
    hindrance,
)
from stairways.daemon.schedule import DaemonRules, Schedule
from stairways.daemon.workers import Launcher, Worker
from stairways.errors import LeaseLostError, StairwaysError, WrongVersionError
from stairways.service.operation.leases import Holding, model_lease
from stairways.service.operation.schedules import Follower, crashes, outcome, schedule_lease
from stairways.service.runs import run_stream, served_by
from stairways.service.stairway.journal import encoded
from stairways.store.contract import Context, EventStore, Fence, Lease

_LOG = structlog.get_logger("daemon")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a daemon needs from outside."""

    store: EventStore
    holding: Holding
    launch: Launcher
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    context: Callable[[str], Context]
    host: str


@dataclass(slots=True)
class Running:
    """A run in training by this daemon."""

    fire: Fire
    model: str
    worker: Worker
    begun: Version  # events of the run when this attempt began
    is_told: bool = False  # to stop; then its end is no failure, however it ends

    def stop(self) -> None:
        """Tell it to stop, once."""
        if not self.is_told:
            self.is_told = True
            self.worker.stop()


class Daemon:
    """Keeps schedules; ``tick`` does all there is to do at the moment and returns."""

    def __init__(
        self, outside: Outside, schedules: Mapping[str, Schedule], rules: DaemonRules
    ) -> None:
        self._out = outside
        self._schedules = dict(schedules)
        self._rules = rules
        self._follower = Follower(outside.store)
        self._running: dict[str, Running] = {}
        self._compared: dict[str, Mapping[str, str]] = {}  # schedule to how it is kept elsewhere
        self._kept: dict[str, Lease] = {}  # schedule to the lease under which it was attended last
        self._hindered: dict[str, Hindrance | None] = {}  # schedule to what was in its way last
        self._troubled: dict[str, str] = {}  # schedule to the trouble that was told already

    def start(self) -> None:
        """Record that this daemon keeps schedules."""
        self._record("daemon", self._started())

    def reload(self, schedules: Mapping[str, Schedule]) -> None:
        """Keep other schedules from now on; runs that began go on to their end."""
        self._schedules = dict(schedules)
        for name in (one.removeprefix("schedule-") for one in self._out.holding.names()):
            if name not in self._schedules and name not in self._running:
                self._out.holding.release(schedule_lease(name))
        self._record("daemon", self._started())

    def tick(self) -> None:
        """Do for each schedule what is to be done now; trouble with one spares the others."""
        for name in [*self._schedules, *(set(self._running) - set(self._schedules))]:
            try:
                self._attend(name)
                self._troubled.pop(name, None)
            except StairwaysError as error:  # the database is away, or a lease was lost
                self._tell(name, str(error))
            except Exception as error:  # noqa: BLE001 - the one job boundary of the product
                self._give_up(name, error)

    def stop(self, reason: str, wait: Callable[[float], object]) -> None:
        """Let every run finish its rollout, or kill it when its time is up, and give all back."""
        for one in self._running.values():
            one.stop()
        waited = 0.0
        while self._alive() and waited < self._rules.stop_seconds:
            wait(_STEP)
            waited += _STEP
        for one in self._alive():
            one.worker.kill()
        with contextlib.suppress(StairwaysError):  # the database is away; nothing was lost
            self._collect_all()
            self._record("daemon", e.DaemonStopped(holder=self._name, reason=reason))

    @property
    def _name(self) -> str:
        return self._out.holding.holder.name

    def _started(self) -> e.DaemonStarted:
        return e.DaemonStarted(
            holder=self._name, code_version=__version__, schedules=tuple(self._schedules)
        )

    def _alive(self) -> list[Running]:
        return [one for one in self._running.values() if not one.worker.ended()]

    def _collect_all(self) -> None:
        for name in self._running.keys() & self._kept.keys():
            with contextlib.suppress(LeaseLostError):  # another one sees to it
                self._collect(name)

    def _attend(self, name: str) -> None:
        lease = self._lease(name)
        if lease is None:
            self._hindered.pop(name, None)
            self._leave(name)
            self._compare(name)
            return
        self._collect(name)
        if name not in self._schedules:
            self._retire(name)
            return
        while self._step(name):
            continue

    def _step(self, name: str) -> bool:
        """Do what is decided now; True if what was recorded may decide more."""
        operation = self._follower.state()
        if operation.halt is not None and name in self._running:
            self._running[name].stop()
        around, state = self._around(name, operation), operation.schedule(name)
        actions = decide(self._schedules[name], state, around)
        recorded = [self._act(name, action, operation) for action in actions]
        self._hindered[name] = hindrance(state, around)
        return any(recorded)

    def _lease(self, name: str) -> Lease | None:
        """Return this daemon's lease on a schedule, taking it if it is free."""
        lease = schedule_lease(name)
        held = self._out.holding.held(lease)
        if held is not None:
            self._kept[name] = held
            return held
        self._kept.pop(name, None)
        before = self._out.holding.look(lease)
        taken = self._out.holding.take(lease)
        if taken is not None:
            self._kept[name] = taken
            previous = before.holder.name if before and before.holder else ""
            event = e.LeaseTaken(
                lease=lease, holder=self._name, epoch=taken.epoch, previous=previous
            )
            at = self._append(name, event)
            told = {"epoch": taken.epoch, "after": previous or None, "position": at}
            _LOG.info("keeps a schedule", schedule=name, **told)
        return taken

    def _leave(self, name: str) -> None:
        """Stop a run whose schedule another daemon keeps; it goes on there."""
        running = self._running.get(name)
        if running is None:
            return
        running.stop()
        if running.worker.ended():
            del self._running[name]

    def _compare(self, name: str) -> None:
        """Say once for each way a schedule is kept elsewhere that it is not what is wanted here."""
        kept = self._follower.state().schedule(name).definition
        wanted = self._schedules[name].definition() if name in self._schedules else kept
        changed = {one for one in wanted if kept and kept.get(one) != wanted[one]}
        if changed and self._compared.get(name) != kept:
            _LOG.warning(
                "another daemon keeps a schedule with other settings; they would change when this "
                "one takes over",
                schedule=name,
                differ=", ".join(sorted(changed)),
            )
        self._compared[name] = kept

    def _retire(self, name: str) -> None:
        """Give a schedule back that is no more in the settings, once its run has ended."""
        if name not in self._running:
            self._out.holding.release(schedule_lease(name))

    def _around(self, name: str, operation: Operation) -> Surroundings:
        model = self._schedules[name].model
        training = any(one.model == model for one in self._running.values())
        return Surroundings(
            now=self._out.clock(),
            halt=operation.halt,
            is_training=name in self._running,
            is_free=not training and self._out.holding.is_free(model_lease(model)),
            hindered=self._hindered.get(name),
        )

    def _act(
        self, name: str, action: Define | Skip | Claim | Attempt, operation: Operation
    ) -> bool:
        """Do one thing; True if what it recorded may decide more."""
        schedule = self._schedules[name]
        match action:
            case Define(since):
                self._append(
                    name,
                    e.ScheduleDefined(
                        schedule=name,
                        since=since,
                        trigger=schedule.trigger,
                        model=schedule.model,
                        definition=schedule.definition(),
                    ),
                )
                return True
            case Skip(due, cause, reason):
                skipped = e.ScheduleSkipped(
                    schedule=name,
                    first=due.first,
                    last=due.last,
                    count=due.count,
                    cause=cause,
                    reason=reason,
                )
                told: dict[str, object] = {"cause": cause, "count": due.count, "reason": reason}
                fire = operation.schedule(name).open
                if fire is not None:
                    told["run"] = fire.run
                _LOG.warning("skipped", schedule=name, position=self._append(name, skipped), **told)
            case Claim():
                return self._claim(name, action, operation.schedule(name).fires)
            case Attempt(fire):
                self._train(name, fire)
        return False

    def _claim(self, name: str, claim: Claim, fires: int) -> bool:
        """Claim a due time, or an order, which may have come at that very moment.

        False where somebody was faster and has it; the log then says so.
        """
        schedule = self._schedules[name]
        fired = e.ScheduleFired(
            schedule=name,
            due=claim.due,
            run=self._out.new_id(),
            model=schedule.model,
            seed=schedule.seed_of(fires),
            late=claim.late,
            trigger=claim.trigger,
            holder=self._name,
            epoch=self._kept[name].epoch,
        )
        due = claim.due.isoformat()
        fire = f"fire {name} {due}" if claim.trigger == TIME else f"fire {name} {due} by order"
        try:
            at = self._append(name, fired, append_id=fire)
        except WrongVersionError:
            return False
        told = {"run": fired.run, "due": due, "late": claim.late, "position": at}
        _LOG.info("fired", schedule=name, **told)
        return True

    def _collect(self, name: str) -> None:
        """Record how a run ended, if it has; one that was told to stop is still to be ended."""
        running = self._running.get(name)
        if running is None or not running.worker.ended():
            return
        fire = running.fire
        match outcome(self._out.store, fire.run, running.begun):
            case e.RunFinished():
                self._finish(name, fire)
            case e.RunStopped():
                _LOG.info("stopped", schedule=name, run=fire.run)
            case _ if running.is_told:  # while it was starting
                _LOG.info("stopped", schedule=name, run=fire.run)
            case _:
                self._fail(name, fire, running.worker.reason())
        del self._running[name]

    def _train(self, name: str, fire: Fire) -> None:
        """Start to train the run of a fire, unless it reached its end before a daemon died."""
        schedule, stream = self._schedules[name], run_stream(fire.run)
        begun = self._out.store.version(stream)
        if isinstance(outcome(self._out.store, fire.run, begun), e.RunFinished):
            self._finish(name, fire)
            return
        if fire.crashes >= schedule.crashes:
            died = crashes(self._out.store, name, fire)
            if died >= schedule.crashes:
                self._fail(name, fire, _DEADLY.format(died=died), last=True)
                return
        served = served_by(self._out.store, schedule.model) if schedule.start == "served" else None
        worker = self._out.launch(name, schedule.starting_from(served), fire.run, fire.seed)
        self._running[name] = Running(fire, schedule.model, worker, begun)
        _LOG.info("trains", schedule=name, run=fire.run, attempt=fire.failures + 1, parent=served)

    def _finish(self, name: str, fire: Fire) -> None:
        finished = e.ScheduleFinished(
            schedule=name, due=fire.due, run=fire.run, attempts=fire.failures + 1
        )
        at = self._append(name, finished)
        _LOG.info("finished", schedule=name, run=fire.run, position=at)

    def _fail(self, name: str, fire: Fire, reason: str, *, last: bool = False) -> None:
        """Record that an attempt failed, and whether another one follows: none after the last."""
        attempt = fire.failures + 1
        schedule = self._schedules.get(name)
        if last or schedule is None or attempt >= schedule.attempts:
            failed: e.Event = e.ScheduleFailed(
                schedule=name, due=fire.due, run=fire.run, attempts=attempt, reason=reason
            )
        else:
            failed = e.ScheduleRetried(
                schedule=name,
                due=fire.due,
                run=fire.run,
                attempt=attempt,
                reason=reason,
                retry_at=self._out.clock() + schedule.pause_after(attempt),
            )
        told = {"attempt": attempt, "reason": reason, "position": self._append(name, failed)}
        _LOG.error("attempt failed", schedule=name, run=fire.run, **told)

    def _give_up(self, name: str, error: Exception) -> None:
        """Record a fault of the program in keeping a schedule as a failed attempt."""
        _LOG.exception("fault while keeping a schedule", schedule=name)
        fire = self._follower.state().schedule(name).open
        running = self._running.pop(name, None)
        if running is not None:
            running.stop()
        if fire is not None:
            with contextlib.suppress(StairwaysError):
                self._fail(name, fire, f"Fault in the daemon: {type(error).__name__}: {error}")

    def _tell(self, name: str, trouble: str) -> None:
        """Say once what keeps a schedule from being kept."""
        if self._troubled.get(name) != trouble:
            self._troubled[name] = trouble
            _LOG.error("cannot keep a schedule", schedule=name, reason=trouble)

    def _append(self, schedule: str, event: e.Event, append_id: str = "") -> Position:
        """Record something about a schedule, under the lease it is attended under.

        Were that lease lost meanwhile, whoever noticed it first, the log refuses the event.
        """
        lease = self._kept.get(schedule)
        if lease is None:
            raise LeaseLostError(
                f"This process does not keep {schedule}; it records nothing of it."
            )
        return self._record(schedule, event, append_id, lease.fence)

    def _record(
        self, about: str, event: e.Event, append_id: str = "", fence: Fence | None = None
    ) -> Position:
        made = self._out.context(about)
        name = append_id or made.append_id
        context = replace(made, correlation=about, append_id=name, fence=fence)
        stream = StreamName(f"daemon-{self._out.host}")
        return self._out.store.append(stream, None, encoded([event]), context).first


_STEP = 0.1
_DEADLY = (
    "{died} daemons in a row died while they trained this run, and it got no further. Look at "
    "the memory of the machine and at what killed them."
)
