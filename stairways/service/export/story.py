"""The records that tell of a run: its own, its model's about it, its bars', and its audits'."""

import heapq
from collections.abc import Iterator

from stairways.core.values import Position, StreamName
from stairways.service.audit.asking import Filter, events
from stairways.service.data import stream_of
from stairways.service.runs import run_stream
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
    last = 0
    for record in heapq.merge(*reads, key=lambda record: record.position):
        if record.position > last:
            last = record.position
            yield record


def last_of_run(log: SqlStore, run: str) -> Position:
    """Return the position of the last record in a run's own stream."""
    stream = StreamName(run_stream(run))
    [(last,)] = log.rows(
        "SELECT max(a.last) FROM appends a JOIN streams s ON s.id = a.stream"
        " WHERE s.name = ? AND a.first <= ?",
        (stream, log.head().size),
    )
    return Position(min(last, log.head().size))
