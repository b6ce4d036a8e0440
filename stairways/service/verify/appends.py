"""Walk the rows of ``appends`` and find holes, overlaps and versions out of order.

Every append claims the positions from where the last one ended; what its row says instead is
a finding. The claims let the events be rehashed even where rows are damaged.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from stairways.core.merkle import HASH_SIZE
from stairways.core.values import Position, StreamName, Version
from stairways.service.verify.findings import Finding, shown
from stairways.store.raw import RawAppend
from stairways.store.records import Append

_LARGEST_TIME = 253_402_300_800_000_000
"""Microseconds from 1970 to the year 10000."""


class Claim(NamedTuple):
    """Positions ``first`` to ``last`` and what is known about their writing.

    ``append`` is None where the row is missing or too damaged to make records of; ``root`` is
    the stored one of the whole log at ``last``.
    """

    first: int
    last: int
    append: Append | None
    root: bytes | None


@dataclass(slots=True)
class AppendWalk:
    """Goes over the rows of ``appends`` once, in order, and collects what is wrong."""

    streams: Mapping[object, object]
    size: int
    findings: list[Finding] = field(default_factory=list)
    versions: dict[object, int] = field(default_factory=dict)
    _next: int = 1
    _newest_stream: int = 0

    def claims(self, rows: Iterable[RawAppend]) -> Iterator[Claim]:
        """Yield claims that cover 1 to ``size``, each position once."""
        held: RawAppend | None = None
        for row in rows:
            if held is not None:
                yield from self._claim(held, row.first)
            held = row
        if held is not None:
            yield from self._claim(held, self.size + 1)
        if self._next <= self.size:
            yield self._missing(self.size)

    def _claim(self, row: RawAppend, following: object) -> Iterator[Claim]:
        """Yield the claim of ``row``, after one for the hole before it, if any."""
        if not isinstance(row.first, int) or row.first < 1:
            self._find(None, "first", "a position", row.first)
            return
        if row.first > self._next:
            yield self._missing(row.first - 1)
        first, last = self._next, self._last(row, following)
        if row.first < first:
            self._find(min(row.first, last) if last < first else first, "first", first, row.first)
        if last < first:
            return
        self._check_stream(first, row)
        append = self._append(first, row)
        self.versions[row.stream] = self.versions.get(row.stream, 0) + last - first + 1
        self._next = last + 1
        yield Claim(first, last, append, self._root(first, row))

    def _missing(self, last: int) -> Claim:
        self._find(self._next, "first", self._next, None)
        claim = Claim(self._next, last, None, None)
        self._next = last + 1
        return claim

    def _last(self, row: RawAppend, following: object) -> int:
        """Return where the append ends: where its row says, if it can be so."""
        if isinstance(row.last, int) and row.first <= row.last <= self.size:
            return row.last
        ends = min(following - 1, self.size) if isinstance(following, int) else self.size
        self._find(self._next, "last", ends, row.last)
        return ends

    def _check_stream(self, first: int, row: RawAppend) -> None:
        """Check that streams are numbered in the order of their first appends."""
        if row.stream not in self.streams:
            self._find(first, "stream", "an id in the table streams", row.stream)
        elif row.stream not in self.versions:
            self._newest_stream += 1
            if row.stream != self._newest_stream:
                self._find(first, "stream", self._newest_stream, row.stream)

    def _append(self, first: int, row: RawAppend) -> Append | None:
        """Return the append that the row describes, as far as its types allow."""
        version = self.versions.get(row.stream, 0) + 1
        if row.version != version or not isinstance(row.version, int):
            self._find(first, "version", version, row.version)
        name = self.streams.get(row.stream)
        texts = (name, row.actor, row.correlation, row.append_id)
        if not all(isinstance(text, str) for text in texts):
            self._find(first, "actor, correlation or append_id", "text", texts)
            return None
        moment, cause = row.recorded_at, row.causation
        if not isinstance(moment, int) or not 0 <= moment < _LARGEST_TIME:
            self._find(first, "recorded_at", "microseconds since 1970", moment)
            return None
        if not (cause is None or isinstance(cause, int)):
            self._find(first, "causation", "a position or null", cause)
            return None
        return Append(
            first=Position(first),
            last=Position(first),
            stream=StreamName(str(name)),
            version=Version(version),
            recorded_at=moment,
            actor=row.actor,
            correlation=row.correlation,
            causation=None if cause is None else Position(cause),
            append_id=row.append_id,
        )

    def _root(self, first: int, row: RawAppend) -> bytes | None:
        if isinstance(row.root, bytes) and len(row.root) == HASH_SIZE:
            return row.root
        self._find(first, "root", f"{HASH_SIZE} bytes", row.root)
        return None

    def _find(self, position: int | None, column: str, expected: object, actual: object) -> None:
        self.findings.append(Finding(position, f"appends.{column}", shown(expected), shown(actual)))
