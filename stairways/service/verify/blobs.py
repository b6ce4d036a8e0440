"""Check blobs: each is what its name says, and each that an event names is there."""

from collections.abc import Iterator

import orjson

from stairways.core.values import digest_of
from stairways.service.verify.findings import Finding, Findings, shown
from stairways.store.blobs import content_of
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
}
"""The fields that name a blob of the log, by type of event."""


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


def check_named_blobs(log: RawLog, size: int) -> Iterator[Finding]:
    """Yield a finding for every event that names a blob which is not there."""
    present = log.blob_names()
    try:
        for position, type_, payload in log.landmarks(size):
            for field in NAMING_FIELDS.get(type_, ()):
                digest = _named(payload, field)
                if digest is not None and digest not in present:
                    yield Finding(position, f"blob of {field}", digest, "missing")
    except UnreadableRowsError as error:
        yield Finding(None, "events", "readable rows", str(error))


def _named(payload: object, field: str) -> str | None:
    """Return the digest under ``field``; what is no event is found elsewhere."""
    try:
        value = orjson.loads(payload)[field]  # type: ignore[arg-type]  # may be anything
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None
