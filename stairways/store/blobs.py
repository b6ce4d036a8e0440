"""Blobs: large content named by its SHA-256, compressed where that helps.

Many zstd frames decompress to the same content, so its SHA-256 says nothing of the bytes that are
stored. Behind a frame stands the SHA-256 of the frame: not one stored byte changes unseen.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import zstandard

from stairways.core.values import Digest, digest_of
from stairways.errors import BlobMissingError

_LEVEL = 1
"""Of zstd: training states come out 1 % larger than at 3, in half the time."""

_CHECKSUM = hashlib.sha256().digest_size


class Blob(NamedTuple):
    """A row of ``blobs``."""

    digest: Digest
    size: int
    encoding: str
    content: bytes


def pack(content: bytes) -> Blob:
    """Return the row that keeps ``content``: as zstd where that is smaller."""
    frame = zstandard.compress(content, _LEVEL)
    small = frame + hashlib.sha256(frame).digest()
    if len(small) < len(content):
        return Blob(digest_of(content), len(content), "zstd+sha256", small)
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
    frame = _frame_in(encoding, content)
    return None if frame is None else _decompressed(frame, size)


def _frame_in(encoding: object, content: bytes) -> bytes | None:
    """Return the zstd frame of a row; before 2026-11-26 rows were written without its SHA-256."""
    if encoding == "zstd":
        return content
    frame, checksum = content[:-_CHECKSUM], content[-_CHECKSUM:]
    whole = encoding == "zstd+sha256" and hashlib.sha256(frame).digest() == checksum
    return frame if whole else None


def _decompressed(frame: bytes, size: int) -> bytes | None:
    """Return what a frame holds, if that is ``size`` bytes and nothing stands behind it."""
    try:
        if zstandard.frame_content_size(frame) not in (-1, size):
            return None  # a damaged frame may claim more than any memory holds
        plain = zstandard.ZstdDecompressor().decompress(
            frame, max_output_size=size, allow_extra_data=False
        )
    except zstandard.ZstdError:
        return None
    return plain if len(plain) == size else None
