"""Climbing the stairway: train, record, judge, promote or roll back, cycle after cycle.

The loop is driven by ``Progress``, a fold of the events in the log, so that going on with an
interrupted run is the same code as running it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import mean
from typing import Protocol

import numpy as np

from stairways.core import events as e
from stairways.core.controller import setpoint
from stairways.core.divergence import relative_distance
from stairways.core.progress import Progress, evolve
from stairways.core.stairway import Cycle, Windows
from stairways.core.values import Digest, Position, StreamName, digest_of
from stairways.env.lanes import Lanes
from stairways.env.tape import Tape
from stairways.errors import TrainingFailedError, TrainingStoppedError
from stairways.market.bars import Bars
from stairways.service.stairway.journal import Journal
from stairways.service.stairway.plan import Plan
from stairways.store.contract import Appended
from stairways.training import state as states
from stairways.training.authority import bonus_ratio, saturation
from stairways.training.calibration import sampled
from stairways.training.learner import Float32, Learner, Rollout, Update
from stairways.training.recorder import Clock, rollout_events
from stairways.training.state import State

START = Position(0)
REHEARSALS = 2
"""Before each rollout: one pass to leave the margin in force, one to meet the target."""

Brake = Callable[[], str | None]
"""Asked before every rollout and every cycle; returns why to stop there, or None to go on."""


def go_on() -> None:
    """Never stop."""


class Watcher(Protocol):
    """Somebody who wants to see how training comes along."""

    def advanced(self, progress: Progress, cycle: Cycle) -> None:
        """Take note that an update was made."""
        ...

    def noted(self, event: e.Event, position: Position) -> None:
        """Take note of an event about the run, which stands at ``position`` in the log."""
        ...


@dataclass(slots=True)
class Climber:
    """One run on its way up: what it learns with, where it writes, and how far it is."""

    run: str
    plan: Plan
    bars: Bars
    tape: Tape
    clock: Clock
    windows: Windows
    journal: Journal
    watcher: Watcher
    learner: Learner
    lanes: Lanes
    progress: Progress = field(default_factory=Progress)
    reference: Float32 | None = None  # parameters that divergence is measured from
    last_update: Position = START
    latest: Position = START  # the last event this run wrote
    brake: Brake = go_on
    kept: list[bytes] = field(default_factory=list)  # blobs of the next event to be noted
    reach: float = 0.0  # logits by which the last margin could have been moved either way

    @property
    def run_stream(self) -> StreamName:
        """The stream of the run's training facts."""
        return StreamName(f"run-{self.run}")

    @property
    def model_stream(self) -> StreamName:
        """The stream of the model's gates, promotions and rollbacks."""
        return StreamName(f"model-{self.plan.model}")

    def note(self, stream: StreamName, *events: e.Event) -> Appended:
        """Append events, with the blobs kept for them, and take them into the progress."""
        appended = self.journal.write(stream, *events, blobs=self.kept)
        self.kept.clear()
        self.latest = appended.last
        for place, event in enumerate(events):
            self.progress = evolve(self.progress, event)
            self.watcher.noted(event, Position(appended.first + place))
        return appended

    def keep(self, content: State) -> Digest:
        """Keep a training state for the event that is noted next, and return its digest."""
        return self._keep(states.pack(content))

    def record(self, rollout: Rollout) -> None:
        """Make every step of a rollout durable."""
        before = self.progress.steps
        steps = rollout_events(
            self.lanes, self.clock, before, rollout.log_probabilities, rollout.values
        )
        self.journal.write_encoded(self.run_stream, steps)

    def stored(self, digest: Digest) -> State:
        """Return a training state from the store."""
        return states.unpack(self.journal.store.get_blob(digest))

    def keep_parameters(self) -> Digest:
        """Keep the parameters alone, as safetensors, for the next event; return their digest."""
        return self._keep(states.pack_parameters(self.learner))

    def _keep(self, content: bytes) -> Digest:
        self.kept.append(content)
        return digest_of(content)

    def train(self, cycle: Cycle, attempt: int) -> bool:
        """Take all steps of an attempt; False when it diverged and was rolled back."""
        if not self.progress.started:
            self._begin(cycle, attempt)
        while not self.diverged():
            if self.progress.update == self.plan.updates_per_cycle:
                self.finish_training(cycle, attempt)
                return True
            self.learn_once(cycle, attempt)
        self.report_divergence(cycle, attempt)
        return False

    def roll_back(self, cycle: Cycle, attempt: int, reason: str, *evidence: Position) -> None:
        """Return to the last promoted or the imported model, if there is one to return to."""
        anchor = self.progress.anchor
        if anchor is None:
            return
        states.restore(self.stored(anchor.state), self.learner)
        self.note(
            self.model_stream,
            e.ModelRolledBack(
                run=self.run,
                cycle=cycle.number,
                attempt=attempt,
                reason=reason,
                parameters=states.parameter_digest(self.learner),
                state=anchor.state,
                learning_rate=learning_rate(cycle, attempt + 1),
                evidence=evidence,
            ),
        )

    def _begin(self, cycle: Cycle, attempt: int) -> None:
        """Start an attempt: new lanes, this cycle's generators, the attempt's learning rate."""
        parent = states.parameter_digest(self.learner)
        self.set_up(cycle)
        self.use_learning_rate(cycle, attempt)
        if self.reference is None:
            self.reference = self.learner.parameters()
        self.note(
            self.run_stream,
            e.CycleStarted(
                cycle=cycle.number,
                name=cycle.name,
                attempt=attempt,
                target=cycle.target,
                learning_rate=learning_rate(cycle, attempt),
                parent=parent,
                state=self.keep(states.capture(self.learner, self.lanes)),
            ),
        )

    def set_up(self, cycle: Cycle) -> None:
        """Take new lanes and the generators of ``cycle``."""
        number = cycle.number
        self.learner.sampling = self.plan.generator("sampling", number)
        self.learner.shuffling = self.plan.generator("shuffling", number)
        self.lanes = make_lanes(self.plan, self.tape, self.windows, number)
        self.lanes.set_target(cycle.target)

    def use_learning_rate(self, cycle: Cycle, attempt: int) -> None:
        """Learn at the rate of an attempt from now on."""
        self.learner.set_learning_rate(learning_rate(cycle, attempt))

    def act(self, cycle: Cycle) -> Rollout:
        """Collect a rollout under a margin for the target, and make it durable."""
        self.lanes.clear_trace()
        self._set_margin(cycle.target)
        rollout = self.learner.collect(self.lanes)
        self.record(rollout)
        return rollout

    def stop_if_told(self) -> None:
        """Raise ``TrainingStoppedError`` if somebody wants the run to stop here."""
        if (reason := self.brake()) is not None:
            raise TrainingStoppedError(reason)

    def learn_once(self, cycle: Cycle, attempt: int) -> None:
        """Collect a rollout, make it durable, and only then learn from it."""
        self.stop_if_told()
        rollout = self.act(cycle)
        update = self.learner.improve(rollout)
        event = self._updated(cycle, attempt, update, rollout.hold_rate)
        self.last_update = self.note(self.run_stream, event).last
        self.watcher.advanced(self.progress, cycle)

    def _updated(
        self, cycle: Cycle, attempt: int, update: Update, hold_rate: float
    ) -> e.PolicyUpdated:
        assert self.reference is not None  # noqa: S101 - set when the attempt began
        now, anchor = self.learner.parameters(), self.progress.anchor
        if not np.isfinite(now).all():
            raise TrainingFailedError("A parameter is not finite; lower the learning rate.")
        return e.PolicyUpdated(
            cycle=cycle.number,
            attempt=attempt,
            update=self.progress.update + 1,
            steps=self.progress.steps + self.plan.ppo.steps,
            policy_loss=update.policy_loss,
            value_loss=update.value_loss,
            entropy=update.entropy,
            approximate_kl=update.approximate_kl,
            clip_fraction=update.clip_fraction,
            explained_variance=update.explained_variance,
            gradient_norm=update.gradient_norm,
            hold_rate=hold_rate,
            bonus_ratio=bonus_ratio(self.lanes),
            margin_reach=self.reach,
            saturated=saturation(self.lanes),
            divergence=relative_distance(now.tolist(), self.reference.tolist()),
            reference=anchor.parameters if anchor else None,
            parameters=states.parameter_digest(self.learner),
            state=self.state_after(self.progress.update + 1),
        )

    def state_after(self, update: int) -> Digest | None:
        """Capture the state after every k-th update and after the last of an attempt."""
        every = self.plan.programme.state_every
        if update % every and update != self.plan.updates_per_cycle:
            return None
        return self.keep(states.capture(self.learner, self.lanes))

    def _set_margin(self, target: float) -> None:
        """Set the margin for one rollout and its update: calibrated, then steered.

        It is calibrated on rehearsals of the rollout, with draws of their own: the first under
        the margin in force, the next under what came of the one before. What the lanes last did
        answers hundreds of decisions late, so a gentle authority keeps it from swinging.
        """
        control = self.plan.training_control
        draws = self.plan.generator("rehearsal", self.progress.steps)
        margin = self.lanes.margin
        for _ in range(REHEARSALS):
            self.learner.policy.margin = margin
            seen = self.learner.rehearse(self.lanes, draws)
            calibration = sampled(self.learner.logits(seen), setpoint(target, control))
            margin = calibration.margin(self.lanes.output, control)
            self.reach = calibration.reach(control)
        self.learner.policy.margin = margin
        self.lanes.set_margin(margin)

    def diverged(self) -> bool:
        """Tell whether the last update went further from the reference than allowed."""
        limit = self.plan.programme.divergence_limit
        return self.progress.anchor is not None and self.progress.divergence > limit

    def report_divergence(self, cycle: Cycle, attempt: int) -> None:
        """Record that an attempt diverged, and roll it back."""
        anchor = self.progress.anchor
        assert anchor is not None  # noqa: S101 - only then a model diverges
        detected = self.note(
            self.run_stream,
            e.DivergenceDetected(
                cycle=cycle.number,
                attempt=attempt,
                update=self.progress.update,
                divergence=self.progress.divergence,
                limit=self.plan.programme.divergence_limit,
                reference=anchor.parameters,
            ),
        )
        self.roll_back(cycle, attempt, "divergence", detected.last)

    def finish_training(self, cycle: Cycle, attempt: int) -> None:
        """Record that an attempt has taken all its steps, unless that is recorded already."""
        if self.progress.trained:
            return
        rates = self.progress.hold_rates
        assert self.progress.state is not None  # noqa: S101 - the last update stored it
        self.note(
            self.run_stream,
            e.CycleFinished(
                cycle=cycle.number,
                attempt=attempt,
                steps=self.plan.programme.steps_per_cycle,
                hold_rate=mean(rates),
                last_third_hold_rate=mean(rates[-max(1, len(rates) // 3) :]),
                parameters=states.parameter_digest(self.learner),
                state=self.progress.state,
            ),
        )


def learning_rate(cycle: Cycle, attempt: int) -> float:
    """Return the cycle's learning rate, halved for every attempt that failed before."""
    return float(cycle.learning_rate / 2 ** (attempt - 1))


def make_lanes(plan: Plan, tape: Tape, windows: Windows, cycle: int) -> Lanes:
    """Return the training lanes of a cycle, freshly seeded."""
    return Lanes(
        tape,
        plan.trading,
        plan.training_control,
        window=windows.train,
        count=plan.ppo.lanes,
        capacity=plan.ppo.rollout,
        seed=plan.generator("lanes", cycle),
    )
