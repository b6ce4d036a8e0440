"""What the log adds up to so far: runs, models and data sets, folded from the log in memory.

The tables of the read models hold the same, but nothing hashes them, so whoever may write to
the database may forge them. A program that stays up, as the console does, can fold the log
itself: once from the first event on, then a few landmarks whenever somebody asks. What it keeps
grows with the number of runs, not with the number of events.
"""

import threading
from dataclasses import dataclass, field, replace

from stairways.core import events as e
from stairways.core.merkle import leaf_hash
from stairways.core.projections import ModelState, RunSummary
from stairways.core.skill import Trial
from stairways.core.values import Digest, Position
from stairways.errors import UnknownEventError
from stairways.readmodels.batch import Batch, decoded
from stairways.readmodels.rows import Row, Span
from stairways.service.audit import payload
from stairways.service.audit.browsing import records_at
from stairways.service.runs import run_stream
from stairways.service.skill.trials import trial_of
from stairways.service.stairway.journal import LANDMARKS
from stairways.store.contract import START, Record
from stairways.store.records import record_bytes
from stairways.store.sql import SqlStore

POSITIONS_AT_ONCE = 40_000
"""Positions of the log that one question may have to wait for."""

MOST_DAMAGED = 20


class _Nothing:
    """What stands before the first event."""

    def run(self, run: str) -> tuple[RunSummary, Span] | None:  # noqa: ARG002 - a protocol's
        return None

    def model(self, model: str) -> ModelState:  # noqa: ARG002 - a protocol's
        return ModelState()


@dataclass(slots=True)
class Overview:
    """Runs, models and data sets as the log tells them up to ``position``."""

    store: SqlStore
    position: Position = START
    damaged: list[Position] = field(default_factory=list)  # unreadable, or not what was hashed
    _folded: Batch = field(default_factory=lambda: Batch(_Nothing()))
    _trials: dict[Digest, list[Trial]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def catch_up(self, most: int = POSITIONS_AT_ONCE) -> Position:
        """Read on by at most ``most`` positions; return the size of the log.

        While another thread reads, what is known so far has to do.
        """
        size = Position(self.store.head().size)
        if self.position < size and self._lock.acquire(blocking=False):
            try:
                self._read(Position(min(size, self.position + most)))
            finally:
                self._lock.release()
        return size

    def runs(self) -> list[tuple[str, RunSummary, Span]]:
        """Return every run that began, newest first, with its place in the log."""
        folded = self._folded
        known = [
            (run, summary, folded.spans[run])
            for run, summary in list(folded.runs.items())
            if summary.status != "empty" and run in folded.spans
        ]
        return sorted(known, key=lambda one: -one[2].first_position)

    def run(self, name: str) -> tuple[RunSummary, Span] | None:
        """Return a run, its steps and its end as of now; None if the log has none."""
        summary, span = self._folded.runs.get(name), self._folded.spans.get(name)
        if summary is None or span is None or summary.status == "empty":
            return None
        if summary.status == "finished":
            return summary, span
        return _as_of_now(self.store, name, summary, span)

    def models(self) -> list[tuple[str, ModelState]]:
        """Return every model by name."""
        return sorted(self._folded.models.items())

    def data(self) -> list[Row]:
        """Return every registration of bars, newest first."""
        return self._folded.data[::-1]

    def trials(self, data: Digest) -> list[Trial]:
        """Return the models that were evaluated on the same bars so far."""
        return list(self._trials.get(data, ()))

    def _read(self, until: Position) -> None:
        for record in self.store.read(types=LANDMARKS, after=self.position, until=until):
            self._take(record)
            self.position = record.position
        self.position = until
        self._folded.gates.clear()  # a cycle's page reads its own

    def _take(self, record: Record) -> None:
        """Fold a record whose hash is right; a changed one must not tell what happened."""
        is_right = leaf_hash(record_bytes(record)) == record.leaf
        try:
            if is_right:
                self._folded.take([record])
                self._count(record)
        except UnknownEventError:
            is_right = False
        if not is_right and len(self.damaged) < MOST_DAMAGED:
            self.damaged.append(record.position)

    def _count(self, record: Record) -> None:
        """Keep the figure of a weighed result, which others are weighed among."""
        if record.type == "SkillMeasured":
            event = decoded(record)
            assert isinstance(event, e.SkillMeasured)  # noqa: S101 - read by its type
            trial = trial_of(record.position, event)
            self._trials.setdefault(event.data, []).append(trial)


def _as_of_now(
    store: SqlStore, name: str, summary: RunSummary, span: Span
) -> tuple[RunSummary, Span]:
    """Return a run that may still go on, with its last step and its last record."""
    rows = store.rows(
        "SELECT a.first, a.last, a.recorded_at FROM appends a JOIN streams s ON s.id = a.stream"
        " WHERE s.name = ? ORDER BY a.first DESC LIMIT 12",
        (run_stream(name),),
    )
    if not rows:
        return summary, span
    ended = replace(span, last_position=rows[0][1], last_at=rows[0][2])
    steps = next(filter(None, (_last_step(store, first, last) for first, last, _ in rows)), 0)
    return replace(summary, steps=max(summary.steps, steps)), ended


def _last_step(store: SqlStore, first: int, last: int) -> int:
    """Return how many steps the run had taken at its last step in a range; 0 if there is none."""
    [(position,)] = store.rows(
        "SELECT max(position) FROM events WHERE position BETWEEN ? AND ? AND type = 'StepTaken'",
        (first, last),
    )
    for record in records_at(store, [position] if position else []):
        said = payload(record)
        step = said.get("step") if isinstance(said, dict) else None
        return step if isinstance(step, int) else 0
    return 0
