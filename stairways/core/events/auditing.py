"""Events about the log itself: replayed, verified, asked, exported, signed, archived, held."""

from collections.abc import Mapping
from dataclasses import dataclass

from stairways.core.values import Digest, Micros, Position, StreamName


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFinished:
    """A replay compared the log with what it should say."""

    run: str
    level: str
    checked: int
    findings: int
    first_position: Position | None
    first_field: str
    recorded_profit: Micros
    replayed_profit: Micros
    libraries: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogVerified:
    """The log was rehashed from its first record to ``size``."""

    size: int
    root: Digest
    findings: int
    first_position: Position | None
    first_field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotated:
    """From here on checkpoints of the log are signed with ``key``."""

    key: str  # public, as the C2SP signed-note format writes it
    previous: str | None  # None for the first key of the log
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditAsked:
    """Somebody asked the log something; the answer is what the log said up to ``size``."""

    question: str  # the command or page, for example ``audit gates``
    arguments: Mapping[str, str]  # what it was asked with, by name; long ones are cut
    size: int  # events in the log when it was asked
    root: Digest  # of the log at that size


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportMade:
    """Somebody took a copy of what the log says of a run."""

    run: str
    format: str  # parquet, csv, jsonl, html or bundle
    files: Mapping[str, Digest]  # SHA-256 of each file that was written, by its name
    size: int  # events in the log when it was made; with it, the export can be made again
    root: Digest  # of the log at that size


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSigned:
    """The log as it stood at ``size`` was signed; the note is in the table ``checkpoints``."""

    checkpoint: int  # its number there
    origin: str  # the log's name in it
    size: int
    root: Digest
    keys: tuple[str, ...]  # public, of those who signed
    note: Digest  # SHA-256 of the signed note
    subtrees: Digest | None  # blob of the roots over every 4,096 records, for quick proofs


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSealed:
    """The payloads of one kind of event of a closed run were put into a sealed segment.

    The segment is a Parquet blob of the log. It holds every event of ``stream``, ``type`` and
    ``schema`` from position ``first`` to ``last``; their leaves stay where they were.
    """

    stream: StreamName  # whose events they are
    type: str  # of the events
    schema: int  # of the events
    first: Position  # of the first of them
    last: Position  # of the last of them
    events: int  # how many they are
    segment: Digest  # of the Parquet blob
    size: int  # bytes of the Parquet blob


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHoldPlaced:
    """Nothing of these runs may be moved to segments until the hold is lifted."""

    name: str  # of the hold
    runs: tuple[str, ...]  # names; none means every run
    who: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHoldLifted:
    """A hold ended."""

    name: str  # of the hold
    who: str
    reason: str
