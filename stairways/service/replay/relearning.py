"""Level ``training`` where bits cannot be the same: each update again, from its recorded state.

Another processor outside the portable mode, or other versions of the libraries, round
differently, and training doubles such a difference with every update. So every update begins
at the recorded state before it, and what it makes is held against the recorded state after it:
real numbers within ``REAL_TOLERANCE``, parameters within ``PARAMETER_TOLERANCE``, generators
and everything whole exactly.
"""

from dataclasses import replace

from stairways.core import events as e
from stairways.core.divergence import relative_distance
from stairways.core.replay.report import Finding, LevelReport
from stairways.core.values import Position
from stairways.service.replay.comparing import DiffersError
from stairways.service.replay.reexecution import TRAINING, Reexecution, Segment, act_once
from stairways.service.stairway.climb import Climber
from stairways.service.stairway.journal import decoded
from stairways.service.stairway.run import recorded_climber, stand_at
from stairways.store.contract import Record
from stairways.training import state as states
from stairways.training.learner import Float32

PARAMETER_TOLERANCE = 1e-4
"""Relative distance of parameters that one update on another machine may make.

Measured by ``ops/bench/other_machine.py``: 7.2e-7 at most between the processor at hand and an
emulated Haswell. A test finds 0.1 that was added to one layer's bias.
"""

UNCOMPARED = ("parameters", "state")
"""Fields of ``PolicyUpdated`` that name bits; what they name is compared instead."""

Boundary = e.CycleStarted | e.PolicyUpdated


class Relearning:
    """One run of the log, every update of which is executed again."""

    def __init__(self, again: Reexecution) -> None:
        self._again = again
        self._past = {record.position: record for record in again.past}
        self._furthest = 0.0

    def training(self) -> LevelReport:
        """Return where updates lead elsewhere than recorded, each for itself."""
        allowed = {"parameters": PARAMETER_TOLERANCE}
        report = self._again.report(TRAINING, self._findings(), allowed)
        return replace(report, largest={"parameters": self._furthest})

    def _findings(self) -> list[Finding]:
        again = self._again
        climber = recorded_climber(again.watched(), again.start, again.journal(START, START))
        segments = again.segments()
        found = self._origin(climber, segments[0])
        for segment in segments:
            found += self._follow(climber, segment)
        return found

    def _origin(self, climber: Climber, segment: Segment) -> list[Finding]:
        """Hold the first recorded parameters against those that the seed makes here."""
        made = climber.learner.parameters()
        return self._distant(climber, made, self._past[segment.boundary])

    def _follow(self, climber: Climber, segment: Segment) -> list[Finding]:
        end = self._past.get(segment.end)
        learns = end is not None and end.type == "PolicyUpdated"
        climber.journal = self._again.journal(
            segment.boundary, Position(segment.end - (0 if learns else 1)), spared=UNCOMPARED
        )
        misnamed: list[Finding] = []
        try:
            stand_at(climber, segment.progress, segment.boundary)
            misnamed += self._misnamed(climber, self._past[segment.boundary])
            self._execute(climber, segment, learns=learns)
            climber.journal.check_end()
        except DiffersError as difference:
            return misnamed + list(difference.findings)
        made = climber.learner.parameters()
        return misnamed + (self._distant(climber, made, end) if learns and end else [])

    def _execute(self, climber: Climber, segment: Segment, *, learns: bool) -> None:
        cycle = climber.plan.programme.cycles[segment.progress.cycle - 1]
        if not learns:
            act_once(climber, cycle)
            return
        for _ in range(segment.between + 1):
            climber.learn_once(cycle, segment.progress.attempt)

    def _misnamed(self, climber: Climber, record: Record) -> list[Finding]:
        """Return that a recorded state holds other parameters than its event names."""
        name, named = _named(_boundary(record))
        held = states.parameter_digest(climber.learner)
        if held == named:
            return []
        why = f"{name} of {record.type} is {named}; its state holds parameters {held}."
        return [_finding(record, name, held, named, why)]

    def _distant(self, climber: Climber, made: Float32, record: Record) -> list[Finding]:
        """Return that a recorded state is too far from what was made here."""
        digest = _boundary(record).state
        assert digest is not None  # noqa: S101 - a boundary is an event that captured its state
        recorded = states.parameter_vector(climber.stored(digest), climber.learner)
        distance = relative_distance(made.tolist(), recorded.tolist())
        self._furthest = max(self._furthest, distance)
        if distance <= PARAMETER_TOLERANCE:
            return []
        why = (
            f"the parameters in state of {record.type} are {distance:.3g} away from what executing "
            f"it again gives; another machine makes {PARAMETER_TOLERANCE:g} at most."
        )
        return [_finding(record, "parameters", PARAMETER_TOLERANCE, distance, why)]


START = Position(0)


def _boundary(record: Record) -> Boundary:
    event = decoded(record)
    assert isinstance(event, e.CycleStarted | e.PolicyUpdated)  # noqa: S101 - only these capture
    return event


def _named(event: Boundary) -> tuple[str, str]:
    """Return which field of an event names the parameters in its state, and what it says."""
    if isinstance(event, e.CycleStarted):
        return "parent", event.parent
    return "parameters", event.parameters


def _finding(
    record: Record, name: str, expected: str | float, recorded: str | float, why: str
) -> Finding:
    return Finding(
        position=record.position,
        type=record.type,
        field=name,
        expected=expected,
        recorded=recorded,
        message=why,
    )
