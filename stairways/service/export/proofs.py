"""One proof for many records: the roots of the parts of the tree that hold none of them.

The tree of ``size`` leaves is walked from its root. A part without any of the records is one
hash; a single record is its own leaf; every other part is split as RFC 6962 splits it, at the
largest power of two below its width. Whoever has the records and these hashes, in the order of
the walk, computes the root of the whole log.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from stairways.core.merkle import Span
from stairways.service.roots import kept_roots, span_root
from stairways.store.sql import SqlStore


def prove_records(log: SqlStore, indexes: Sequence[int], size: int) -> list[bytes]:
    """Return the hashes that lead from the records at ``indexes`` (from 0, sorted) to the root."""
    kept = kept_roots(log)
    return [span_root(log, kept, span) for span in gaps(indexes, 0, size)]


def gaps(indexes: Sequence[int], first: int, last: int) -> Iterator[Span]:
    """Yield the parts of the tree ``first <= index < last`` that hold none of the records."""
    begin, end = bisect_left(indexes, first), bisect_left(indexes, last)
    if begin == end:
        yield first, last
    elif last - first > 1 and end - begin < last - first:
        middle = first + (1 << (last - first - 1).bit_length() - 1)
        yield from gaps(indexes, first, middle)
        yield from gaps(indexes, middle, last)
