"""A log in memory: the shortest implementation of the contract, for tests and trials."""

import bisect
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from stairways.core.merkle import Edge
from stairways.core.values import NEW, Digest, Position, StreamName, Version, digest_of
from stairways.errors import BlobMissingError
from stairways.store.contract import (
    START,
    Appended,
    Context,
    Encoded,
    Fence,
    Head,
    Holder,
    Lease,
    Record,
)
from stairways.store.leases import lost
from stairways.store.records import (
    Append,
    append_after,
    check_context,
    check_repeat,
    check_version,
    head_of,
    leaves_of,
    records_of,
)

Clock = Callable[[], datetime]


class MemoryStore:
    """The log as lists; it keeps every promise of ``EventStore`` except surviving its process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self._streams: dict[StreamName, list[Position]] = {}
        self._appends: dict[str, Append] = {}
        self._edge = Edge()
        self._blobs: dict[Digest, bytes] = {}
        self._notes: list[bytes] = []
        self._leases: dict[str, Lease] = {}

    def append(
        self,
        stream: StreamName,
        expected: Version | None,
        events: Sequence[Encoded],
        context: Context,
        blobs: Sequence[bytes] = (),
    ) -> Appended:
        """Append ``events`` to ``stream``."""
        check_context(stream, events, context)
        with self._lock:
            before = self._appends.get(context.append_id)
            if before is not None:
                rows = self._records[before.first - 1 : before.last]
                return check_repeat(before, stream, events, [row.leaf for row in rows])
            self._check_fence(context.fence)
            version = self.version(stream)
            check_version(stream, expected, version)
            size, count = self._edge.size, len(events)
            new = append_after(
                size, stream, version, count, context=context, recorded_at=self._clock()
            )
            leaves = leaves_of(new, events)
            for content in blobs:
                self.put_blob(content)
            self._keep(new, events, leaves)
            self._edge = self._edge.extended(leaves)
            return new.result()

    def read(
        self,
        *,
        stream: StreamName | None = None,
        types: Sequence[str] = (),
        after: Position = START,
        until: Position | None = None,
        limit: int | None = None,
    ) -> Iterator[Record]:
        """Yield records with ``after < position <= until`` in order."""
        end = len(self._records) if until is None else min(until, len(self._records))
        if stream is None:
            positions: Sequence[int] = range(after + 1, end + 1)
        else:
            of_stream = self._streams.get(stream, [])
            first, last = bisect.bisect(of_stream, after), bisect.bisect(of_stream, end)
            positions = of_stream[first:last]
        rows = (self._records[position - 1] for position in positions)
        return islice((row for row in rows if not types or row.type in types), limit)

    def version(self, stream: StreamName) -> Version:
        """Return how many events ``stream`` holds."""
        return Version(len(self._streams[stream])) if stream in self._streams else NEW

    def streams(self, prefix: str = "") -> Sequence[StreamName]:
        """Return the names of all streams that start with ``prefix``, oldest first."""
        return [name for name in self._streams if name.startswith(prefix)]

    def head(self) -> Head:
        """Return the size and root of the log as of now."""
        return head_of(self._edge)

    def add_checkpoint(self, note: bytes) -> int:
        """Keep a signed checkpoint."""
        self._notes.append(note)
        return len(self._notes)

    def checkpoints(self) -> Sequence[bytes]:
        """Return every signed checkpoint, oldest first."""
        return list(self._notes)

    def put_blob(self, content: bytes) -> Digest:
        """Keep ``content`` under its digest."""
        digest = digest_of(content)
        self._blobs.setdefault(digest, bytes(content))
        return digest

    def get_blob(self, digest: Digest) -> bytes:
        """Return the bytes named ``digest``."""
        if digest not in self._blobs:
            raise BlobMissingError(f"The log holds no blob {digest}.")
        return self._blobs[digest]

    def leases(self, prefix: str = "") -> Sequence[Lease]:
        """Return every lease whose name starts with ``prefix``, by name."""
        return sorted(one for one in self._leases.values() if one.name.startswith(prefix))

    def claim(self, name: str, seen: Lease | None, holder: Holder, seconds: int) -> Lease | None:
        """Take a lease under the next epoch; None if it is no more as it was ``seen``."""
        with self._lock:
            if self._leases.get(name) != seen:
                return None
            epoch = 1 if seen is None else seen.epoch + 1
            taken = self._leases[name] = Lease(name, holder, epoch, 0, seconds)
            return taken

    def renew(self, held: Sequence[Lease]) -> Sequence[Lease]:
        """Let each lease beat once and return those that are still held."""
        return [self._beat(lease) for lease in held if self._is_held(lease)]

    def release(self, held: Sequence[Lease]) -> None:
        """Give leases back; one that somebody else has claimed meanwhile stays his."""
        for lease in held:
            if self._is_held(lease):
                self._leases[lease.name] = self._beat(lease)._replace(holder=None)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _is_held(self, lease: Lease) -> bool:
        return self._leases[lease.name].epoch == lease.epoch

    def _beat(self, lease: Lease) -> Lease:
        standing = self._leases[lease.name]
        beaten = self._leases[lease.name] = standing._replace(beat=standing.beat + 1)
        return beaten

    def _check_fence(self, fence: Fence | None) -> None:
        standing = self._leases.get(fence.lease) if fence else None
        if fence and (standing is None or standing.epoch != fence.epoch):
            raise lost(fence, standing.holder.name if standing and standing.holder else None)

    def _keep(self, append: Append, events: Sequence[Encoded], leaves: Sequence[bytes]) -> None:
        of_stream = self._streams.setdefault(append.stream, [])
        positions = range(append.first, append.last + 1)
        rows = [(p, *event, leaf) for p, event, leaf in zip(positions, events, leaves, strict=True)]
        self._records.extend(records_of(append, rows))
        of_stream.extend(map(Position, positions))
        self._appends[append.append_id] = append
