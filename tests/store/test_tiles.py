"""Tiles are what c2sp.org/tlog-tiles says, and enough to check every record."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stairways.core.merkle import leaf_hash, root_of
from stairways.core.values import NEW, StreamName
from stairways.errors import SealError
from stairways.service.seal import seal_log
from stairways.service.tiles import export_tiles, tile_path
from stairways.store.contract import Context, Encoded
from stairways.store.opening import open_sql_store
from stairways.store.seal import new_key, parse_checkpoint, parse_note


def by(append_id: str) -> Context:
    return Context(actor="train", correlation="run-1", append_id=append_id)


def steps(count: int) -> list[Encoded]:
    return [Encoded("StepTaken", 1, b'{"step":%d}' % number) for number in range(count)]


@pytest.mark.parametrize(
    ("number", "path"), [(0, "000"), (7, "007"), (999, "999"), (1000, "x001/000"),
                         (1234067, "x001/x234/067")]
)  # fmt: skip
def test_a_tile_has_the_path_of_the_specification(number: int, path: str) -> None:
    assert tile_path(number) == path


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_tiles_hold_every_record_under_the_root_of_the_checkpoint(
    kind: str, new_log: Callable[[str], str], tmp_path: Path
) -> None:
    store = open_sql_store(new_log(kind))
    store.append(StreamName("run-1"), NEW, steps(600), by("a"))
    seal_log(store, new_key("example.org/log"), by("s"))
    assert export_tiles(store, tmp_path) == 601
    store.close()

    checkpoint = parse_checkpoint(parse_note((tmp_path / "checkpoint").read_bytes()).text)
    names = ["000", "001", "002.p/89"]
    hashes = b"".join((tmp_path / "tile/0" / name).read_bytes() for name in names)
    leaves = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
    assert root_of(leaves) == checkpoint.root
    above = (tmp_path / "tile/1/000.p/2").read_bytes()
    assert above == root_of(leaves[:256]) + root_of(leaves[256:512])
    bundle, entries = b"".join((tmp_path / "tile/entries" / n).read_bytes() for n in names), []
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        entries.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    assert [leaf_hash(entry) for entry in entries] == leaves


def test_a_log_that_was_never_signed_has_no_tiles(
    new_log: Callable[[str], str], tmp_path: Path
) -> None:
    store = open_sql_store(new_log("sqlite"))
    with pytest.raises(SealError, match="stairways seal"):
        export_tiles(store, tmp_path)
    store.close()
