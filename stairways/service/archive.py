"""Move the step payloads of closed runs into sealed segments, and lose nothing on the way.

A segment is stored, named by an event and registered; then it is read back, and every record
made of its payloads must give the leaf that is in the log. Only then do the payloads leave
``events``. Whoever is killed between two of these steps leaves payloads in two places, never in
none; archiving again goes on from there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from stairways.core.events import SegmentSealed
from stairways.core.merkle import leaf_hash
from stairways.core.retention import RetentionRules, refusal
from stairways.core.values import Digest, Position, StreamName, digest_of
from stairways.errors import BlobMissingError, RetentionError
from stairways.service.retention import OPERATOR, closing_of, holds
from stairways.service.runs import run_stream
from stairways.service.stairway.journal import ContextSource
from stairways.store import archiving
from stairways.store.contract import Record
from stairways.store.records import record_bytes
from stairways.store.segments import EVENTS_A_SEGMENT, Segment, pack_segment, unpack_segment
from stairways.store.sql import SqlStore
from stairways.store.tables import BULK_TYPES

OnSegment = Callable[[Segment], None]
Kind = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """What archiving one run did: how much was moved, and what it takes now."""

    run: str
    segments: int
    events: int
    bytes_before: int  # of their payloads
    bytes_after: int  # of their segments


def why_not(store: SqlStore, run: str, rules: RetentionRules, now: datetime) -> str | None:
    """Return why the payloads of a run must stay; None if they may be moved."""
    return refusal(closing_of(store, run), rules, holds(store), now)


def archive_run(
    store: SqlStore,
    run: str,
    *,
    rules: RetentionRules,
    now: datetime,
    context: ContextSource,
    watch: OnSegment = lambda _: None,
) -> Archived:
    """Move the step payloads of a closed run into segments.

    Raises ``RetentionError`` before its retention date, under a legal hold, and if a segment
    would not give back the very records: then the payloads stay.
    """
    since = Position(store.head().size)
    if (reason := why_not(store, run, rules, now)) is not None:
        raise RetentionError(f"{reason} Nothing was moved.")
    stream = run_stream(run)
    for payloads in _unsealed(store, stream):
        _seal(store, stream, payloads, context)
    moved, before = list[Segment](), 0
    for segment in archiving.segments_of(store, stream):
        if archiving.is_held_twice(store, segment):
            before += _check(store, stream, segment)
            archiving.clear(store, segment, since)
            moved.append(segment)
            watch(segment)
    return Archived(
        run=run,
        segments=len(moved),
        events=sum(segment.events for segment in moved),
        bytes_before=before,
        bytes_after=sum(archiving.blob_size(store, Digest(one.digest)) for one in moved),
    )


def _unsealed(store: SqlStore, stream: StreamName) -> Iterator[Sequence[Record]]:
    """Yield the records of each segment to be sealed: of one kind, in order, none left out."""
    sealed = dict[Kind, int]()
    for segment in archiving.segments_of(store, stream):
        sealed[segment.type, segment.schema] = segment.last
    waiting = dict[Kind, list[Record]]()
    for record in store.read(stream=stream, types=BULK_TYPES):
        kind = (record.type, record.schema)
        if record.position > sealed.get(kind, 0):
            some = waiting.setdefault(kind, [])
            some.append(record)
            if len(some) == EVENTS_A_SEGMENT:
                yield waiting.pop(kind)
    yield from waiting.values()


def _seal(
    store: SqlStore, stream: StreamName, records: Sequence[Record], context: ContextSource
) -> None:
    content = pack_segment({record.position: record.payload for record in records})
    first, last = records[0], records[-1]
    event = SegmentSealed(
        stream=stream,
        type=first.type,
        schema=first.schema,
        first=first.position,
        last=last.position,
        events=len(records),
        segment=digest_of(content),
        size=len(content),
    )
    archiving.seal(store, event, content, OPERATOR, context())


def _check(store: SqlStore, stream: StreamName, segment: Segment) -> int:
    """Read a segment back and hold it against the leaves in the log; return its payloads' bytes."""
    try:
        payloads = unpack_segment(store.get_blob(Digest(segment.digest)))
    except BlobMissingError as error:
        raise RetentionError(f"{error} The payloads stay where they are.") from error
    found = 0
    for record in _records(store, stream, segment):
        made = record._replace(payload=payloads.get(record.position, b""))
        if leaf_hash(record_bytes(made)) != record.leaf:
            raise RetentionError(
                f"The record at position {record.position} is not what its leaf says; its payload "
                "stays where it is. Run `stairways verify`."
            )
        found += 1
    if not found == segment.events == len(payloads):
        raise RetentionError(
            f"The segment {segment.digest} holds {len(payloads)} events where the log has {found}; "
            "the payloads stay where they are. Run `stairways verify`."
        )
    return sum(map(len, payloads.values()))


def _records(store: SqlStore, stream: StreamName, segment: Segment) -> Iterator[Record]:
    after, until = Position(segment.first - 1), Position(segment.last)
    found = store.read(stream=stream, types=(segment.type,), after=after, until=until)
    return (record for record in found if record.schema == segment.schema)
