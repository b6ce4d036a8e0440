"""Blobs as the database keeps them."""

from stairways.store.blobs import content_of


def test_a_damaged_blob_that_claims_more_than_memory_holds_is_damaged_and_no_more() -> None:
    content = b"(\xb5/\xfd\xe0^\x00u\x00\x008weights\x01\x00TR\x8b\x11"

    assert content_of(350, "zstd", content) is None
