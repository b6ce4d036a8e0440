"""The main job: start a run, or go on with one, and climb until every cycle has a verdict."""

import gc
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch

from stairways import __version__
from stairways.codec import real_text
from stairways.core import events as e
from stairways.core.progress import Progress, evolve, follow
from stairways.core.stairway import Cycle, Windows
from stairways.core.values import Digest, Position, StreamName
from stairways.env.spaces import action_space, observation_space
from stairways.env.tape import Tape, make_tape
from stairways.errors import SettingsError, TrainingFailedError, TrainingStoppedError
from stairways.features import Features, features, regime_scores
from stairways.market.bars import Bars, Float64
from stairways.service.operation.leases import alone, fenced, model_lease, training
from stairways.service.stairway.climb import Brake, Climber, Watcher, go_on, make_lanes
from stairways.service.stairway.journal import ASIDE, LANDMARKS, ContextSource, Journal, decoded
from stairways.service.stairway.judge import judge, reject_diverged, test_served
from stairways.service.stairway.orders import follow_order
from stairways.service.stairway.plan import Plan, windows_of
from stairways.service.stairway.surroundings import code_digest, libraries, machine
from stairways.store.contract import EventStore, Holder, Record
from stairways.training import state as states
from stairways.training.learner import Learner
from stairways.training.policy import build_ppo
from stairways.training.recorder import Clock
from stairways.training.state import State

