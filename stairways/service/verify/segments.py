"""Hold the table of segments against the events that sealed them, and say what is lost with one."""

from collections.abc import Iterator, Mapping
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


def lost_segment(log: RawLog, finding: Finding) -> Finding:
    """Return the finding of a payload that is gone with the segment that should hold it."""
    position = finding.position
    if finding.field != "events.payload" or finding.actual != "missing" or position is None:
        return finding
    present = log.blob_names()
    for digest in log.segments_claiming(position):
        what = "is damaged" if digest in present else "is missing"
        return replace(finding, expected=f"in segment {digest}, which {what}")
    return finding
