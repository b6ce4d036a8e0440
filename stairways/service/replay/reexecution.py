"""Replay by executing again: from every captured state, or the whole training from its seed.

Level ``policy`` puts learner and lanes into each recorded state, lets the policy act on the
recorded bars with the recorded random states, and compares every step, controller value,
evaluation and gate. Level ``training`` executes every update as well, from the seed, and
believes no blob of the log but bars and features. Where this machine cannot give the same bits,
numbers may differ within a stated tolerance, and level ``training`` is ``relearning``'s.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from stairways.core import events as e
from stairways.core.progress import Progress, evolve
from stairways.core.replay.report import SHOWN_FINDINGS, Finding, LevelReport, Threshold
from stairways.core.stairway import Cycle
from stairways.core.values import Position
from stairways.service.replay.comparing import (
    REAL_TOLERANCE,
    ComparingJournal,
    DiffersError,
    Overlay,
    Tally,
)
from stairways.service.stairway.climb import Climber
from stairways.service.stairway.journal import ASIDE, LANDMARKS, decoded
from stairways.service.stairway.judge import judge, reject_diverged
from stairways.service.stairway.orders import follow_order
from stairways.service.stairway.run import (
    Job,
    captures_state,
    climb_all,
    recorded_climber,
    stand_at,
)
from stairways.service.stairway.surroundings import libraries, machine
from stairways.store.contract import Record

POLICY, TRAINING = "policy", "training"
PORTABLE = ("mkl_cbwr", "aten_cpu_capability")
"""What a run records of the portable mode; empty outside it."""

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Segment:
    """The records from one captured state to the next, and how far the run was there."""

    progress: Progress
    boundary: Position
    end: Position  # of the next captured state, or of the last record plus 1
    between: int = 0  # updates in it whose state was not captured


class Reexecution:
    """One run of the log, ready to be executed again; nothing is ever written."""

    def __init__(self, job: Job, advance: Advance) -> None:
        self.job = job
        self.advance = advance
        self.tally = Tally()
        self.past = _past(job)
        start = decoded(self.past[0])
        assert isinstance(start, e.RunStarted)  # noqa: S101 - the first event of a run
        self.start = start
        self.finished = any(record.type == "RunFinished" for record in self.past)
        self.tolerance = 0.0 if gives_same_bits(start) else REAL_TOLERANCE

    def training(self) -> LevelReport:
        """Execute the whole training again from its seed and compare every event."""
        return self.report(TRAINING, self._train())

    def policy(self, segments: Sequence[Segment] | None = None) -> LevelReport:
        """Execute again what follows each captured state, the update itself excepted."""
        findings: list[Finding] = []
        journal = self.journal(Position(0), Position(0))
        climber = recorded_climber(self.watched(), self.start, journal)
        for segment in self.segments() if segments is None else segments:
            findings += self._follow(climber, segment)
        return self.report(POLICY, findings)

    def segments(self) -> list[Segment]:
        """Return what lies between captured states, in order."""
        borders = [r.position for r in self.past if captures_state(r)]
        updates = [r.position for r in self.past if r.type == "PolicyUpdated"]
        ends = [*borders[1:], Position(self.past[-1].position + 1)]
        progress, found = Progress(), []
        events = iter(self.past)
        for border, end in zip(borders, ends, strict=True):
            for record in events:
                progress = evolve(progress, decoded(record))
                if record.position == border:
                    break
            between = sum(border < update < end for update in updates)
            found.append(Segment(progress, border, end, between))
        return found

    def _train(self) -> list[Finding]:
        journal = self.journal(self.past[0].position, None)
        try:
            climber = recorded_climber(self.watched(), self.start, journal)
            climb_all(climber)
            journal.check_end()
        except DiffersError as difference:
            return list(difference.findings)
        return []

    def _follow(self, climber: Climber, segment: Segment) -> list[Finding]:
        """Compare one segment; what differs in it says nothing about the next."""
        journal = self.journal(segment.boundary, Position(segment.end - 1))
        climber.journal = journal
        try:
            stand_at(climber, segment.progress, segment.boundary)
            cycle = climber.plan.programme.cycles[segment.progress.cycle - 1]
            for _ in range(segment.between):
                climber.learn_once(cycle, segment.progress.attempt)
            act_once(climber, cycle)
            journal.check_end()
        except DiffersError as difference:
            return list(difference.findings)
        finally:
            self.advance(segment.end - segment.boundary)
        return []

    def journal(
        self, after: Position, until: Position | None, spared: Sequence[str] = ()
    ) -> ComparingJournal:
        """Return a journal that compares with the run's records in a range of the log.

        A range that reaches the run's newest landmark goes to the end of the log; there, and
        only there, a run that is not finished may break off.
        """
        if until is not None and until >= self.past[-1].position:
            until = None
        read = self.job.store.read
        own = read(stream=self.job.run_stream, after=after, until=until)
        model = read(stream=self.job.model_stream, after=after, until=until)
        records = {
            self.job.run_stream: (r for r in own if r.type not in ASIDE),
            self.job.model_stream: (r for r in model if r.correlation == self.job.run),
        }
        overlay = Overlay(self.job.store)
        return ComparingJournal(
            overlay,
            records,
            self.tally,
            self.tolerance,
            spared,
            finished=self.finished or until is not None,
        )

    def watched(self) -> Job:
        """Return the run as a job that reports every update as compared."""
        events = 2 * self.job.plan.ppo.steps
        return replace(self.job, watcher=_Advancing(events, self.advance))

    def report(
        self, level: str, findings: Sequence[Finding], allowed: Mapping[str, float] | None = None
    ) -> LevelReport:
        """Return what a level found, and what differences it ``allowed`` beside real numbers'."""
        first = heapq.nsmallest(SHOWN_FINDINGS, findings, key=lambda finding: finding.position)
        return LevelReport(
            level=level,
            checked=dict(self.tally.checked),
            findings=first,
            found=len(findings),
            profits=(),
            capital=self.job.plan.trading.starting_capital,
            threshold=Threshold(),
            allowed={"numbers": self.tolerance, **(allowed or {})} if self.tolerance else {},
        )


