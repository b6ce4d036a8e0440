"""Check blobs: each is what its name says, and each that an event names is there."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from operator import itemgetter
from typing import NamedTuple

import orjson

from stairways.core.values import digest_of
from stairways.service.verify.findings import Finding, Findings, shown
from stairways.store.blobs import content_of
from stairways.store.driver import Row
from stairways.store.raw import RawLog, UnreadableRowsError

NAMING_FIELDS = {
    "DataRegistered": ("digest",),
    "RunStarted": ("data", "features", "warm_start"),
    "RunResumed": ("state",),
    "CycleStarted": ("state",),
    "CycleFinished": ("state",),
    "PolicyUpdated": ("state",),
    "ModelRolledBack": ("state",),
    "ModelPromoted": ("state",),
    "SegmentSealed": ("segment",),
    "SkillMeasured": ("data",),
    "CheckpointSigned": ("subtrees",),
}
"""The fields that name a blob of the log, by type of event."""

_TYPE = itemgetter(1)


class Named(NamedTuple):
    """A blob that the field of an event names."""

    position: int
    field: str
    digest: str


def check_blobs(log: RawLog, findings: Findings) -> int:
    """Hash the content of every blob; return how many there are."""
    count = 0
    try:
        for digest, size, encoding, content in log.blobs():
            count += 1
            plain = content_of(size, encoding, content)
            actual = "unreadable" if plain is None else digest_of(plain)
            if actual != digest:
                findings.add(Finding(None, "blobs.content", shown(digest), actual))
    except UnreadableRowsError as error:
        findings.add(Finding(None, "blobs", "readable rows", str(error)))
    return count


def named_in(rows: Sequence[Row]) -> list[Named]:
    """Return the blobs that rows of ``events`` name."""
    if NAMING_FIELDS.keys().isdisjoint(map(_TYPE, rows)):
        return []  # most ranges hold nothing but steps
    found = (
        (position, field, _named(payload, field))
        for position, type_, _, payload, _ in rows
        for field in NAMING_FIELDS.get(type_, ())
    )
    return [Named(position, field, digest) for position, field, digest in found if digest]


def missing_blobs(named: Iterable[Named], present: AbstractSet[object]) -> Iterator[Finding]:
    """Yield a finding for every event that names a blob which is not there."""
    for position, field, digest in named:
        if digest not in present:
            yield Finding(position, f"blob of {field}", digest, "missing")


def _named(payload: object, field: str) -> str | None:
    """Return the digest under ``field``; what is no event is found elsewhere."""
    try:
        value = orjson.loads(payload)[field]  # type: ignore[arg-type]  # may be anything
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None
