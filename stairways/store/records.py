"""From events to rows: the canonical record of each, its leaf, and the tree they extend.

A record is canonical JSON (RFC 8785) of an event and everything known about its writing.
An auditor exports it as one line and hashes it himself; ``docs/log-format.md`` shows how.
"""

import functools
import gc
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from stairways.codec import time_text
from stairways.core.merkle import Edge
from stairways.core.values import (
    LARGEST_WHOLE_NUMBER,
    Digest,
    Position,
    StreamName,
    Version,
    is_utf8,
)
from stairways.errors import NotCanonicalError, WrongVersionError
from stairways.store.contract import Appended, Batch, Context, Encoded, Head, Record
from stairways.store.driver import EventRow, EventRows

Frame = tuple[bytes, bytes]
"""The constant parts of a record: before the payload, and between position and version."""

LONGEST_TEXT = 1000
"""Bytes that stream, actor, correlation and append id may have: an index of PostgreSQL takes 2704,
and all four go through its driver's pipeline; see ``store.sql``."""

_HASHED_AT_ONCE = 512
"""Events whose rows are given to the database while the next ones are hashed."""

_new_record: Callable[[tuple[object, ...]], Record] = functools.partial(tuple.__new__, Record)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """One append as the log keeps it: what all of its events have in common."""

    first: Position
    last: Position
    stream: StreamName
    version: Version  # of its first event
    recorded_at: int  # microseconds since 1970 UTC
    actor: str
    correlation: str
    causation: Position | None
    append_id: str

    def result(self) -> Appended:
        """Return what the append answered to its caller."""
        return Appended(self.first, self.last, Version(self.version + self.last - self.first))


@contextmanager
def collector_off() -> Iterator[None]:
    """Keep the garbage collector from walking rows by the million, which hold no cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def append_after(
    size: int,
    stream: StreamName,
    version: Version,
    count: int,
    *,
    context: Context,
    recorded_at: datetime,
) -> Append:
    """Return the append of ``count`` events to a log of ``size`` and a stream at ``version``."""
    return Append(
        first=Position(size + 1),
        last=Position(size + count),
        stream=stream,
        version=Version(version + 1),
        recorded_at=to_microseconds(recorded_at),
        actor=context.actor,
        correlation=context.correlation,
        causation=context.causation,
        append_id=context.append_id,
    )


def leaves_of(append: Append, events: Sequence[Encoded]) -> list[bytes]:
    """Return the leaf hash of each of the append's events, computed from the records."""
    batch = batch_of(events)
    return hash_records(append, append.first, batch.types, batch.schemas, batch.payloads)


def batch_of(events: Sequence[Encoded]) -> Batch:
    """Return encoded events as columns."""
    return events if isinstance(events, Batch) else Batch(*zip(*events, strict=True))


def hash_records(
    append: Append,
    first: int,
    types: Sequence[str],
    schemas: Sequence[int],
    payloads: Sequence[bytes],
) -> list[bytes]:
    """Return the leaves of records of one append that stand from ``first`` on.

    This is the hot loop of writing and of verifying: numbers are written in bulk, and the
    parts of a record are joined once.
    """
    kinds = list(zip(types, schemas, strict=True))
    frames = {kind: frame(append, *kind) for kind in set(kinds)}
    positions = _digits(first, len(kinds), b',"position":', b"")
    versions = _digits(first + append.version - append.first, len(kinds), b"", b"}")
    before, after = _frames(kinds, frames)
    parts = zip(before, payloads, positions, after, versions, strict=False)
    sha256 = hashlib.sha256
    return [sha256(record).digest() for record in map(b"".join, parts)]


def extended(
    tree: Edge, append: Append, events: Batch, insert: Callable[[EventRows], object]
) -> Edge:
    """Return ``tree`` after an append, whose rows go to ``insert`` as soon as they are hashed."""
    for start in range(0, len(events), _HASHED_AT_ONCE):
        here, first = slice(start, start + _HASHED_AT_ONCE), append.first + start
        columns = events.types[here], events.schemas[here], events.payloads[here]
        leaves = hash_records(append, first, *columns)
        insert(EventRows(range(first, first + len(leaves)), *columns, leaves))
        tree = tree.extended(leaves)
    return tree


def record_bytes(record: Record) -> bytes:
    """Return the canonical JSON whose RFC 6962 leaf hash is in the log."""
    before, after = frame(append_of(record), record.type, record.schema)
    place, version = b"%d" % record.position, b"%d" % record.version
    parts = (before[1:], record.payload, b',"position":', place, after, version, b"}")
    return b"".join(parts)


def frame(append: Append, type_: str, schema: int) -> Frame:
    """Return what stands before the payload and after the position in one kind of record.

    Keys are in RFC 8785's order; the 0x00 that marks a leaf comes first.
    """
    causation = b"null" if append.causation is None else b"%d" % append.causation
    before = b'\x00{"actor":%b,"append_id":%b,"causation":%b,"correlation":%b,"payload":' % (
        orjson.dumps(append.actor),
        orjson.dumps(append.append_id),
        causation,
        orjson.dumps(append.correlation),
    )
    after = b',"recorded_at":%b,"schema":%d,"stream":%b,"type":%b,"version":' % (
        orjson.dumps(time_text(from_microseconds(append.recorded_at))),
        schema,
        orjson.dumps(append.stream),
        orjson.dumps(type_),
    )
    return before, after


