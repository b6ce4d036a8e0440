"""Proofs at once: the roots of the log's full subtrees, kept in memory.

The proof that a record is under a checkpoint needs the roots of a few subtrees, and each of
them is a hash over all of its leaves. Kept are only the roots over every 4,096 leaves, 32 bytes
each: 80 kB for ten million events. They come from the stored leaves; what is proved from them
is checked against the root that was signed, so a wrong one shows, and never proves anything.
"""

import threading
from dataclasses import dataclass, field

from stairways.core.merkle import Edge, Span, inclusion_spans, root_of
from stairways.core.values import Position
from stairways.service.seal import checkpoint_of, prove_with
from stairways.store.seal import Checkpoint, Proof
from stairways.store.sql import SqlStore

LEAVES = 4096
"""Leaves under a kept root; a power of two, so that each is a node of the tree."""


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
            for _ in range(most):
                if self.covered + LEAVES > size:
                    return False
                leaves = self.store.leaves(self.covered + 1, self.covered + LEAVES)
                self._roots.append(root_of(leaves))
        return self.covered + LEAVES <= size

    def proves(self, size: int) -> bool:
        """Say whether a proof in a tree of ``size`` leaves needs few leaves to be read."""
        return self.covered + LEAVES > size

    def proof(self, position: Position, note: str) -> Proof:
        """Return the proof that the record at ``position`` is under the checkpoint ``note``.

        Raises ``SealError`` if the stored leaves do not lead to its root.
        """
        size = checkpoint_of(note).size
        hashes = [self._root(span) for span in inclusion_spans(position - 1, size)]
        return prove_with(self.store, position, note, hashes)

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Say whether the stored leaves lead to the root of a checkpoint."""
        return self._root((0, checkpoint.size)) == checkpoint.root

    def _root(self, span: Span) -> bytes:
        """Return the root over a span, whose first leaf begins a subtree of at least its size."""
        first, last = span
        kept = self._roots[first // LEAVES : last // LEAVES] if first % LEAVES == 0 else []
        start = first + len(kept) * LEAVES
        if not kept:
            return root_of(self.store.leaves(first + 1, last))
        nodes = list(kept)
        while start < last:
            end = min(start + LEAVES, last)
            nodes.append(root_of(self.store.leaves(start + 1, end)))
            start = end
        return Edge().extended(nodes).root()
