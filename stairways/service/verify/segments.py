"""Hold the table of segments against the events that sealed them, and say what is lost with one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import orjson

from stairways.service.verify.findings import Finding, shown
from stairways.store.driver import Row
from stairways.store.raw import RawLog

COLUMNS = ("stream", "type", "schema", "first", "last", "events", "digest")


def check_segments(log: RawLog, size: int, streams: Mapping[object, object]) -> Iterator[Finding]:
    """Yield where a row of ``segments`` is not what its ``SegmentSealed`` event says."""
    rows = {row[0]: row for row in log.segments()}
    for position, payload in log.of_type("SegmentSealed"):
        row = rows.pop(position, None)
        if not isinstance(position, int) or not 1 <= position <= size:
            continue
        if row is None:
            yield Finding(position, "segments.position", shown(position), "missing")
            continue
        yield from _differences(position, payload, row, streams)
    for position in rows:
        yield Finding(None, "segments.position", "a SegmentSealed event there", shown(position))


def _differences(
    position: int, payload: object, row: Row, streams: Mapping[object, object]
) -> Iterator[Finding]:
    try:
        said = orjson.loads(payload)  # type: ignore[arg-type]  # may be anything
        wanted = [said[name] for name in (*COLUMNS[:-1], "segment")]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return  # the record itself is rehashed elsewhere
    found = [streams.get(row[1]), *row[2:]]
    for name, expected, actual in zip(COLUMNS, wanted, found, strict=True):
        if expected != actual or type(expected) is not type(actual):
            yield Finding(position, f"segments.{name}", shown(expected), shown(actual))


def by_segment(log: RawLog, findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in which all payloads that are gone with one segment are one finding.

    Not all that claim a position need be lost: two kinds of events stand in one range.
    """
    told, lost = list[Finding](), dict[str, Finding]()
    present, whole = log.blob_names(), dict[str, bool]()
    for one in findings:
        if not (one.is_stretch and one.field == "events.payload") or one.position is None:
            told.append(one)
            continue
        last = one.until or one.position
        claims = {*log.segments_claiming(one.position), *log.segments_claiming(last)}
        whole |= {digest: log.has_whole(digest) for digest in claims - whole.keys()}
        gone = sorted(digest for digest in claims if not whole[digest])
        if not gone:
            told.append(one)
        for digest in gone:
            what = "is damaged" if digest in present else "is missing"
            known = lost.get(digest, one)
            ends = max(last, known.until or 0)
            place = replace(known, expected=f"in segment {digest}, which {what}")
            lost[digest] = replace(place, until=None if ends == place.position else ends)
    return [*told, *lost.values()]