def _frames(
    kinds: Sequence[tuple[str, int]], frames: Mapping[tuple[str, int], Frame]
) -> tuple[Iterable[bytes], Iterable[bytes]]:
    """Return what stands before and after for every record."""
    if len(frames) == 1:
        before, after = frames[kinds[0]]
        return itertools.repeat(before), itertools.repeat(after)
    befores, afters = zip(*map(frames.__getitem__, kinds), strict=True)
    return befores, afters


def _digits(first: int, count: int, before: bytes, after: bytes) -> list[bytes]:
    """Return ``count`` whole numbers from ``first`` on as text, each with its surroundings."""
    numbers = orjson.dumps(list(range(first, first + count)))[1:-1]
    return (before + numbers.replace(b",", after + b" " + before) + after).split(b" ")


def append_of(record: Record) -> Append:
    """Return an append that holds nothing but ``record``."""
    return Append(
        first=record.position,
        last=record.position,
        stream=record.stream,
        version=record.version,
        recorded_at=to_microseconds(record.recorded_at),
        actor=record.actor,
        correlation=record.correlation,
        causation=record.causation,
        append_id=record.append_id,
    )


def records_of(append: Append, rows: Sequence[EventRow]) -> Iterable[Record]:
    """Return the records of rows of ``events`` that an append wrote.

    A reader makes millions of them, so no function of Python is called for each. A payload that
    is lost is empty, for readers to name.
    """
    if not rows:
        return ()
    positions, types, schemas, payloads, leaves = zip(*rows, strict=True)
    same = itertools.repeat
    fields = zip(
        positions,
        same(append.stream),
        map((append.version - append.first).__add__, positions),
        types,
        schemas,
        same(from_microseconds(append.recorded_at)),
        same(append.actor),
        same(append.correlation),
        same(append.causation),
        same(append.append_id),
        (payload or b"" for payload in payloads),
        leaves,
        strict=False,
    )
    return map(_new_record, fields)


def check_version(stream: StreamName, expected: Version | None, actual: Version) -> None:
    """Raise ``WrongVersionError`` unless the stream stands where the writer expected it."""
    if expected is not None and expected != actual:
        raise WrongVersionError(
            f"Stream {stream} has {actual} events where {expected} were expected: another "
            "writer was faster. Read the stream again and decide anew."
        )


def check_repeat(
    before: Append, stream: StreamName, events: Sequence[Encoded], leaves: Sequence[bytes]
) -> Appended:
    """Return the answer of the earlier append of that id, if it is the same append.

    ``leaves`` are the stored ones. Raises ``WrongVersionError`` if stream or events differ.
    """
    same = before.stream == stream and len(events) == len(leaves)
    if not same or leaves_of(before, events) != list(leaves):
        raise WrongVersionError(
            f"The append id {before.append_id} was used before, for other events at positions "
            f"{before.first} to {before.last}. Give every append an id of its own."
        )
    return before.result()


def check_context(stream: StreamName, events: Sequence[Encoded], context: Context) -> None:
    """Raise ``NotCanonicalError`` for what the log could not keep as it is."""
    if not events:
        raise NotCanonicalError("An append needs at least one event.")
    named = {"stream": stream, "actor": context.actor, "append_id": context.append_id}
    for name, text in named.items():
        if not text:
            raise NotCanonicalError(f"The {name} of an append must not be empty.")
    for name, text in {**named, "correlation": context.correlation}.items():
        _check_text(name, text)
    if not 0 <= (context.causation or 0) <= LARGEST_WHOLE_NUMBER:
        raise NotCanonicalError(f"The causation {context.causation} is no position.")


def _check_text(name: str, text: str) -> None:
    if "\x00" in text:
        raise NotCanonicalError(f"The {name} {text!r} holds a zero byte.")
    if not is_utf8(text):
        raise NotCanonicalError(f"The {name} {text!r} holds a lone surrogate, which is no text.")
    if (size := len(text.encode())) > LONGEST_TEXT:
        raise NotCanonicalError(
            f"The {name} of an append may have {LONGEST_TEXT} bytes, not {size}: it names, and "
            "what there is to say belongs in an event."
        )


def head_of(edge: Edge) -> Head:
    """Return size and root of a tree as the contract names them."""
    return Head(edge.size, Digest(edge.root().hex()))


def to_microseconds(moment: datetime) -> int:
    """Return whole microseconds since 1970 UTC."""
    if moment.tzinfo is None:
        raise NotCanonicalError(f"recorded_at has no time zone: {moment}.")
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """Return the UTC time that is ``count`` microseconds after 1970."""
    return _EPOCH + count * _MICROSECOND
