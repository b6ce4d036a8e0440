"""Files that a command was told to write: their place is looked at before the work is done."""

import os
from pathlib import Path

from stairways.errors import ExportError


def check_place(flag: str, file: Path | None) -> None:
    """Refuse a ``file`` that could not be written; none was asked for where it is None."""
    if file is None:
        return
    folder = file.parent
    if file.is_dir():
        raise _refused(flag, file, "this is a folder; name a file")
    if not folder.is_dir():
        raise _refused(flag, file, f"there is no folder {folder}; make it first")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise _refused(flag, file, "this account may not write there; choose another place")


def write_whole(flag: str, file: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all; a device or a pipe as it comes."""
    stays = file.exists() and not file.is_file()
    part = file if stays else file.with_name(file.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(file)
    except OSError as error:
        if not stays:
            part.unlink(missing_ok=True)
        reason = f"{error.strerror}; make room, or choose another place"
        raise _refused(flag, file, reason) from error


def _refused(flag: str, file: Path, reason: str) -> ExportError:
    return ExportError(f"{flag} {file} cannot be written: {reason}.")