BOUNDARIES = ("CycleStarted", "PolicyUpdated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run to be started or continued, and everything it needs from outside."""

    run: str
    plan: Plan
    bars: Bars
    store: EventStore
    context: ContextSource
    watcher: Watcher
    brake: Brake = go_on
    warm_start: Digest | None = None  # blob of the parameters a new run starts from

    @property
    def run_stream(self) -> StreamName:
        """The stream of the run."""
        return StreamName(f"run-{self.run}")

    @property
    def model_stream(self) -> StreamName:
        """The stream of its model."""
        return StreamName(f"model-{self.plan.model}")


def run_stairway(job: Job) -> e.RunFinished:
    """Run all cycles of a job, or those that are left, and return how it ended.

    Everything is in the log before this returns. A job whose run is in the log already goes
    on from the last captured state, without training any durable step twice. One that is told
    to stop raises ``TrainingStoppedError`` and can go on later.
    """
    if (reason := job.brake()) is not None:
        raise TrainingStoppedError(reason)
    past = list(job.store.read(stream=job.run_stream, types=LANDMARKS))
    climber = _resumed(job, past) if past else begin(job)
    try:
        return climb_all(climber)
    except TrainingFailedError as error:
        _report_failure(climber, error)
        raise
    except TrainingStoppedError as error:
        _report_stop(climber, error)
        raise


def run_alone(job: Job, holder: Holder) -> e.RunFinished:
    """Run a job as ``run_stairway`` does, as the only process that trains its model.

    Raises ``LeaseHeldError`` naming the other one. Were this process thought dead and another
    one took over, it could not write any more: what it appends carries the lease's epoch.
    """
    with alone(job.store, holder, model_lease(job.plan.model), training(job.plan.model)) as lease:
        return run_stairway(replace(job, context=fenced(job.context, lease)))


def climb_all(climber: Climber) -> e.RunFinished:
    """Run every cycle that has no verdict yet, and record the end of the run."""
    for cycle in climber.plan.programme.cycles:
        if cycle.number > climber.progress.decided:
            if not climber.progress.started:
                follow_order(climber)
            _climb_cycle(climber, cycle)
    follow_order(climber)
    test_served(climber)
    served = climber.progress.served
    finished = e.RunFinished(
        cycles=climber.progress.decided,
        promoted=climber.progress.promoted,
        steps=climber.progress.steps,
        parameters=served.parameters if served else states.parameter_digest(climber.learner),
    )
    climber.note(climber.run_stream, finished)
    return finished


def _climb_cycle(climber: Climber, cycle: Cycle) -> None:
    """Try a cycle until an attempt does not diverge, then judge it; reject it otherwise."""
    climber.stop_if_told()
    begun = climber.progress.attempt
    first = begun if climber.progress.started else begun + 1
    for attempt in range(first, climber.plan.programme.attempts + 1):
        if climber.train(cycle, attempt):
            judge(climber, cycle, attempt)
            return
    reject_diverged(climber, cycle, climber.plan.programme.attempts)


def begin(job: Job) -> Climber:
    """Record the start of a run and return it at the foot of the stairway."""
    seen, regime = features(job.bars), regime_scores(job.bars)
    windows = windows_of(job.bars, seen.warm_up, job.plan.programme)
    tape = make_tape(job.bars, seen, regime, job.plan.trading)
    climber = _climber(job, tape, windows, Journal(job.store, job.context))
    stored = climber.keep(_feature_state(seen, regime))
    climber.note(job.run_stream, _start_event(job, windows, stored))
    _import(climber, job.warm_start)
    return climber


def _start_event(job: Job, windows: Windows, stored: Digest) -> e.RunStarted:
    return e.RunStarted(
        model=job.plan.model,
        seed=job.plan.seed,
        data=job.bars.digest,
        features=stored,
        simulated=job.bars.simulated,
        settings=job.plan.settings,
        settings_digest=job.plan.settings_digest,
        code_version=__version__,
        code_digest=code_digest(),
        libraries=libraries(),
        machine=machine(),
        windows=windows.by_name(),
        warm_start=job.warm_start,
    )


def _resumed(job: Job, past: Sequence[Record]) -> Climber:
    """Return the run as it was at its last captured state, ready to go on."""
    start = decoded(past[0])
    assert isinstance(start, e.RunStarted)  # noqa: S101 - the first event of a run
    if past[-1].type == "RunFinished":
        raise TrainingFailedError(f"Run {job.run} is finished; start a new one.")
    _check_same(start, job)
    boundary = next((r for r in reversed(past) if captures_state(r)), past[0])
    progress = progress_at(job, past, boundary.position)
    own = list(job.store.read(stream=job.run_stream, after=boundary.position))
    journal = Journal(job.store, job.context, _after(job, boundary.position, own))
    climber = recorded_climber(job, start, journal)
    stand_at(climber, progress, boundary.position)
    resumed = e.RunResumed(
        state=progress.state, position=boundary.position, reason="unfinished run"
    )
    journal.versions[job.run_stream] = own[-1].version if own else boundary.version
    write_aside(journal, job.run_stream, resumed)
    return climber


def write_aside(journal: Journal, stream: StreamName, event: e.Event) -> None:
    """Append an event about the run's own going on, whatever is left to be repeated.

    It stands at the version this writer knows, so it fails where another process wrote since.
    """
    aside = Journal(journal.store, journal.context)
    aside.versions = journal.versions
    aside.write(stream, event)


def _check_same(start: e.RunStarted, job: Job) -> None:
    """Refuse to go on with a run under other settings or on other bars than it began with."""
    if start.settings_digest != job.plan.settings_digest:
        changed = [k for k, v in start.settings.items() if job.plan.settings.get(k) != v]
        raise SettingsError(
            f"Run {job.run} began with other settings ({', '.join(changed) or 'an older set'}); "
            "go on with its own, or start a new run."
        )
    if start.data != job.bars.digest:
        raise SettingsError(f"Run {job.run} began on other bars; go on with its own.")


def recorded_climber(job: Job, start: e.RunStarted, journal: Journal) -> Climber:
    """Return a run at the foot of its stairway, on the features and windows it recorded."""
    seen, regime = _stored_features(job.store, start.features)
    tape = make_tape(job.bars, seen, regime, job.plan.trading)
    climber = _climber(job, tape, Windows(**start.windows), journal)
    climber.progress = evolve(climber.progress, start)
    _import(climber, start.warm_start)
    return climber


def _import(climber: Climber, parameters: Digest | None) -> None:
    """Give the network the parameters of a warm start; the optimiser stays fresh."""
    if parameters is not None:
        content = climber.journal.store.get_blob(parameters)
        states.load_parameters(climber.learner, states.unpack_parameters(content))


def stand_at(climber: Climber, progress: Progress, position: Position) -> None:
    """Put a run where it stood after the event at ``position``, which captured its state.

    Learner and lanes get the captured state, and divergence its reference.
    """
    climber.progress, climber.last_update = progress, position
    climber.latest = position
    if progress.state is None:
        return
    cycle = climber.plan.programme.cycles[progress.cycle - 1]
    climber.set_up(cycle)
    states.restore(climber.stored(progress.state), climber.learner, climber.lanes)
    climber.use_learning_rate(cycle, progress.attempt)
    origin = progress.served.state if progress.served else progress.initial
    assert origin is not None  # noqa: S101 - some state is there
    climber.reference = states.parameter_vector(climber.stored(origin), climber.learner)


def captures_state(record: Record) -> bool:
    """Tell whether a run can go on from the state that a record names."""
    if record.type not in BOUNDARIES:
        return False
    event = decoded(record)
    return not isinstance(event, e.PolicyUpdated) or event.state is not None


def progress_at(job: Job, past: Sequence[Record], position: Position) -> Progress:
    """Return how far a run was after ``position``; ``past`` are landmarks of its stream."""
    return follow(map(decoded, _before(job, past, position)))


def _before(job: Job, past: Sequence[Record], position: Position) -> list[Record]:
    """Return the records of the run and its model up to ``position``, in order."""
    model = _of_model(job, Position(0), position)
    own = (record for record in past if record.position <= position)
    return list(heapq.merge(own, model, key=lambda record: record.position))


def _after(
    job: Job, position: Position, own: Sequence[Record]
) -> dict[StreamName, Sequence[Record]]:
    """Return what the run wrote after ``position``, by stream, except about resuming."""
    return {
        job.run_stream: [r for r in own if r.type not in ASIDE],
        job.model_stream: list(_of_model(job, position, None)),
    }


def _of_model(job: Job, after: Position, until: Position | None) -> list[Record]:
    found = job.store.read(stream=job.model_stream, after=after, until=until)
    return [record for record in found if record.correlation == job.run]


def _climber(job: Job, tape: Tape, windows: Windows, journal: Journal) -> Climber:
    _spare_the_collector()
    torch.set_num_threads(1)  # other numbers give other bits, and wait for each other
    torch.set_deterministic_debug_mode("error")  # the other way imports the compiler: a second
    plan, count = job.plan, len(job.bars.symbols)
    seed = int(plan.generator("weights", 0).integers(2**31))
    model = build_ppo(observation_space(count), action_space(count), plan.ppo, seed)
    generators = (plan.generator(purpose, 0) for purpose in ("sampling", "shuffling"))
    return Climber(
        run=job.run,
        plan=plan,
        bars=job.bars,
        tape=tape,
        clock=Clock(job.bars.times),
        windows=windows,
        journal=journal,
        watcher=job.watcher,
        learner=Learner(model, plan.ppo, *generators),
        lanes=make_lanes(plan, tape, windows, 0),
        brake=job.brake,
    )


@cache
def _spare_the_collector() -> None:
    """Keep the garbage collector from walking all of torch and numba while a run writes.

    Once in a process: they are loaded by then, and to look for garbage takes a third of a second.
    """
    gc.collect()
    gc.freeze()


def _feature_state(seen: Features, regime: Float64) -> State:
    """Return features and regime scores as a blob's content: data, never computed again."""
    scales = {name: real_text(value) for name, value in seen.scales.items()}
    meta: dict[str, Any] = {
        "names": list(seen.names),
        "scales": scales,
        "warm_up": seen.warm_up,
    }
    return State({"matrix": seen.matrix, "regime": regime}, meta)


def _stored_features(store: EventStore, digest: Digest) -> tuple[Features, Float64]:
    content = states.unpack(store.get_blob(digest))
    meta: dict[str, Any] = dict(content.meta)
    seen = Features(
        matrix=content.arrays["matrix"],
        names=tuple(meta["names"]),
        scales={name: float(text) for name, text in meta["scales"].items()},
        warm_up=meta["warm_up"],
    )
    return seen, content.arrays["regime"]


def _report_failure(climber: Climber, error: TrainingFailedError) -> None:
    progress = climber.progress
    failed = e.RunFailed(reason=str(error), cycle=progress.cycle, step=progress.steps)
    write_aside(climber.journal, climber.run_stream, failed)


def _report_stop(climber: Climber, error: TrainingStoppedError) -> None:
    progress = climber.progress
    stopped = e.RunStopped(reason=str(error), cycle=progress.cycle, steps=progress.steps)
    write_aside(climber.journal, climber.run_stream, stopped)
