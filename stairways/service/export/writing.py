"""Files and folders that are there whole or not at all."""

import contextlib
import hashlib
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stairways.core.values import Digest
from stairways.errors import ExportError

CHUNK = 1 << 20


@contextmanager
def whole(out: Path, *, replace: bool) -> Iterator[Path]:
    """Yield where to write; what was written is moved to ``out`` at the end, or removed.

    Raises ``ExportError`` if something is there already, unless ``replace``, or if the disk
    refuses.
    """
    if out.exists() and not replace:
        raise ExportError(f"{out} is there already. Choose another name, or say --replace.")
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        _put(part, out)
    except OSError as error:
        raise ExportError(f"{out} cannot be written: {error.strerror or error}.") from error
    finally:
        _remove(part)


def digests(out: Path) -> Mapping[str, Digest]:
    """Return the SHA-256 of a file, or of each file in a folder, by name."""
    files = sorted(out.iterdir()) if out.is_dir() else [out]
    return {_ascii(file.name): digest_of_file(file) for file in files}


def digest_of_file(file: Path) -> Digest:
    """Return the SHA-256 of a file, read piece by piece."""
    total = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(CHUNK):
            total.update(piece)
    return Digest(total.hexdigest())


def _put(part: Path, out: Path) -> None:
    """Move a part to its place; a folder that stands there steps aside until it is done."""
    if not out.is_dir():
        part.replace(out)
        return
    aside = part.with_suffix(".old")
    out.rename(aside)
    try:
        part.rename(out)
    except OSError:
        aside.rename(out)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _ascii(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode()
