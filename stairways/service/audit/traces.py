"""The curves of a run for a screen: as many points as a screen shows, however long the run.

Points are records taken from the run's rollouts and validations at equal distances, so that a
curve costs the same for a thousand steps and for ten million. Each point is what one record
says; nothing is averaged.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from stairways.core import events as e
from stairways.core.values import MICROS_PER_DOLLAR, Position
from stairways.errors import UnknownEventError
from stairways.readmodels.batch import decoded
from stairways.service.audit.browsing import payloads_at, rare_positions, records_at
from stairways.service.runs import run_stream
from stairways.store.contract import Record
from stairways.store.sql import SqlStore

POINTS = 400
VALIDATION_POINTS = 100
WHOLE_VALIDATION = 10_000
"""Points of a curve that is shown by itself: so many that a peak or a fall is not missed."""

ATTEMPTS = 40
"""The newest attempts of a run whose curves are drawn."""

ROLLOUT = 32
"""An append of a run with at least so many events is a rollout or a validation."""

LONGEST_VALIDATION = 10**7
"""Steps of a validation; a record that claims more is not believed."""

CONTROLLER = ("hold_rate", "target", "fast", "slow", "margin")
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

    def columns(self) -> tuple[list[float], ...]:
        """Return the columns of the controller, in the order of ``CONTROLLER``."""
        return self.hold_rate, self.target, self.fast, self.slow, self.margin


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
    drawn.validations = _validations(store, judged, VALIDATION_POINTS)
    taken = [one for one in _rollouts(store, run, first, last) if not _is_judging(one, judged)]
    for type_, payload in payloads_at(store, spread(taken, POINTS)):
        _add_step(drawn, type_, payload)
    _add_landmarks(drawn, said)
    return drawn


def validation(store: SqlStore, judged: e.EvaluationFinished) -> Validation | None:
    """Return the curve of one validation, every step of it unless they are tens of thousands."""
    found = _validations(store, [judged], WHOLE_VALIDATION)
    return found[0] if found else None


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
            drawn.steps, *drawn.columns(),
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


def _validations(
    store: SqlStore, judged: Sequence[e.EvaluationFinished], points: int
) -> list[Validation]:
    """Return the curves of validations, from the records each names as its evidence."""
    chosen = [spread([one.evidence], points // 2) for one in judged if _is_sane(one)]
    found = iter(payloads_at(store, [position for some in chosen for position in some]))
    drawn = []
    for event, some in zip(filter(_is_sane, judged), chosen, strict=True):
        said = [_step(payload) for _, payload in itertools.islice(found, len(some))]
        read = [one for one in said if "bar_time" in one]
        drawn.append(
            Validation(
                cycle=event.cycle,
                attempt=event.attempt,
                times=[datetime.fromisoformat(one["bar_time"]).timestamp() for one in read],
                equity=[one["equity"] / MICROS_PER_DOLLAR for one in read],
                hold_rate=[float(one["hold_rate"]) for one in read],
            )
        )
    return drawn


def _is_sane(event: e.EvaluationFinished) -> bool:
    first, last = event.evidence
    return 0 < first <= last < first + LONGEST_VALIDATION


def _add_step(drawn: Traces, type_: str, payload: bytes) -> None:
    said = _step(payload)
    try:
        if type_ == "ControllerUpdated":
            numbers = [float(said[name]) for name in CONTROLLER]
            drawn.steps.append(said["step"])
            for column, number in zip(drawn.columns(), numbers, strict=True):
                column.append(number)
        elif type_ == "StepTaken":
            step, equity = said["step"], said["equity"] / MICROS_PER_DOLLAR
            steps, amounts = drawn.equity.setdefault(said["lane"], ([], []))
            steps.append(step)
            amounts.append(equity)
    except (KeyError, TypeError, ValueError):
        return  # `stairways verify` names it


def _step(payload: bytes) -> dict[str, Any]:
    """Return what a step says, read without building its event: there are many."""
    try:
        said = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


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