@dataclass(frozen=True, slots=True)
class _Advancing:
    """A watcher that counts the events of every update as compared."""

    events: int  # of one update
    advance: Advance

    def advanced(self, progress: Progress, cycle: Cycle) -> None:  # noqa: ARG002 - a watcher's face
        self.advance(self.events)

    def noted(self, *_: object) -> None: ...


def act_once(climber: Climber, cycle: Cycle) -> None:
    """Do what a run does after a captured state, up to the next update."""
    attempt = climber.progress.attempt
    if climber.diverged():
        climber.report_divergence(cycle, attempt)
        if attempt == climber.plan.programme.attempts:
            reject_diverged(climber, cycle, attempt)
            follow_order(climber)
    elif climber.progress.update == climber.plan.updates_per_cycle:
        climber.finish_training(cycle, attempt)
        judge(climber, cycle, attempt)
        follow_order(climber)
    else:
        climber.act(cycle)
        return
    if climber.progress.decided == len(climber.plan.programme.cycles):
        climb_all(climber)  # nothing is left but to say that the run is finished


def gives_same_bits(start: e.RunStarted) -> bool:
    """Tell whether executing a run here has to give its very bits.

    It has to with the same libraries on the same machine, and on any machine if it was trained
    in the portable mode and this process is in it too.
    """
    now = machine()
    portable = all(start.machine.get(name) == now[name] != "" for name in PORTABLE)
    return start.libraries == libraries() and (portable or start.machine == now)


def _past(job: Job) -> list[Record]:
    """Return the landmarks of a run and its model, in order."""
    own = job.store.read(stream=job.run_stream, types=LANDMARKS)
    model = (r for r in job.store.read(stream=job.model_stream) if r.correlation == job.run)
    return list(heapq.merge(own, model, key=lambda record: record.position))
