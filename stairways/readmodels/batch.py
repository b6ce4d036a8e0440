"""A piece of the log folded into rows: pure, given what stood before it.

Steps and controller updates are by far the most frequent events and most of them change no
table, so they are passed over without being decoded.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stairways import codec
from stairways.core import events as e
from stairways.core.curves import TRACE_EVERY, pnl_point, trace_point
from stairways.core.projections import ModelState, RunSummary, evolve_model, evolve_run
from stairways.core.values import StreamName
from stairways.errors import UnknownEventError
from stairways.readmodels.rows import Row, Span, data_row, gate_row, point_row, span_of
from stairways.store.contract import Record

RUN_STREAM, MODEL_STREAM = "run-", "model-"

_STEP = re.compile(rb'"step":(\d+)')
"""The number of a step in a canonical payload, found without decoding all of it."""

OfRun = e.GateDecided | e.CycleVerdict | e.ModelPromoted | e.ModelRolledBack | e.GateOverridden
"""Events in a model's stream that tell of a run."""


class Standing(Protocol):
    """What the tables say before a batch."""

    def run(self, run: str) -> tuple[RunSummary, Span] | None:
        """Return what is known of a run; None when it is new."""
        ...

    def model(self, model: str) -> ModelState:
        """Return the state of a model; an empty one when it is new."""
        ...


@dataclass(slots=True)
class Batch:
    """Rows to write after some records: changed runs and models, and points to add."""

    before: Standing
    runs: dict[str, RunSummary] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    models: dict[str, ModelState] = field(default_factory=dict)
    gates: list[Row] = field(default_factory=list)
    pnl: list[Row] = field(default_factory=list)
    controller: list[Row] = field(default_factory=list)
    data: list[Row] = field(default_factory=list)

    def take(self, records: Sequence[Record]) -> None:
        """Fold ``records``, which follow in the log on what was taken before."""
        self._stretch(records)
        for record in telling(records):
            self._take_one(record, decoded(record))

    def _take_one(self, record: Record, event: e.Event) -> None:
        run, model = run_of(record, event), model_of(record)
        if run:
            summary = self._take_for_run(run, record, event)
            model = model or summary.model
        if model:
            if model not in self.models:
                self.models[model] = self.before.model(model)
            self.models[model] = evolve_model(self.models[model], event)
        match event:
            case e.GateDecided():
                self.gates.append(gate_row(record, event))
            case e.DataRegistered():
                self.data.append(data_row(record, event))

    def _take_for_run(self, run: str, record: Record, event: e.Event) -> RunSummary:
        self._load(run, record)
        summary = self.runs[run] = evolve_run(self.runs[run], event)
        if (balance := pnl_point(summary, event)) is not None:
            self.pnl.append(point_row(run, record, balance))
        if (lanes := trace_point(summary, event)) is not None:
            self.controller.append(point_row(run, record, lanes))
        return summary

    def _stretch(self, records: Sequence[Record]) -> None:
        """Note where in the log each run's own stream begins and ends."""
        streams = [record.stream for record in records]
        lasts = dict(zip(streams, records, strict=True))
        firsts = dict(zip(reversed(streams), reversed(records), strict=True))
        for stream, last in lasts.items():
            if run := _after(RUN_STREAM, stream):
                self._load(run, firsts[stream])
                self.spans[run] = self.spans[run].until(last)

    def _load(self, run: str, first: Record) -> None:
        if run not in self.runs:
            self.runs[run], self.spans[run] = self.before.run(run) or (
                RunSummary(),
                span_of(first),
            )


def telling(records: Iterable[Record]) -> Iterator[Record]:
    """Yield the records that may change a row, in order within each stream.

    Of steps between others only the last one counts, because it alone says how many there were.
    An update of the controller does not ask for that number.
    """
    steps: dict[StreamName, Record] = {}
    for record in records:
        if record.type == "StepTaken":
            steps[record.stream] = record
        elif record.type == "ControllerUpdated":
            step = _STEP.search(record.payload)
            if step is None or int(step[1]) % TRACE_EVERY == 0:  # None: decoding says why
                yield record
        else:
            if record.stream in steps:
                yield steps.pop(record.stream)
            yield record
    yield from steps.values()


def decoded(record: Record) -> e.Event:
    """Return the event of a record; raises ``UnknownEventError`` naming the position."""
    try:
        return codec.decode(record.type, record.schema, record.payload)
    except (UnknownEventError, ValueError) as error:
        raise UnknownEventError(
            f"Position {record.position} cannot be read: {error} Run `stairways verify`."
        ) from error


def run_of(record: Record, event: e.Event) -> str:
    """Return the name of the run that a record tells of, or nothing."""
    return event.run if isinstance(event, OfRun) else _after(RUN_STREAM, record.stream)


def model_of(record: Record) -> str:
    """Return the name of the model in whose stream a record stands, or nothing."""
    return _after(MODEL_STREAM, record.stream)


def _after(prefix: str, stream: StreamName) -> str:
    return stream.removeprefix(prefix) if stream.startswith(prefix) else ""
