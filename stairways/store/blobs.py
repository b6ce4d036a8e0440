"""Blobs: large content named by its SHA-256, compressed where that helps."""

from collections.abc import Sequence
from typing import NamedTuple

import zstandard

from stairways.core.values import Digest, digest_of
from stairways.errors import BlobMissingError

_LEVEL = 1
"""Of zstd: training states come out 1 % larger than at 3, in half the time."""


class Blob(NamedTuple):
    """A row of ``blobs``."""

    digest: Digest
    size: int
    encoding: str
    content: bytes


def pack(content: bytes) -> Blob:
    """Return the row that keeps ``content``: as zstd where that is smaller."""
    small = zstandard.compress(content, _LEVEL)
    if len(small) < len(content):
        return Blob(digest_of(content), len(content), "zstd", small)
    return Blob(digest_of(content), len(content), "identity", content)


def unpack(digest: Digest, rows: Sequence[Sequence[object]]) -> bytes:
    """Return the content named ``digest`` from the rows found under that name.

    Raises ``BlobMissingError`` if there is none or it is not what its name says.
    """
    if not rows:
        raise BlobMissingError(f"The log holds no blob {digest}. Restore it from a backup.")
    content = content_of(*rows[0][1:])
    if content is None or digest_of(content) != digest:
        raise BlobMissingError(
            f"The blob {digest} is damaged: its content has another SHA-256. Restore it from a "
            "backup and run `stairways verify`."
        )
    return content


def content_of(size: object, encoding: object, content: object) -> bytes | None:
    """Return what a row of ``blobs`` decodes to, or None if it does not decode to ``size``."""
    if not isinstance(content, bytes) or not isinstance(size, int):
        return None
    if encoding == "identity":
        return content if len(content) == size else None
    if encoding != "zstd":
        return None
    try:
        if zstandard.frame_content_size(content) not in (-1, size):
            return None  # a damaged frame may claim more than any memory holds
        plain = zstandard.ZstdDecompressor().decompress(content, max_output_size=size)
    except zstandard.ZstdError:
        return None
    return plain if len(plain) == size else None
