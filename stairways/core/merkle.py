"""The RFC 6962 Merkle tree: leaves, roots, and a tree that grows at its right edge.

A leaf is SHA-256(0x00 || record), an inner node SHA-256(0x01 || left || right), and the root
of an empty tree SHA-256 of nothing (RFC 6962, section 2.1). Hashes are 32 bytes.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

_sha256 = hashlib.sha256


def leaf_hash(record: bytes) -> bytes:
    """Return the hash of a leaf that holds ``record``."""
    return _sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node over two subtrees."""
    return _sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a tree: all that is needed to append to it and to know its root.

    ``hashes`` are the roots of the complete subtrees that ``size`` leaves make, largest
    first; there is one for each bit that is set in ``size``.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if len(self.hashes) != self.size.bit_count():
            raise ValueError(f"{self.size} leaves have no edge of {len(self.hashes)} hashes.")

    def extended(self, leaves: Sequence[bytes]) -> "Edge":
        """Return the edge after ``leaves`` (their hashes) were appended.

        Works level by level, from the leaves up, with one list at each.
        """
        old, new = list(self.hashes), []
        nodes, rest = list(leaves), self.size
        while nodes or rest:
            if rest & 1:
                nodes.insert(0, old.pop())
            if len(nodes) & 1:
                new.append(nodes.pop())
            nodes = _parents(nodes)
            rest >>= 1
        return Edge(self.size + len(leaves), tuple(reversed(new)))

    def root(self) -> bytes:
        """Return the root of the tree."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root

    def to_bytes(self) -> bytes:
        """Return the hashes one after another."""
        return b"".join(self.hashes)


def edge_from_bytes(size: int, content: bytes) -> Edge:
    """Return the edge that ``to_bytes`` wrote; raises ``ValueError`` if it is none."""
    if len(content) != size.bit_count() * HASH_SIZE:
        raise ValueError(f"{size} leaves have no edge of {len(content)} bytes.")
    starts = range(0, len(content), HASH_SIZE)
    return Edge(size, tuple(content[start : start + HASH_SIZE] for start in starts))


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    return Edge().extended(list(leaves)).root()


def _parents(nodes: Sequence[bytes]) -> list[bytes]:
    sha256 = _sha256
    pairs = zip(nodes[::2], nodes[1::2], strict=True)
    return [sha256(b"\x01" + left + right).digest() for left, right in pairs]
