"""Fold rehashed ranges into the tree, and hold it against every root that is stored.

Where a record's computed leaf differs from the stored one, one of the two was altered. The
next stored root that matches a tree over the one or the other tells which.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stairways.core.merkle import Edge
from stairways.service.verify.events import Rehashed
from stairways.service.verify.findings import KEPT, Finding, Findings


class RootCheck(NamedTuple):
    """The stored root of the log after ``last``; the append it belongs to began at ``first``."""

    first: int
    last: int
    root: bytes


class Difference(NamedTuple):
    """A record whose computed leaf is not the stored one."""

    position: int
    computed: bytes
    stored: bytes

    def finding(self, right: str) -> Finding:
        """Return what is wrong when the ``stored`` or the ``computed`` leaf is right."""
        if right == "stored":
            return Finding(self.position, "record", self.stored.hex(), self.computed.hex())
        return Finding(self.position, "events.leaf", self.computed.hex(), self.stored.hex())


@dataclass(slots=True)
class TreeFold:
    """The tree so far: over computed leaves, and over stored ones while they disagree."""

    findings: Findings
    computed: Edge = field(default_factory=Edge)
    stored: Edge = field(default_factory=Edge)
    roots: dict[int, bytes] = field(default_factory=dict)  # of the wanted sizes
    _start: dict[str, Edge] = field(default_factory=dict)  # both trees where the range begins
    _differences: list[Difference] = field(default_factory=list)
    _mismatches: list[tuple[RootCheck, dict[str, bytes]]] = field(default_factory=list)

    def take(self, part: Rehashed, checks: Sequence[RootCheck], wanted: Sequence[int]) -> None:
        """Add a range; ``checks`` lie in it, in order, and so do the ``wanted`` sizes."""
        self.findings.extend(part.findings)
        if part.edges:
            self._take_sound(part, checks, wanted)
        else:
            self._take_damaged(part, checks, wanted)

    def settle(self, root: bytes | None) -> bool:
        """Decide what is left by the root of the head; say whether it is the tree's."""
        if root is not None and self._decide(root):
            return True
        self.findings.extend(difference.finding("stored") for difference in self._differences)
        if self._mismatches and not self._differences:
            check, made = self._mismatches[0]
            self.findings.add(_rewritten(check, made["computed"]))
        return False

    def _take_sound(
        self, part: Rehashed, checks: Sequence[RootCheck], wanted: Sequence[int]
    ) -> None:
        by_end = {check.last: check for check in checks}
        ends = sorted({*by_end, *wanted})
        self._start = {"stored": self.stored, "computed": self.computed}
        for end, edge in zip([*ends, part.last], part.edges, strict=True):
            self._move(edge)
            if end in by_end:
                self._check(by_end.pop(end))
            if end in wanted:
                self.roots[end] = self.computed.root()

    def _move(self, right: Edge) -> None:
        """Let both trees end with ``right``, which begins where the range begins."""
        stored, computed = self._start["stored"], self._start["computed"]
        self.stored = stored.joined(right)
        self.computed = self.stored if computed == stored else computed.joined(right)

    def _take_damaged(
        self, part: Rehashed, checks: Sequence[RootCheck], wanted: Sequence[int]
    ) -> None:
        by_end = {check.last: check for check in checks}
        start, damaged = part.first, {finding.position for finding in part.findings}
        for end in sorted({*by_end, *wanted, part.last}):
            here = slice(start - part.first, end + 1 - part.first)
            self._extend(start, part.computed[here], part.stored[here], damaged)
            if end in by_end:
                self._check(by_end[end])
            if end in wanted:
                self.roots[end] = self.computed.root()
            start = end + 1

    def _extend(
        self,
        first: int,
        computed: Sequence[bytes | None],
        stored: Sequence[bytes],
        damaged: set[int | None],
    ) -> None:
        made = [own or other for own, other in zip(computed, stored, strict=True)]
        self.computed, self.stored = self.computed.extended(made), self.stored.extended(stored)
        for position, (own, other) in enumerate(zip(made, stored, strict=True), first):
            if own != other and position not in damaged and len(self._differences) < KEPT:
                self._differences.append(Difference(position, own, other))

    def _check(self, check: RootCheck) -> None:
        if not self._decide(check.root) and len(self._mismatches) < KEPT:
            made = {"stored": self.stored.root(), "computed": self.computed.root()}
            self._mismatches.append((check, made))

    def _decide(self, root: bytes) -> bool:
        """Say whether ``root`` is one of ours; if so, know which leaves were right till here."""
        if self.stored.root() == root:
            self._agree("stored")
        elif self.computed.root() == root:
            self._agree("computed")
        else:
            return False
        return True

    def _agree(self, right: str) -> None:
        """Take the ``stored`` or the ``computed`` leaves for right, and report the others."""
        self.findings.extend(difference.finding(right) for difference in self._differences)
        self.findings.extend(
            Finding(check.first, "appends.root", made[right].hex(), check.root.hex(), check.last)
            for check, made in self._mismatches
        )
        self.computed = self.stored = self.stored if right == "stored" else self.computed
        if self._start:
            self._start = dict.fromkeys(self._start, self._start[right])
        self._differences, self._mismatches = [], []


def _rewritten(check: RootCheck, made: bytes) -> Finding:
    """Return the finding that records were rewritten together with their leaves."""
    return Finding(check.first, "record and leaf", check.root.hex(), made.hex(), check.last)
