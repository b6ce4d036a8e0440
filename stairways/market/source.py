"""Bytes of files, in blocks of whole lines, with bounded memory whatever the file is."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np

from stairways.core.values import Digest
from stairways.errors import BarsRefusedError
from stairways.market.options import Limits

Container = Literal["text", "gzip", "parquet"]
_REFUSED_MAGIC = {
    b"PK\x03\x04": "a ZIP archive; unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it first",
    b"BZh": "compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "compressed with xz; unpack it first",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save it as CSV",
}
_BOM = b"\xef\xbb\xbf"
_NEWLINE = 10


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole lines of a file; ``first_line`` counts from 1."""

    content: bytes
    first_line: int


def refuse(name: str, line: int | None, reason: str) -> BarsRefusedError:
    """Return the refusal of a file: its name, the line where there is one, and the reason."""
    place = name if line is None else f"{name}, line {line}"
    return BarsRefusedError(f"{place}: {reason}.")


def digest_of_file(path: Path) -> Digest:
    """Return the SHA-256 of the file's bytes as they lie on the disk."""
    with _open(path) as file:
        try:
            return Digest(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:
            raise _unreadable(path, error) from error


def container_of(path: Path) -> Container:
    """Return what kind of file this is, judged by its first bytes and never by its name."""
    with _open(path) as file:
        try:
            start = file.read(8)
        except OSError as error:
            raise _unreadable(path, error) from error
    if not start:
        raise refuse(path.name, None, "the file is empty")
    for magic, what in _REFUSED_MAGIC.items():
        if start.startswith(magic):
            raise refuse(path.name, None, f"this is {what}")
    if start.startswith(b"PAR1"):
        return "parquet"
    return "gzip" if start.startswith(b"\x1f\x8b") else "text"


def blocks(path: Path, limits: Limits) -> Iterator[Block]:
    """Yield the text of ``path``, unpacked, in order, with LF line ends and no byte order mark.

    Raises ``BarsRefusedError`` with the line for NUL bytes, bytes that are not UTF-8, overlong
    lines and content that is too large, before more than a few blocks are in memory.
    """
    line, held = 1, b""
    for piece in _pieces(path, limits):
        text = held + piece
        end = text.rfind(b"\n") + 1
        held = text[end:]
        if end:
            block = Block(text[:end], line)
            line += _check(path.name, block, limits)
            yield block
        if len(held) > limits.line:
            raise refuse(path.name, line, f"the line is longer than {limits.line:,} bytes")
    if held:
        block = Block(held + b"\n", line)
        _check(path.name, block, limits)
        yield block


def split(block: Block, lines: int) -> Iterator[Block]:
    """Yield a block in pieces of at most ``lines`` lines."""
    ends = np.flatnonzero(np.frombuffer(block.content, np.uint8) == _NEWLINE) + 1
    starts = np.concatenate([[0], ends[lines - 1 :: lines]])
    for number, start in enumerate(starts[starts < len(block.content)].tolist()):
        stop = int(starts[number + 1]) if number + 1 < len(starts) else len(block.content)
        yield Block(block.content[start:stop], block.first_line + number * lines)


def _open(path: Path) -> BufferedReader:
    if not path.is_file():
        raise refuse(str(path), None, _no_file(path))
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BarsRefusedError:
    return refuse(path.name, None, f"it cannot be read ({error.strerror})")


def _no_file(path: Path) -> str:
    """Return why a path that is no regular file cannot be read."""
    if path.is_dir():
        return "this is a folder; name a file"
    return "this is a device or a pipe; name a file" if path.exists() else "there is no such file"


def _pieces(path: Path, limits: Limits) -> Iterator[bytes]:
    """Yield the unpacked content, stopping at the limits; CR and CRLF become LF."""
    size, total, old_mac = path.stat().st_size, 0, False
    with ExitStack() as stack:
        raw = stack.enter_context(_open(path))
        packed = container_of(path) == "gzip"
        file = cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=raw))) if packed else raw
        while piece := _read(path.name, file, limits.block):
            if not total:
                piece = piece.removeprefix(_BOM)
                old_mac = b"\r" in piece and b"\n" not in piece
            total += len(piece)
            _bound(path.name, total, size, limits)
            yield piece.replace(b"\r", b"\n") if old_mac else piece.replace(b"\r\n", b"\n")


def _read(name: str, file: BinaryIO, size: int) -> bytes:
    try:
        return file.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise refuse(name, None, f"it does not unpack ({error})") from error


def _bound(name: str, total: int, size: int, limits: Limits) -> None:
    if total > limits.content:
        raise refuse(name, None, f"it holds more than {limits.content:,} bytes")
    if total > limits.block and total > limits.expansion * size:
        raise refuse(name, None, f"it unpacks to more than {limits.expansion} times its size")


def _check(name: str, block: Block, limits: Limits) -> int:
    """Return the number of lines of a block that is clean text."""
    ends = np.flatnonzero(np.frombuffer(block.content, np.uint8) == _NEWLINE)
    longest = np.diff(ends, prepend=-1)
    if int(longest.max()) > limits.line:
        line = block.first_line + int(longest.argmax())
        raise refuse(name, line, f"the line is longer than {limits.line:,} bytes")
    if b"\0" in block.content:
        raise refuse(name, _line_at(block, block.content.index(b"\0")), "it holds a NUL byte")
    if not block.content.isascii():
        _check_utf8(name, block)
    return len(ends)


def _check_utf8(name: str, block: Block) -> None:
    try:
        block.content.decode()
    except UnicodeDecodeError as error:
        line = _line_at(block, error.start)
        raise refuse(name, line, f"it is not UTF-8 text ({error.reason})") from error


def _line_at(block: Block, place: int) -> int:
    return block.first_line + block.content.count(b"\n", 0, place)
