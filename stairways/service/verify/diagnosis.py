"""Find out which field of a changed record was changed, by trying to change it back.

The stored leaf is a fingerprint of the record as it was. Where one byte, or one column, was
changed, the value it had can be found again by trial: the one that gives the stored leaf.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from stairways import codec
from stairways.core.values import Position, StreamName, Version
from stairways.service.verify.findings import Finding, contrasted, place_of
from stairways.service.verify.segments import by_segment
from stairways.store.driver import Row
from stairways.store.pages import append_from_row
from stairways.store.raw import RawLog
from stairways.store.records import Append, hash_records

LONGEST = 2048
"""Bytes of a payload up to which every value of every byte is tried (0.3 s at most)."""

_PRINTABLE = bytes(range(32, 127))
_NEWEST_SCHEMA = 20
_MANY = 3
"""Records of a stream, all of them and no others, that make one finding where they differ."""

Trial = tuple[str, object, object, Append, Row]
"""A field, what it would have been, what it is, and append and row with it put back."""


def diagnose(log: RawLog, finding: Finding) -> Finding:
    """Return ``finding`` with the field that was changed, if that can be found out."""
    if finding.field != "record" or finding.position is None:
        return finding
    leaf = bytes.fromhex(finding.expected)
    for row in log.events(finding.position, finding.position):
        if not isinstance(row[3], bytes):
            return finding
        for made in log.append_at(finding.position):
            for field, was, is_, append, tried in _trials(append_from_row(made), row):
                if hash_records(append, row[0], (tried[1],), (tried[2],), (tried[3],)) == [leaf]:
                    return Finding(finding.position, field, *contrasted(was, is_))
    return finding


def explained(log: RawLog, findings: Sequence[Finding]) -> list[Finding]:
    """Return findings, in order, so that each names what was done rather than what follows of it.

    The first is diagnosed. Records that differ because their stream was renamed, payloads that
    are gone with one segment, are one finding; a root that could not be computed says so.
    """
    found = [diagnose(log, one) for one in findings[:1]] + list(findings[1:])
    found = by_segment(log, _without_root(_by_stream(log, found)))
    return sorted(found, key=place_of)


def _without_root(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield findings, but do not call rewritten what only lies behind a missing row."""
    gone = min((f.position or 0 for f in findings if f.field == "events.position"), default=None)
    for one in findings:
        if one.field == "record and leaf" and gone is not None and gone <= (one.until or 0):
            said = f"not to be computed without position {gone}"
            yield replace(one, field="appends.root", actual=said)
        else:
            yield one


def _by_stream(log: RawLog, findings: list[Finding]) -> list[Finding]:
    """Return findings in which the records of a stream that all differ are one finding.

    Renaming a stream does that; so does changing the same column in all of its appends.
    """
    first = findings[0] if findings else None
    if first is None or first.field not in ("streams.name", "record"):
        return findings
    differing = [one for one in findings if one is first or one.field == "record"]
    places = [_in_stream(log, one.position or 0) for one in differing]
    name = places[0][0]
    if len(places) < _MANY or [*places] != [(name, n) for n in range(1, len(places) + 1)]:
        return findings
    told = replace(first, until=differing[-1].position)
    if first.field == "record":
        expected = f"what was hashed; was {name} in streams renamed, or one column of its appends?"
        told = replace(told, expected=expected, actual="another from its stream's first event on")
    return [told, *(one for one in findings if one not in differing)]


def _in_stream(log: RawLog, position: int) -> tuple[str, int]:
    """Return the stream an event is in, and its version there."""
    for row in log.append_at(position):
        append = append_from_row(row)
        return append.stream, append.version + position - append.first
    return "", 0


def _trials(append: Append, row: Row) -> Iterator[Trial]:
    """Yield what may have been, the cheapest first."""
    position, type_, schema, payload, leaf = row
    for name in codec.CLASSES:
        yield "events.type", name, type_, append, (position, name, schema, payload, leaf)
    for version in range(1, _NEWEST_SCHEMA):
        tried = (position, type_, version, payload, leaf)
        yield "events.schema", version, schema, append, tried
    for field, was, is_, changed in _append_trials(append):
        yield field, was, is_, changed, row
    if len(payload) <= LONGEST:
        for content in _other_bytes(payload, range(256)):
            yield "events.payload", content, payload, append, (position, type_, schema, content)


def _append_trials(append: Append) -> Iterator[tuple[str, object, object, Append]]:
    for moment in _other_bits(append.recorded_at):
        made = replace(append, recorded_at=moment)
        yield "appends.recorded_at", moment, append.recorded_at, made
    causes = [None] if append.causation is None else [None, *_other_bits(append.causation)]
    for cause in causes:
        made = replace(append, causation=None if cause is None else Position(cause))
        yield "appends.causation", cause, append.causation, made
    for version in _other_bits(append.version):
        made = replace(append, version=Version(version))
        yield "appends.version", version, append.version, made
    for text in _other_texts(append.actor):
        yield "appends.actor", text, append.actor, replace(append, actor=text)
    for text in _other_texts(append.correlation):
        yield "appends.correlation", text, append.correlation, replace(append, correlation=text)
    for text in _other_texts(append.append_id):
        yield "appends.append_id", text, append.append_id, replace(append, append_id=text)
    for text in (*_usual_streams(append), *_other_texts(append.stream)):
        yield "streams.name", text, append.stream, replace(append, stream=StreamName(text))


def _usual_streams(append: Append) -> Iterator[str]:
    """Yield names that streams have, of the run in whose name the append was made for one."""
    yield from (f"run-{append.correlation}", "operator", "alerts", "model-default")


def _other_bits(value: int) -> Iterator[int]:
    """Yield non-negative numbers that differ in one bit, or by one."""
    yield from (value ^ 1 << bit for bit in range(51))
    yield from (near for near in (value - 1, value + 1) if near >= 0)


def _other_texts(text: str) -> Iterator[str]:
    """Yield texts that differ in one printable letter."""
    if text.isascii():
        yield from (content.decode() for content in _other_bytes(text.encode(), _PRINTABLE))


def _other_bytes(content: bytes, values: Iterable[int]) -> Iterator[bytes]:
    for place in range(len(content)):
        for value in values:
            yield content[:place] + bytes((value,)) + content[place + 1 :]
