"""Registered bars: put into the log under their digest, found again by name or digest."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stairways.core.events import DataFindingRaised, DataRegistered
from stairways.core.values import NEW, Digest, Position, StreamName
from stairways.errors import BarsRefusedError, BlobMissingError, NoSuchDataError, WrongVersionError
from stairways.market.aligned import Aligned
from stairways.market.bars import Bars
from stairways.market.canonical import decode_bars, encode_bars
from stairways.market.findings import Finding
from stairways.service.stairway.journal import decoded, encoded
from stairways.store.contract import Context, EventStore, Record

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
"""What bars may be called; no name can be taken for a path."""

SHORTEST_DIGEST = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Registered:
    """Bars that the log holds: where it says so, when it was written, and what it says."""

    position: Position
    recorded_at: datetime
    event: DataRegistered


def stream_of(digest: Digest) -> StreamName:
    """Return the stream in which bars are registered."""
    return StreamName(f"data-{digest[:16]}")


def register_bars(store: EventStore, aligned: Aligned, name: str, context: Context) -> Registered:
    """Store the bars as a blob and register them, with every finding, as ``name``.

    Bars that are registered already under that name change nothing. Under another name they
    are registered once more, without their findings, which stand in the same stream. Where
    a name was given to other bars before, it means the newest from now on.
    """
    if not NAME.fullmatch(name):
        raise BarsRefusedError(f"{name!r} is no name; use letters, digits, dots, - and _.")
    digest = store.put_blob(encode_bars(aligned.bars))
    if digest != aligned.bars.digest:
        raise BarsRefusedError("These bars do not bear the digest of their content.")
    events: list[DataRegistered | DataFindingRaised] = [_registration(aligned, name)]
    stream, version = stream_of(digest), store.version(stream_of(digest))
    if version == NEW:
        events += [_finding(finding) for finding in aligned.findings]
    elif known := _named(store, stream, name):
        return known
    try:
        store.append(stream, version, encoded(events), context)
    except WrongVersionError:  # another process registered the same bars just now
        return register_bars(
            store, aligned, name, dataclasses.replace(context, append_id=context.append_id + "-2")
        )
    found = _named(store, stream, name)
    assert found is not None  # noqa: S101 - it was just appended
    return found


def registrations(store: EventStore) -> Iterator[Registered]:
    """Yield every registration in the log, oldest first."""
    for record in store.read(types=("DataRegistered",)):
        yield _registered(record)


def missing_content(store: EventStore, known: Sequence[Registered]) -> Sequence[str]:
    """Return a sentence for each registration whose bars are gone, or are not what it names."""
    said = []
    for one in known:
        try:
            store.get_blob(one.event.digest)
        except BlobMissingError as error:
            said.append(f"position {one.position}: bars {one.event.name}: {error}")
    return said


def find_data(store: EventStore, wanted: str) -> Registered:
    """Return the registration that ``wanted`` means: a name, or the beginning of a digest.

    A name means the bars that were registered under it last. Raises ``NoSuchDataError``.
    """
    known = list(registrations(store))
    named = [one for one in known if one.event.name == wanted]
    if named:
        return named[-1]
    if re.fullmatch(rf"[0-9a-f]{{{SHORTEST_DIGEST},64}}", wanted):
        meant = [one for one in known if one.event.digest.startswith(wanted)]
        if len({one.event.digest for one in meant}) == 1:
            return meant[0]
    names = ", ".join(sorted({one.event.name for one in known})) or "none"
    raise NoSuchDataError(f"No bars are registered as {wanted!r}; registered are: {names}.")


def load_registered(store: EventStore, digest: Digest) -> Bars:
    """Return registered bars from the log's blobs; they prove themselves by their digest."""
    return decode_bars(store.get_blob(digest))


def findings_of(store: EventStore, digest: Digest) -> Sequence[DataFindingRaised]:
    """Return what was found in registered bars, in the order in which it was written."""
    records = store.read(stream=stream_of(digest), types=("DataFindingRaised",))
    return [event for r in records if isinstance(event := decoded(r), DataFindingRaised)]


def _named(store: EventStore, stream: StreamName, name: str) -> Registered | None:
    known = map(_registered, store.read(stream=stream, types=("DataRegistered",)))
    return next((one for one in known if one.event.name == name), None)


def _registered(record: Record) -> Registered:
    event = decoded(record)
    assert isinstance(event, DataRegistered)  # noqa: S101 - only these were read
    return Registered(record.position, record.recorded_at, event)


def _registration(aligned: Aligned, name: str) -> DataRegistered:
    bars = aligned.bars
    return DataRegistered(
        digest=bars.digest,
        name=name,
        symbols=bars.symbols,
        frequency=bars.frequency,
        adjustment=bars.adjustment,
        timezone=bars.timezone,
        calendar=bars.calendar,
        simulated=bars.simulated,
        first=moment(int(bars.times[0])),
        last=moment(int(bars.times[-1])),
        rows=len(bars),
        dropped=dict(aligned.dropped),
        sources=dict(aligned.sources),
        findings=len(aligned.findings),
    )


def _finding(finding: Finding) -> DataFindingRaised:
    return DataFindingRaised(
        kind=finding.kind,
        symbol=finding.symbol,
        row=finding.row,
        time=None if finding.time is None else moment(finding.time),
        detail=f"{finding.detail} [{finding.place}]" if finding.file else finding.detail,
    )


def moment(nanoseconds: int) -> datetime:
    """Return nanoseconds since 1970 as a time in UTC."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
