"""Compiling rules with numba: the one place that knows how, and where the result is kept.

Compiled code is kept beside the byte code of this package, or in the user's cache folder,
or, where neither can be written, only in memory. numba notices a change of the function it
compiled but not of those that function calls, so the folder is named by the digest of all
the sources.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from numba.core import config
from numba.extending import register_jitable

CACHE = "XDG_CACHE_HOME"
"""The variable that names the user's cache folder, as every desktop and systemd know it."""

_FOLDER_SETTING = "CACHE_DIR"  # numba makes its settings attributes at import
Compiled = Any
"""A function of numba's, with ``compile`` and ``overloads``."""


def make_known(rules: Iterable[Callable[..., Any]]) -> None:
    """Let compiled code call ``rules``; they stay ordinary functions for everybody else."""
    for rule in rules:
        register_jitable(rule)


def compiled(function: Callable[..., Any], sources: Iterable[ModuleType]) -> Compiled:
    """Return ``function`` compiled at its first call, and kept if a folder can be written.

    ``sources`` are all modules whose functions it is made of. Arithmetic is strict: no
    fast-math, no threads, errors as in Python.
    """
    folder = _writable(_folders(_digest(sources)))
    if folder is None:
        jitted: Compiled = numba.njit(function)
        return jitted
    with _kept_in(folder):
        kept: Compiled = numba.njit(cache=True)(function)
        return kept


def entry(function: Compiled, arguments: Iterable[object]) -> Compiled:
    """Return the machine code of ``function`` for arguments of exactly these types.

    It is called without looking at the types again, which takes longer than a step of one
    lane: whoever calls it vouches for them.
    """
    typeof: Callable[[object], object] = numba.typeof
    signature = tuple(typeof(argument) for argument in arguments)
    function.compile(signature)
    code: Compiled = function.overloads[signature].entry_point
    return code


def _digest(sources: Iterable[ModuleType]) -> str:
    content = hashlib.sha256(numba.__version__.encode())
    for source in sources:
        content.update(Path(str(source.__file__)).read_bytes())
    return content.hexdigest()[:16]


def _folders(digest: str) -> Iterator[Path]:
    yield Path(__file__).parent / "__pycache__" / f"kernel-{digest}"
    home = os.environ.get(CACHE)
    yield (Path(home) if home else Path.home() / ".cache") / "stairways" / f"kernel-{digest}"


def _writable(folders: Iterable[Path]) -> Path | None:
    """Return the first folder in which a file can be made."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


@contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """Make numba keep what is declared inside in ``folder``, and nothing else."""
    before = getattr(config, _FOLDER_SETTING)
    setattr(config, _FOLDER_SETTING, str(folder))
    try:
        yield
    finally:
        setattr(config, _FOLDER_SETTING, before)
