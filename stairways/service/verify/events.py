"""Rehash a range of events and compare each record's leaf with the stored one."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stairways.core.merkle import HASH_SIZE, Edge
from stairways.service.verify.appends import Claim
from stairways.service.verify.blobs import Named, named_in
from stairways.service.verify.findings import Finding, Findings, shown
from stairways.service.verify.indexes import Fingerprint, fingerprint
from stairways.store.driver import Row
from stairways.store.raw import RawLog, UnreadableRowsError
from stairways.store.records import Append, hash_records

RANGE = 4096
"""Positions hashed in one go: a power of two, so that ranges are subtrees of the log."""

NO_LEAF = bytes(HASH_SIZE)


class Rehashed(NamedTuple):
    """What rehashing the positions of a range gave.

    ``edges`` are the right edges of the range's own tree at the wanted sizes and at its end.
    Where a leaf disagrees they stay empty, and ``computed`` and ``stored`` hold the leaves;
    a computed one is None where the rows do not make a record. ``named`` are the blobs that the
    events name, ``indexed`` the events that the index by type should lead to.
    """

    first: int
    last: int
    edges: Sequence[Edge]
    computed: Sequence[bytes | None]
    stored: Sequence[bytes]
    findings: Sequence[Finding]
    named: Sequence[Named]
    indexed: Fingerprint


def rehash(log: RawLog, claims: Sequence[Claim], ends: Sequence[int]) -> Rehashed:
    """Rehash the positions that ``claims`` cover; ``ends`` are positions whose edges to give."""
    first, last = claims[0].first, claims[-1].last
    try:
        rows = log.events(first, last)
    except UnreadableRowsError:
        rows = list(_readable_rows(log, first, last))
    named, indexed = named_in(rows), fingerprint(rows)
    try:
        leaves = _sound_leaves(claims, rows)
    except (TypeError, AttributeError, ValueError):
        return _compare(claims, rows, named, indexed)
    edges = _edges(leaves, [*ends, last], first)
    return Rehashed(first, last, edges, (), (), (), named, indexed)


def _sound_leaves(claims: Sequence[Claim], rows: Sequence[Row]) -> list[bytes]:
    """Return the leaves of a range whose rows are all there and give the leaves stored with them.

    Raises ``ValueError``, or what Python does where a row is no record, if they are not.
    """
    positions, types, schemas, payloads, stored = zip(*rows, strict=True)
    if positions != tuple(range(claims[0].first, claims[-1].last + 1)):
        raise ValueError("a row is missing")
    leaves, start = list[bytes](), 0
    for claim in claims:
        if claim.append is None:
            raise ValueError("an append is missing")
        end = start + claim.last - claim.first + 1
        here = types[start:end], schemas[start:end], payloads[start:end]
        leaves += hash_records(claim.append, claim.first, *here)
        start = end
    if leaves != list(stored):
        raise ValueError("a leaf differs")
    return leaves


def _edges(leaves: Sequence[bytes], ends: Sequence[int], first: int) -> list[Edge]:
    edges, edge = [], Edge()
    for end in ends:
        edge = edge.extended(leaves[edge.size : end - first + 1])
        edges.append(edge)
    return edges


def _compare(
    claims: Sequence[Claim], rows: Sequence[Row], named: Sequence[Named], indexed: Fingerprint
) -> Rehashed:
    """Go row by row: which is missing, which is no record, which has another leaf."""
    by_position = {row[0]: row for row in rows}
    computed, stored, findings = list[bytes | None](), list[bytes](), Findings()
    for claim in claims:
        for position in range(claim.first, claim.last + 1):
            row = by_position.get(position)
            wanted, found = _judge(claim, position, row)
            stored_leaf = row[4] if row is not None and _is_leaf(row[4]) else NO_LEAF
            stored.append(stored_leaf)
            computed.append(wanted)
            if found is not None:
                findings.add(found)
    kept = findings.ordered()
    first, last = claims[0].first, claims[-1].last
    return Rehashed(first, last, (), computed, stored, kept, named, indexed)


def _judge(claim: Claim, position: int, row: Row | None) -> tuple[bytes | None, Finding | None]:
    """Return the leaf of a record and what is wrong with it, as far as its row alone tells.

    That a leaf differs from the stored one is left to the caller, who knows the tree.
    """
    if row is None:
        return None, Finding(position, "events.position", str(position), "missing")
    _, type_, schema, payload, leaf = row
    for column, value, kind in (
        ("type", type_, str),
        ("schema", schema, int),
        ("payload", payload, bytes),
    ):
        if not isinstance(value, kind):
            return None, Finding(position, f"events.{column}", kind.__name__, shown(value))
    wanted = None if claim.append is None else leaf_of(claim.append, position, row)
    if not _is_leaf(leaf):
        return wanted, Finding(position, "events.leaf", f"{HASH_SIZE} bytes", shown(leaf))
    return wanted, None


def leaf_of(append: Append, position: int, row: Row) -> bytes:
    """Return the leaf of one record, made of its row and its append."""
    [leaf] = hash_records(append, position, (row[1],), (row[2],), (row[3],))
    return leaf


def _is_leaf(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == HASH_SIZE


def _readable_rows(log: RawLog, first: int, last: int) -> Iterable[Row]:
    """Yield the rows that the database can still read, one by one."""
    for position in range(first, last + 1):
        try:
            yield from log.events(position, position)
        except UnreadableRowsError:
            continue
