"""What every store of events and blobs promises; the contract tests check each promise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, overload

from stairways.core.values import Digest, Position, StreamName, Version

START = Position(0)
"""The place before the first event."""


class Encoded(NamedTuple):
    """An event as the log keeps it: its stored name, schema version and canonical bytes.

    A tuple, because a rollout makes thousands of them.
    """

    type: str
    schema: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Batch(Sequence[Encoded]):
    """Many encoded events as three columns: what a rollout appends, without a tuple for each."""

    types: Sequence[str]
    schemas: Sequence[int]
    payloads: Sequence[bytes]

    def __post_init__(self) -> None:
        if not len(self.types) == len(self.schemas) == len(self.payloads):
            raise ValueError("The columns of a batch differ in length.")

    def __len__(self) -> int:
        return len(self.payloads)

    @overload
    def __getitem__(self, place: int) -> Encoded: ...
    @overload
    def __getitem__(self, place: slice) -> "Batch": ...
    def __getitem__(self, place: int | slice) -> "Encoded | Batch":
        if isinstance(place, slice):
            return Batch(self.types[place], self.schemas[place], self.payloads[place])
        return Encoded(self.types[place], self.schemas[place], self.payloads[place])


class Fence(NamedTuple):
    """The lease a writer holds: an append under it is refused once the epoch has moved on."""

    lease: str
    epoch: int


class Holder(NamedTuple):
    """A process that holds leases: a name for people, and what tells it from all others."""

    name: str  # for example `pid 4711 on trader-1`
    process: str  # machine, start of the machine, pid and start of the process


class Lease(NamedTuple):
    """A lease as it stands: nobody but ``holder`` may do what ``name`` covers.

    No clock decides about it. A holder renews it again and again, and ``beat`` counts that;
    who sees neither epoch nor beat move for ``seconds`` of his own time may claim it.
    """

    name: str
    holder: Holder | None  # None when it was given back
    epoch: int  # grows with every claim
    beat: int  # grows with every renewal
    seconds: int  # that the holder may let pass between two renewals

    @property
    def fence(self) -> Fence:
        """What an append of the holder carries."""
        return Fence(self.name, self.epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Who appends and why; the same for every event of one append.

    ``append_id`` names the append, so that repeating it after a lost answer is harmless.
    With a ``fence`` the append is refused unless the lease still has that epoch.
    """

    actor: str
    correlation: str  # the run or command this belongs to
    append_id: str
    causation: Position | None = None
    fence: Fence | None = None


class Record(NamedTuple):
    """One record of the log: an event and everything known about its writing.

    A tuple, because a reader makes millions of them.
    """

    position: Position
    stream: StreamName
    version: Version
    type: str
    schema: int
    recorded_at: datetime  # UTC, microseconds
    actor: str
    correlation: str
    causation: Position | None
    append_id: str
    payload: bytes
    leaf: bytes  # RFC 6962 leaf hash as stored; an auditor computes it anew


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an append stands in the log: positions ``first`` to ``last`` inclusive."""

    first: Position
    last: Position
    version: Version  # of the stream, after the append


@dataclass(frozen=True, slots=True)
class Head:
    """The log as a whole: how many events, and the RFC 6962 root over their leaves."""

    size: int
    root: Digest


class EventStore(Protocol):
    """An append-only log of events, in streams, under one total order, and its blobs.

    Every implementation promises, and the contract tests check, that

    - an append is all or nothing, and raises ``WrongVersionError`` unless the stream
      stands exactly at ``expected`` (``None`` accepts any version);
    - an append repeated with the same ``append_id`` changes nothing and returns what the
      first one returned; other events under a used ``append_id`` raise ``WrongVersionError``;
    - positions are 1, 2, 3 … in commit order and without gaps, so a reader that has seen
      a position never needs to look behind it;
    - an append under a fence raises ``LeaseLostError`` and writes nothing once somebody else
      has claimed the lease, and no such append is committed after that claim;
    - of those who claim a lease that they saw alike, exactly one gets it;
    - a record reads the same for ever;
    - a blob is stored once under its SHA-256 and reads back as the same bytes; those given to
      an append are durable with its events, or not at all.
    """

    def append(
        self,
        stream: StreamName,
        expected: Version | None,
        events: Sequence[Encoded],
        context: Context,
        blobs: Sequence[bytes] = (),
    ) -> Appended:
        """Append ``events`` to ``stream`` in one transaction that is durable on return.

        ``blobs`` are contents that the events name; they are stored in the same transaction.
        """
        ...

    def read(
        self,
        *,
        stream: StreamName | None = None,
        types: Sequence[str] = (),
        after: Position = START,
        until: Position | None = None,
        limit: int | None = None,
    ) -> Iterator[Record]:
        """Yield records with ``after < position <= until`` in order, at constant memory."""
        ...

    def version(self, stream: StreamName) -> Version:
        """Return how many events ``stream`` holds; ``NEW`` when it does not exist."""
        ...

    def streams(self, prefix: str = "") -> Sequence[StreamName]:
        """Return the names of all streams that start with ``prefix``, oldest first."""
        ...

    def head(self) -> Head:
        """Return the size and root of the log as of now."""
        ...

    def add_checkpoint(self, note: bytes) -> int:
        """Store a signed checkpoint for ever and return its number; the newest comes last."""
        ...

    def checkpoints(self) -> Sequence[bytes]:
        """Return every signed checkpoint, oldest first."""
        ...

    def put_blob(self, content: bytes) -> Digest:
        """Store ``content`` unless it is there already, durably, and return its digest."""
        ...

    def get_blob(self, digest: Digest) -> bytes:
        """Return the bytes named ``digest``; raises ``BlobMissingError`` if absent or altered."""
        ...

    def leases(self, prefix: str = "") -> Sequence[Lease]:
        """Return every lease whose name starts with ``prefix``, by name, as it stands."""
        ...

    def claim(self, name: str, seen: Lease | None, holder: Holder, seconds: int) -> Lease | None:
        """Take a lease under the next epoch; None if it is no more as it was ``seen``."""
        ...

    def renew(self, held: Sequence[Lease]) -> Sequence[Lease]:
        """Let each lease beat once and return those that are still held, as they now stand."""
        ...

    def release(self, held: Sequence[Lease]) -> None:
        """Give leases back; one that somebody else has claimed meanwhile stays his."""
        ...

    def close(self) -> None:
        """Give back every connection."""
        ...
