"""The curves of a run for a screen: as many points as a screen shows, however long the run.

Points are records taken from the run's rollouts and validations at equal distances, so that a
curve costs the same for a thousand steps and for ten million. Each point is what one record
says; nothing is averaged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stairways.core import events as e
from stairways.core.values import MICROS_PER_DOLLAR, Position
from stairways.errors import UnknownEventError
from stairways.readmodels.batch import decoded
from stairways.service.browsing import rare_positions, records_at
from stairways.service.runs import run_stream
from stairways.store.contract import Record
from stairways.store.sql import SqlStore

POINTS = 480
VALIDATION_POINTS = 120
ATTEMPTS = 40
"""The newest attempts of a run whose curves are drawn."""

ROLLOUT = 32
"""An append of a run with at least so many events is a rollout or a validation."""

LANDMARKS = ("CycleStarted", "EvaluationStarted", "EvaluationFinished", "PolicyUpdated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt at a cycle as a piece of the curves."""

    cycle: int
    attempt: int
    target: float
    position: Position
    first_step: int


@dataclass(slots=True)
class Traces:
    """Columns of numbers, each list of one length; steps count the run's environment steps."""

    attempts: list[Attempt] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    hold_rate: list[float] = field(default_factory=list)
    target: list[float] = field(default_factory=list)
    fast: list[float] = field(default_factory=list)
    slow: list[float] = field(default_factory=list)
    margin: list[float] = field(default_factory=list)
    equity: dict[int, tuple[list[int], list[float]]] = field(default_factory=dict)  # by lane
    updates: list[tuple[int, float, bool]] = field(default_factory=list)  # step, divergence, cold
    validations: list["Validation"] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What one candidate's account was worth on validation bars, and how often it held."""

    cycle: int
    attempt: int
    times: list[float]  # seconds since 1970 UTC
    equity: list[float]  # dollars
    hold_rate: list[float]


def traces(store: SqlStore, run: str, first: int, last: int) -> Traces:
    """Return the curves of a run whose stream lies between two positions of the log."""
    positions = rare_positions(store, LANDMARKS, first, last)
    marks = [record for record in records_at(store, positions) if record.stream == run_stream(run)]
    said = list(_readable(marks))
    drawn = Traces()
    judged = [event for _, event in said if isinstance(event, e.EvaluationFinished)][-ATTEMPTS:]
    drawn.validations = [_validation(store, one) for one in judged]
    taken = [one for one in _rollouts(store, run, first, last) if not _is_judging(one, judged)]
    for _, event in _readable(records_at(store, spread(taken, POINTS))):
        _add_step(drawn, event)
    _add_landmarks(drawn, said)
    return drawn


def spread(ranges: Sequence[tuple[int, int]], points: int) -> list[int]:
    """Return pairs of neighbours at equal distances within ranges of positions, and the end."""
    total = sum(last - first + 1 for first, last in ranges)
    every = total // points | 1  # odd, so that no lane is passed over for ever
    chosen, offset = list[int](), 0
    for first, last in ranges:
        for place in range(first + offset, last + 1, every):
            chosen += [place, min(place + 1, last)]
        offset = (offset - (last - first + 1)) % every
    if ranges:
        chosen.append(ranges[-1][1])
    return sorted(set(chosen))


def as_json(drawn: Traces) -> dict[str, Any]:
    """Return the curves as plain lists."""
    return {
        "attempts": [
            {"cycle": a.cycle, "attempt": a.attempt, "target": a.target, "step": a.first_step}
            for a in drawn.attempts
        ],
        "controller": [
            drawn.steps, drawn.hold_rate, drawn.target, drawn.fast, drawn.slow, drawn.margin,
        ],
        "equity": [[lane, *columns] for lane, columns in sorted(drawn.equity.items())],
        "divergence": [list(column) for column in zip(*drawn.updates, strict=True)],
        "validations": [
            [one.cycle, one.attempt, one.times, one.equity, one.hold_rate]
            for one in drawn.validations
        ],
    }  # fmt: skip


def _readable(records: Iterable[Record]) -> Iterable[tuple[Record, e.Event]]:
    """Yield what can be read; `stairways verify` names the rest."""
    for record in records:
        try:
            yield record, decoded(record)
        except UnknownEventError:
            continue


def _rollouts(store: SqlStore, run: str, first: int, last: int) -> list[tuple[int, int]]:
    """Return the appends of a run that hold its steps, oldest first."""
    rows = store.rows(
        "SELECT a.first, a.last FROM appends a JOIN streams s ON s.id = a.stream"
        " WHERE s.name = ? AND a.first BETWEEN ? AND ? AND a.last - a.first >= ?"
        " ORDER BY a.first",
        (run_stream(run), first, last, ROLLOUT),
    )
    return [(one, other) for one, other in rows]


def _is_judging(rollout: tuple[int, int], judged: Sequence[e.EvaluationFinished]) -> bool:
    return any(one.evidence[0] <= rollout[1] and rollout[0] <= one.evidence[1] for one in judged)


def _validation(store: SqlStore, event: e.EvaluationFinished) -> Validation:
    """Return the curve of a validation, from the records it names as its evidence."""
    first, last = event.evidence
    chosen = spread([(first, last)], VALIDATION_POINTS // 2) if 0 < last - first < 10**7 else []
    found = [
        said
        for _, said in _readable(records_at(store, chosen))
        if isinstance(said, e.EvaluationStepTaken)
    ]
    return Validation(
        cycle=event.cycle,
        attempt=event.attempt,
        times=[one.bar_time.timestamp() for one in found],
        equity=[one.equity / MICROS_PER_DOLLAR for one in found],
        hold_rate=[one.hold_rate for one in found],
    )


def _add_step(drawn: Traces, event: e.Event) -> None:
    match event:
        case e.ControllerUpdated():
            drawn.steps.append(event.step)
            drawn.hold_rate.append(event.hold_rate)
            drawn.target.append(event.target)
            drawn.fast.append(event.fast)
            drawn.slow.append(event.slow)
            drawn.margin.append(event.margin)
        case e.StepTaken():
            steps, equity = drawn.equity.setdefault(event.lane, ([], []))
            steps.append(event.step)
            equity.append(event.equity / MICROS_PER_DOLLAR)


def _add_landmarks(drawn: Traces, said: Sequence[tuple[Record, e.Event]]) -> None:
    """Add divergence by update, and where each attempt begins on the axis of steps."""
    steps = 0
    for record, event in said:
        match event:
            case e.PolicyUpdated():
                steps = event.steps
                drawn.updates.append((steps, event.divergence, event.reference is None))
            case e.CycleStarted():
                drawn.attempts.append(
                    Attempt(
                        cycle=event.cycle,
                        attempt=event.attempt,
                        target=event.target,
                        position=record.position,
                        first_step=steps,
                    )
                )
