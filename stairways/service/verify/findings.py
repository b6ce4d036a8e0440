"""What an audit of the log found: one value that is not what it must be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_WIDE = 80

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

    def sentence(self) -> str:
        """Return the finding in words."""
        place = "log" if self.position is None else f"position {self.position}"
        if self.until is not None and self.until != self.position:
            place = f"positions {self.position} to {self.until}"
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
        """Note findings; beyond ``KEPT`` only the earliest positions are kept."""
        for finding in findings:
            self.count += 1
            self.kept.append(finding)
        if len(self.kept) > 2 * KEPT:
            self.kept = list(self.ordered())

    def drop_after(self, position: int) -> None:
        """Forget findings about events behind ``position``."""
        kept = [one for one in self.kept if one.position is None or one.position <= position]
        self.count -= len(self.kept) - len(kept)
        self.kept = kept

    def ordered(self) -> Sequence[Finding]:
        """Return the first findings, by position; those without one come last.

        One that can only name a range counts from the range's end.
        """
        return sorted(self.kept, key=_place)[:KEPT]


def _place(finding: Finding) -> int:
    if finding.position is None:
        return 2**63
    return finding.until or finding.position


def shown(value: object) -> str:
    """Return a stored value fit for eyes: short, bytes as hexadecimal."""
    if value is None:
        return "missing"
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= _WIDE else f"{text[:64]}… ({len(text)} characters)"
