"""Blobs as the database keeps them."""

import hashlib

import pytest
import zstandard

from stairways.store.blobs import content_of, pack


def test_a_damaged_blob_that_claims_more_than_memory_holds_is_damaged_and_no_more() -> None:
    content = b"(\xb5/\xfd\xe0^\x00u\x00\x008weights\x01\x00TR\x8b\x11"

    assert content_of(350, "zstd", content) is None


def test_not_one_stored_byte_of_a_blob_changes_unseen() -> None:
    """A frame of zstd may be changed and still decompress to the same content."""
    _, size, encoding, stored = pack(b"weights" * 50)
    changed = (
        stored[:place] + bytes([value]) + stored[place + 1 :]
        for place in range(len(stored))
        for value in range(256)
        if value != stored[place]
    )
    assert content_of(size, encoding, stored) == b"weights" * 50
    assert all(content_of(size, encoding, content) is None for content in changed)


@pytest.mark.parametrize("hidden", [b"\x00", b"a note", zstandard.compress(b"")])
def test_nothing_hides_behind_the_content_of_a_blob(hidden: bytes) -> None:
    _, size, encoding, stored = pack(b"weights" * 50)
    behind = stored[:-32] + hidden
    summed = behind + hashlib.sha256(behind).digest()

    assert content_of(size, encoding, stored + hidden) is None
    assert content_of(size, encoding, summed) is None
    assert content_of(size, "zstd", behind) is None


def test_a_blob_that_was_written_without_a_checksum_still_reads() -> None:
    _, size, _, stored = pack(b"weights" * 50)

    assert content_of(size, "zstd", stored[:-32]) == b"weights" * 50
