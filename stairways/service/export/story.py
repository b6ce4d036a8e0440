"""The records that tell of a run: its own, its model's about it, its bars', and its audits'."""

import heapq
from collections.abc import Iterable, Iterator

from stairways.core.values import Position, StreamName
from stairways.service.audit.asking import Filter, events
from stairways.service.data import stream_of
from stairways.service.runs import run_stream
from stairways.service.stairway.journal import MODEL_STREAM
from stairways.service.stairway.unfinished import start_of
from stairways.store.contract import Record
from stairways.store.sql import SqlStore


def records_of(log: SqlStore, run: str, until: Position | None = None) -> Iterator[Record]:
    """Yield every record that tells of a run, in the order of the log, each once.

    Besides the run's own and those that name it: the registration of its bars with its
    findings, and the keys that signed the log.
    """
    bars = stream_of(start_of(log, run).data)
    reads = (
        events(log, Filter(run=run, to=until)),
        log.read(stream=bars, until=until),
        log.read(types=("KeyRotated",), until=until),
    )
    return _once(heapq.merge(*reads, key=_place))


def proven_records(log: SqlStore, run: str, until: Position) -> Iterator[Record]:
    """Yield the records of a run, and all others in its model's stream, each once and in order.

    With the whole stream, of other runs too, its versions show whether a decision was left out.
    """
    model = StreamName(f"{MODEL_STREAM}{start_of(log, run).model}")
    reads = records_of(log, run, until), log.read(stream=model, until=until)
    return _once(heapq.merge(*reads, key=_place))


def last_of_run(log: SqlStore, run: str) -> Position:
    """Return the position of the last record in a run's own stream."""
    stream = StreamName(run_stream(run))
    [(last,)] = log.rows(
        "SELECT max(a.last) FROM appends a JOIN streams s ON s.id = a.stream"
        " WHERE s.name = ? AND a.first <= ?",
        (stream, log.head().size),
    )
    return Position(min(last, log.head().size))


def _once(records: Iterable[Record]) -> Iterator[Record]:
    last = 0
    for record in records:
        if record.position > last:
            last = record.position
            yield record


def _place(record: Record) -> Position:
    return record.position
