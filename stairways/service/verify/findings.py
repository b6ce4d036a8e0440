"""What an audit of the log found: one value that is not what it must be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

_WIDE = 80
_AROUND = 24
"""Letters shown on each side of where two long values begin to differ."""

_STRETCHES = {"events.position": 1, "events.payload": 40}
"""What is told by stretches where it is missing, and how far apart two places of one may be.

Positions of a stretch are all missing. Payloads of one segment stand among others' events.
"""

_WHOLE_STREAMS = ("record", "streams.name")
"""What, with a range, is told of all records of a stream from the first on."""

KEPT = 100
"""Findings that are kept in full; the others are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something stored is not what the rest of the log, or a kept checkpoint, says it must be.

    ``position`` is the first event concerned, None where no event is (a blob, the head row,
    a guard). ``until`` is the last event it may be, where the evidence cannot tell exactly.
    """

    position: int | None
    field: str
    expected: str
    actual: str
    until: int | None = None

    @property
    def is_stretch(self) -> bool:
        """Say whether it tells of everything of its kind from ``position`` to ``until``."""
        return self.field in _STRETCHES and self.actual == "missing" and self.position is not None

    def covers(self, other: "Finding") -> bool:
        """Say whether another finding says no more than this stretch."""
        if not self.is_stretch or self.field != other.field or self.actual != other.actual:
            return False
        ends = self.until or self.position or 0
        return (self.position or 0) <= (other.position or 0) and (
            other.until or other.position or 0
        ) <= ends

    def sentence(self) -> str:
        """Return the finding in words."""
        place = "log" if self.position is None else f"position {self.position}"
        if self.position is not None and self.until is not None and self.until != self.position:
            place = f"positions {self.position} to {self.until}"
            if self.is_stretch and self.field == "events.position":
                return f"{place} are missing ({self.until - self.position + 1:,})"
        return f"{place}: {self.field} is {self.actual}, expected {self.expected}"


@dataclass(slots=True)
class Findings:
    """Collects findings at constant memory and remembers how many there were."""

    kept: list[Finding] = field(default_factory=list)
    count: int = 0

    def add(self, *findings: Finding) -> None:
        """Note findings."""
        self.extend(findings)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Note findings; beyond ``KEPT`` only the earliest positions are kept.

        What is missing at one position after the other is one finding.
        """
        for finding in findings:
            whole = _joined(self.kept[-1], finding) if self.kept else None
            if whole is not None:
                self.kept[-1] = whole
                continue
            if finding.is_stretch and any(one.covers(finding) for one in self.kept):
                continue
            self.count += 1
            self.kept.append(finding)
        if len(self.kept) > 2 * KEPT:
            self.kept = list(self.ordered())

    def drop_after(self, position: int) -> None:
        """Forget findings about events behind ``position``."""
        kept = [one for one in self.kept if one.position is None or one.position <= position]
        self.count -= len(self.kept) - len(kept)
        self.kept = [
            replace(one, until=position) if one.is_stretch and (one.until or 0) > position else one
            for one in kept
        ]

    def ordered(self) -> Sequence[Finding]:
        """Return the first findings, by position; those without one come last.

        One that can only name a range counts from the range's end.
        """
        return sorted(self.kept, key=place_of)[:KEPT]


def place_of(finding: Finding) -> int:
    """Return what findings are ordered by."""
    if finding.position is None:
        return 2**63
    begins = finding.is_stretch or finding.field in _WHOLE_STREAMS
    return finding.position if begins else finding.until or finding.position


def _joined(before: Finding, finding: Finding) -> Finding | None:
    """Return one finding for both if the second goes on where the first ends."""
    if not (before.is_stretch and finding.is_stretch and before.field == finding.field):
        return None
    end = before.until or before.position or 0
    start = finding.position or 0
    if not 0 < start - end <= _STRETCHES[finding.field]:
        return None
    return replace(before, until=finding.until or start)


def shown(value: object) -> str:
    """Return a stored value fit for eyes: short, bytes as hexadecimal."""
    if value is None:
        return "missing"
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= _WIDE else f"{text[:64]}… ({len(text)} characters)"


def contrasted(expected: object, actual: object) -> tuple[str, str]:
    """Return two stored values fit for eyes, so that what differs in them is in sight."""
    plain = shown(expected), shown(actual)
    if not any("…" in one for one in plain):
        return plain
    first, second = _texts(expected, actual)
    both = enumerate(zip(first, second, strict=False))
    place = next((n for n, (a, b) in both if a != b), min(len(first), len(second)))
    return _excerpt(first, place), _excerpt(second, place)


def _texts(expected: object, actual: object) -> tuple[str, str]:
    """Return both as text: of two JSON objects what differs in them, with its key."""
    contents = [_decoded(one) for one in (expected, actual)]
    if all(isinstance(one, dict) for one in contents):
        was, is_ = contents
        for key in sorted(was.keys() | is_.keys()):
            if was.get(key) != is_.get(key):
                return _entry(key, was), _entry(key, is_)
    return str(contents[0]), str(contents[1])


def _decoded(value: object) -> Any:  # noqa: ANN401 - any JSON
    if not isinstance(value, bytes):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value.decode(errors="backslashreplace")


def _entry(key: str, content: dict[str, Any]) -> str:
    return f"{key}: {orjson.dumps(content[key]).decode() if key in content else 'missing'}"


def _excerpt(text: str, place: int) -> str:
    """Return what stands around a place of a long text, behind the key it begins with."""
    if len(text) <= _WIDE:
        return text
    key, colon, _ = text.partition(": ")
    start = max(0, place - _AROUND)
    head = f"{key}: " if colon and len(key) < _AROUND and start > len(key) else ""
    end = place + _AROUND
    return f"{head}{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


def counted(number: int, name: str) -> str:
    """Return a number with its noun in the singular or the plural."""
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"
