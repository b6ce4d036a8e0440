"""Write the log as C2SP tlog-tiles: static files that any transparency-log client can read.

Format: c2sp.org/tlog-tiles. Tiles hold 256 hashes of one level; entry bundles hold 256 records,
each with its length in two bytes before it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from stairways.core.merkle import Edge
from stairways.core.values import Position
from stairways.errors import SealError
from stairways.service.seal import newest_note
from stairways.store.records import record_bytes
from stairways.store.seal import parse_checkpoint, parse_note
from stairways.store.sql import SqlStore

WIDTH = 256
"""Hashes in a full tile, records in a full bundle."""

_LONGEST_ENTRY = 2**16 - 1


def export_tiles(store: SqlStore, folder: Path) -> int:
    """Write the log up to its newest signed checkpoint into ``folder``; return its size.

    Raises ``SealError`` if the log was never signed, if a record is longer than the format
    allows, or if the stored hashes do not make the checkpoint's root.
    """
    note = newest_note(store)
    checkpoint = parse_checkpoint(parse_note(note.encode()).text)
    edge, parents = Edge(), list[bytes]()
    for number, start in enumerate(range(0, checkpoint.size, WIDTH)):
        leaves = store.leaves(start + 1, min(checkpoint.size, start + WIDTH))
        _write(folder / "tile/0", number, leaves)
        edge = edge.extended(leaves)
        if len(leaves) == WIDTH:
            parents.append(Edge().extended(leaves).root())
    if edge.root() != checkpoint.root:
        raise SealError("The log is not what its newest checkpoint says. Run `stairways verify`.")
    _write_levels(folder, parents)
    for number, bundle in enumerate(_groups(_entries(store, checkpoint.size))):
        _write(folder / "tile/entries", number, bundle)
    (folder / "checkpoint").write_text(note, encoding="utf-8")
    return checkpoint.size


def tile_path(number: int) -> str:
    """Return the path of a tile: groups of three digits, all but the last after an ``x``."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03d}")
    return "/".join(groups)


def _groups(items: Iterable[bytes]) -> Iterator[tuple[bytes, ...]]:
    """Yield ``items`` in groups of ``WIDTH``."""
    source = iter(items)
    while group := tuple(islice(source, WIDTH)):
        yield group


def _write_levels(folder: Path, hashes: Sequence[bytes]) -> None:
    """Write the tiles above the leaves, level by level."""
    level = 1
    while hashes:
        parents = []
        for number, tile in enumerate(_groups(hashes)):
            _write(folder / f"tile/{level}", number, tile)
            if len(tile) == WIDTH:
                parents.append(Edge().extended(tile).root())
        hashes, level = parents, level + 1


def _write(folder: Path, number: int, parts: Sequence[bytes]) -> None:
    partial = "" if len(parts) == WIDTH else f".p/{len(parts)}"
    file = folder / f"{tile_path(number)}{partial}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(parts))


def _entries(store: SqlStore, size: int) -> Iterator[bytes]:
    for record in store.read(until=Position(size)):
        line = record_bytes(record)
        if len(line) > _LONGEST_ENTRY:
            raise SealError(
                f"The record at position {record.position} has {len(line)} bytes; an entry of "
                f"tlog-tiles has at most {_LONGEST_ENTRY}."
            )
        yield len(line).to_bytes(2, "big") + line
