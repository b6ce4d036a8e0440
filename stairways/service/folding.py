"""Runs, cycles and gates as the log itself tells them, folded when asked.

The read models hold the same rows, but whoever may write to the database may write to them,
and nothing hashes them. An auditor's answer therefore comes from events: of a run only its
landmarks are read, its last events and its last step, which are few however long it was.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stairways.core.projections import ModelState, RunSummary
from stairways.core.steering import STEERED, Attempt, Steering, steering
from stairways.core.values import Position, StreamName
from stairways.readmodels.batch import MODEL_STREAM, Batch, decoded
from stairways.readmodels.rows import Row, Span, cycle_rows, run_row
from stairways.service.runs import run_names, run_stream
from stairways.service.stairway.journal import LANDMARKS
from stairways.store.contract import START, EventStore, Record


def folded_runs(store: EventStore) -> list[Row]:
    """Return the row of every run as in ``rm_run``, oldest first."""
    names = run_names(store)
    batch = _folded(store, [*map(run_stream, names), *_models(store)])
    return [run_row(run, batch.runs[run], batch.spans[run]) for run in names]


def folded_cycles(store: EventStore, run: str) -> list[Row]:
    """Return the row of every attempt at a cycle of a run as in ``rm_cycle``, in order."""
    batch = _folded(store, [run_stream(run), *_models(store)])
    rows: list[dict[str, Any]] = cycle_rows(run, batch.runs[run])
    return sorted(rows, key=lambda row: (row["cycle"], row["attempt"]))


def folded_summary(store: EventStore, run: str) -> RunSummary:
    """Return the summary of a run with every attempt at its cycles."""
    return _folded(store, [run_stream(run), *_models(store)]).runs[run]


def folded_gates(store: EventStore, run: str) -> list[Row]:
    """Return the row of every gate decision of a run as in ``rm_gate``, in order."""
    batch = _folded(store, [run_stream(run), *_models(store)])
    return [row for row in batch.gates if row["run"] == run]


def folded_steering(store: EventStore, run: str) -> Mapping[Attempt, Steering]:
    """Return how the controller's actuators fared in every attempt at a cycle of a run."""
    records = store.read(stream=run_stream(run), types=STEERED)
    return steering(decoded(record) for record in records)


def folded_data(store: EventStore) -> list[Row]:
    """Return the row of every registration of bars as in ``rm_data``, oldest first."""
    batch = Batch(_Nothing())
    batch.take(list(store.read(types=("DataRegistered",))))
    return batch.data


class _Nothing:
    """What stands before the first event."""

    def run(self, run: str) -> tuple[RunSummary, Span] | None:  # noqa: ARG002 - a protocol's
        return None

    def model(self, model: str) -> ModelState:  # noqa: ARG002 - a protocol's
        return ModelState()


def _models(store: EventStore) -> Sequence[StreamName]:
    return store.streams(MODEL_STREAM)


def _folded(store: EventStore, streams: Iterable[StreamName]) -> Batch:
    """Fold what tells of runs in ``streams``, in the order of the log."""
    end = Position(store.head().size)
    told = (_telling(store, stream, end) for stream in streams)
    batch = Batch(_Nothing())
    batch.take(list(heapq.merge(*told, key=_position)))
    return batch


def _telling(store: EventStore, stream: StreamName, end: Position) -> list[Record]:
    """Return the landmarks of a stream, its last step, and its last event of all."""
    landmarks = list(store.read(stream=stream, types=LANDMARKS, until=end))
    after = landmarks[-1].position if landmarks else START
    tail = list(store.read(stream=stream, after=after, until=end))
    if stream.startswith(MODEL_STREAM) or any(one.type == "StepTaken" for one in tail):
        return [*landmarks, *tail]
    return sorted([*landmarks, *_last_step(store, stream, landmarks), *tail], key=_position)


def _last_step(store: EventStore, stream: StreamName, landmarks: list[Record]) -> Iterator[Record]:
    """Yield the last step before the last landmark, if there is one; it stands near the end."""
    for before, after in zip(landmarks[-2::-1], landmarks[:0:-1], strict=True):
        steps = store.read(
            stream=stream,
            types=("StepTaken",),
            after=before.position,
            until=Position(after.position - 1),
        )
        if last := deque(steps, maxlen=1):
            yield last[0]
            return


def _position(record: Record) -> Position:
    return record.position
