"""Proofs at once: the roots of the log's full subtrees, kept in memory.

The proof that a record is under a checkpoint needs the roots of a few subtrees, and each of
them is a hash over all of its leaves. Kept are only the roots over every 4,096 leaves, 32 bytes
each: 80 kB for ten million events. They come from the stored leaves, not from the roots that a
checkpoint keeps, so that ``holds`` says something of the leaves; what is proved from them is
checked against the root that was signed, so a wrong one shows, and never proves anything.
"""

import threading
from dataclasses import dataclass, field

from stairways.core.merkle import inclusion_spans
from stairways.core.values import Position
from stairways.service.roots import LEAVES, further_roots, span_root
from stairways.service.seal import checkpoint_of, prove_with
from stairways.store.seal import Checkpoint, Proof
from stairways.store.sql import SqlStore


@dataclass(slots=True)
class Subtrees:
    """The roots over every ``LEAVES`` leaves of a log, as far as they were read."""

    store: SqlStore
    _roots: list[bytes] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def covered(self) -> int:
        """Return how many leaves lie under kept roots."""
        return len(self._roots) * LEAVES

    def grow(self, most: int = 8) -> bool:
        """Read at most ``most`` more subtrees that are full; say whether there are more."""
        size = self.store.head().size
        with self._lock:
            upto = min(size, self.covered + most * LEAVES)
            self._roots += further_roots(self.store, len(self._roots), upto)
        return self.covered + LEAVES <= size

    def proves(self, size: int) -> bool:
        """Say whether a proof in a tree of ``size`` leaves needs few leaves to be read."""
        return self.covered + LEAVES > size

    def proof(self, position: Position, note: str) -> Proof:
        """Return the proof that the record at ``position`` is under the checkpoint ``note``.

        Raises ``SealError`` if the stored leaves do not lead to its root.
        """
        size = checkpoint_of(note).size
        spans = inclusion_spans(position - 1, size)
        hashes = [span_root(self.store, self._roots, span) for span in spans]
        return prove_with(self.store, position, note, hashes)

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Say whether the stored leaves lead to the root of a checkpoint."""
        return span_root(self.store, self._roots, (0, checkpoint.size)) == checkpoint.root
