"""A journal that writes nothing and compares: re-execution against what is recorded."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from stairways.codec import Json
from stairways.core.replay.report import Finding, Plain
from stairways.core.values import Digest, Position, StreamName, Version, digest_of
from stairways.service.stairway.journal import Journal
from stairways.store.contract import Appended, Encoded, EventStore, Record

REAL_TOLERANCE = 1e-5
"""Relative difference of real numbers that another machine may have; whole numbers none."""


class DiffersError(Exception):
    """Re-execution came to something else than the log; nothing after it can be compared."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__()
        self.findings = findings


class EndedError(DiffersError):
    """The log of a run that is not finished ends here; there is nothing more to compare."""

    def __init__(self) -> None:
        super().__init__(())


class Overlay:
    """A store to read from whose new blobs stay in memory: re-execution trusts its own."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.read = store.read
        self._blobs: dict[Digest, bytes] = {}

    def put_blob(self, content: bytes) -> Digest:
        """Keep ``content`` in memory and return its digest."""
        digest = digest_of(content)
        self._blobs[digest] = content
        return digest

    def get_blob(self, digest: Digest) -> bytes:
        """Return a blob made here, or else one from the store."""
        known = self._blobs.get(digest)
        return self.store.get_blob(digest) if known is None else known


@dataclass(slots=True)
class Tally:
    """What was compared so far, by event type."""

    checked: Counter[str] = field(default_factory=Counter)


class ComparingJournal(Journal):
    """Takes what a run would write and holds it against the records of the same streams.

    ``records`` are those of the run that follow, by stream and in order. The first append that
    differs raises ``DiffersError``, because everything after it follows from it. With
    ``tolerance`` above 0, real numbers may differ by that share. ``spared`` are fields of
    ``PolicyUpdated`` that somebody else compares. Where the records of a run that is not
    ``finished`` end, ``EndedError`` is raised: what would follow is not known yet.
    """

    def __init__(
        self,
        store: Overlay,
        records: Mapping[StreamName, Iterator[Record]],
        tally: Tally,
        tolerance: float = 0.0,
        spared: Sequence[str] = (),
        *,
        finished: bool = True,
    ) -> None:
        self.store = store  # type: ignore[assignment] # nothing is appended here
        self._records = records
        self._tally = tally
        self._tolerance = tolerance
        self._spared = {"PolicyUpdated": spared}
        self._finished = finished
        self.last = Position(0)

    def write_encoded(
        self, stream: StreamName, events: Sequence[Encoded], blobs: Sequence[bytes] = ()
    ) -> Appended:
        """Compare ``events`` with the next records of ``stream`` and return where those stand."""
        for content in blobs:
            self.store.put_blob(content)
        found = list(itertools.islice(self._records[stream], len(events)))
        differing = [
            difference(record, event, self._tolerance, self._spared.get(event.type, ()))
            for record, event in zip(found, events, strict=False)
            if record.payload != event.payload or record.type != event.type
        ]
        findings = [finding for finding in differing if finding is not None]
        cut = len(found) < len(events)
        ended = cut and not self._finished and not self._left()
        if cut and not ended:
            findings.append(self._missing(found, events))
        if findings:
            raise DiffersError(findings)
        self._tally.checked.update(record.type for record in found)
        if ended:
            raise EndedError
        self.last = max(self.last, found[-1].position)
        return Appended(found[0].position, found[-1].position, Version(0))

    def check_end(self) -> None:
        """Raise ``DiffersError`` if the log goes on where re-execution has ended."""
        for records in self._records.values():
            for record in records:
                raise DiffersError([_surplus(record)])

    def _left(self) -> bool:
        """Tell whether any stream has records left; takes one, so only for the last question."""
        return any(next(records, None) is not None for records in self._records.values())

    def _missing(self, found: Sequence[Record], events: Sequence[Encoded]) -> Finding:
        """Return that the log ends, or goes elsewhere, where an event should stand."""
        last = found[-1].position if found else self.last
        wanted = events[len(found)].type
        return Finding(
            position=Position(last),
            type=wanted,
            field="type",
            expected=wanted,
            recorded=None,
            message=f"After this position a {wanted} should follow, and there is none.",
        )


def difference(
    record: Record, event: Encoded, tolerance: float, spared: Sequence[str] = ()
) -> Finding | None:
    """Return the first field, ``spared`` ones aside, that is not what re-execution gives."""
    if record.type != event.type:
        return _finding(record, "type", "", event.type, record.type)
    recorded, expected = orjson.loads(record.payload), orjson.loads(event.payload)
    for name in sorted((expected.keys() | recorded.keys()) - set(spared)):
        one, other = expected.get(name), recorded.get(name)
        if not _same(one, other, tolerance):
            return _finding(record, name, *_narrowed(one, other, tolerance))
    return None


def _narrowed(expected: Json, recorded: Json, tolerance: float) -> tuple[str, Plain, Plain]:
    """Return which entry of a list or mapping differs first, and both values as plain text."""
    pairs: list[tuple[object, Json, Json]] = []
    if isinstance(expected, list) and isinstance(recorded, list):
        pairs = [(i, a, b) for i, (a, b) in enumerate(zip(expected, recorded, strict=False))]
    if isinstance(expected, dict) and isinstance(recorded, dict):
        keys = sorted(expected.keys() | recorded.keys())
        pairs = [(k, expected.get(k), recorded.get(k)) for k in keys]
    for key, one, other in pairs:
        if not _same(one, other, tolerance):
            return str(key), _plain(one), _plain(other)
    return "", _plain(expected), _plain(recorded)


def _same(expected: Json, recorded: Json, tolerance: float) -> bool:
    """Tell whether two values are the same, real numbers within ``tolerance``."""
    if expected == recorded:
        return True
    if isinstance(expected, list) and isinstance(recorded, list):
        pairs = zip(expected, recorded, strict=False)
        return len(expected) == len(recorded) and all(_same(a, b, tolerance) for a, b in pairs)
    if tolerance and isinstance(expected, str) and isinstance(recorded, str):
        return _close(expected, recorded, tolerance)
    return False


def _close(expected: str, recorded: str, tolerance: float) -> bool:
    try:
        one, other = float(expected), float(recorded)
    except ValueError:
        return False
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)


def _plain(value: Json) -> Plain:
    return value if not isinstance(value, dict | list) else orjson.dumps(value).decode()


def _finding(record: Record, name: str, place: str, expected: Plain, recorded: Plain) -> Finding:
    at = f"{name}[{place}]" if place else name
    return Finding(
        position=record.position,
        type=record.type,
        field=name,
        symbol=place,
        expected=expected,
        recorded=recorded,
        message=f"{at} of {record.type} is {recorded}; executing it again gives {expected}.",
    )


def _surplus(record: Record) -> Finding:
    return _finding(record, "type", "", None, record.type)
