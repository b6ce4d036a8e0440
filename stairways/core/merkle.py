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
        if len(leaves) == 1:
            return self.joined(Edge(1, (leaves[0],)))
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

    def joined(self, right: "Edge") -> "Edge":
        """Return the edge after a small tree stood behind this one.

        ``size`` must be a multiple of a power of two that is at least ``right.size``, so
        that the subtrees of ``right`` are subtrees of the whole.
        """
        size, hashes = self.size, list(self.hashes)
        for part, full in zip(right.hashes, _widths(right.size), strict=True):
            node, width = part, full
            while size & width:
                node, size, width = node_hash(hashes.pop(), node), size - width, width * 2
            hashes.append(node)
            size += width
        return Edge(size, tuple(hashes))

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


def _widths(size: int) -> list[int]:
    """Return the leaves under each hash of an edge, largest first."""
    return [1 << bit for bit in reversed(range(size.bit_length())) if size >> bit & 1]


def _parents(nodes: Sequence[bytes]) -> list[bytes]:
    sha256 = _sha256
    pairs = zip(nodes[::2], nodes[1::2], strict=True)
    return [sha256(b"\x01" + left + right).digest() for left, right in pairs]


Span = tuple[int, int]
"""Leaves ``first <= index < last`` that hang together under one node."""


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Return the subtrees whose roots prove leaf ``index`` (from 0) in a tree of ``size``.

    They stand from the leaf up, as in RFC 6962, section 2.1.1.
    """
    if not 0 <= index < size:
        raise ValueError(f"A tree of {size} leaves has no leaf {index}.")
    spans, first, last = list[Span](), 0, size
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            spans.append((middle, last))
            last = middle
        else:
            spans.append((first, middle))
            first = middle
    return spans[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """Return the subtrees whose roots prove that a tree of ``new`` leaves extends ``old``.

    In the order of RFC 6962, section 2.1.2.
    """
    if not 0 < old <= new:
        raise ValueError(f"A tree of {new} leaves cannot extend one of {old}.")
    spans, first, last, whole = list[Span](), 0, new, True
    while last != old:
        middle = first + _split(last - first)
        if old <= middle:
            spans.append((middle, last))
            last = middle
        else:
            spans.append((first, middle))
            first, whole = middle, False
    if not whole:
        spans.append((first, last))
    return spans[::-1]


def is_included(index: int, size: int, *, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether ``proof`` shows ``leaf`` at ``index`` (from 0) (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes(leaf, root, *proof):
        return False
    here, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if here & 1 or here == last:
            node = node_hash(sibling, node)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and node == root


def is_consistent(
    old: int, new: int, *, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Say whether ``proof`` shows the new tree to extend the old (RFC 9162, section 2.1.4.2)."""
    if not 0 < old <= new or not _are_hashes(old_root, new_root, *proof):
        return False
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and older == old_root and newer == new_root


def _split(size: int) -> int:
    """Return the largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1


def _are_hashes(*hashes: bytes) -> bool:
    return all(len(candidate) == HASH_SIZE for candidate in hashes)
