"""Roots of the log's full subtrees, kept with each signed checkpoint so that proofs are quick.

The proof that a record is under a checkpoint needs the roots of a few subtrees, and each of them
is a hash over all of its leaves. Whoever signs the log keeps the roots over every ``LEAVES``
leaves, 32 bytes each: 80 kB for ten million events, in a blob that ``CheckpointSigned`` names.
Nobody has to believe them: they are used only where they lead to the root that was signed.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from stairways import codec
from stairways.core.events import CheckpointSigned
from stairways.core.merkle import HASH_SIZE, Span, root_of
from stairways.errors import BlobMissingError
from stairways.store.sql import SqlStore

LEAVES = 4096
"""Leaves under a kept root; a power of two, so that each is a node of the tree."""


def kept_roots(store: SqlStore) -> list[bytes]:
    """Return the roots kept with the newest checkpoint; none where they do not make its root.

    Where they are gone there are none either: the leaves say the same, and `verify` names them.
    """
    records = deque(store.read(types=("CheckpointSigned",)), maxlen=1)
    if not records:
        return []
    signed = codec.decode(records[0].type, records[0].schema, records[0].payload)
    if not isinstance(signed, CheckpointSigned) or signed.subtrees is None:
        return []
    try:
        content = store.get_blob(signed.subtrees)
    except BlobMissingError:
        return []
    roots = [content[at : at + HASH_SIZE] for at in range(0, len(content), HASH_SIZE)]
    if len(roots) != signed.size // LEAVES:
        return []
    return roots if span_root(store, roots, (0, signed.size)).hex() == signed.root else []


def further_roots(store: SqlStore, known: int, size: int) -> Iterator[bytes]:
    """Yield the roots after the first ``known`` ones, as far as ``size`` leaves fill them."""
    for first in range(known * LEAVES, size // LEAVES * LEAVES, LEAVES):
        yield root_of(store.leaves(first + 1, first + LEAVES))


def span_root(store: SqlStore, roots: Sequence[bytes], span: Span) -> bytes:
    """Return the root over a span, whose first leaf begins a subtree of at least its size.

    Leaves are read where ``roots`` do not reach.
    """
    first, last = span
    nodes = list(roots[first // LEAVES : last // LEAVES]) if first % LEAVES == 0 else []
    for start in range(first + len(nodes) * LEAVES, last, LEAVES):
        nodes.append(root_of(store.leaves(start + 1, min(start + LEAVES, last))))
    return root_of(nodes)
