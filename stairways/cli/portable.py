"""The portable mode: arithmetic that gives the same bits on every processor.

Libraries choose their fastest routine by the processor they find, and routines round
differently. These settings make MKL and torch choose one for all. They count only if they are
set before torch is loaded, so the program starts itself again with them.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import stairways
from stairways.errors import SettingsError

SETTINGS: Mapping[str, str] = {"MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "avx2"}
"""MKL: its branch for any x86-64. torch: its kernels for AVX2, which every one since 2015 has."""

PROGRAM = "stairways"


def enter(*, portable: bool) -> None:
    """Go on in a process with, or without, the settings of the portable mode.

    Does not return where they have to change, but starts the program again with the same
    arguments; nothing must be open then. Used as a library it changes nothing: whoever starts
    the process decides, and what a run found is in its first event.
    """
    if is_portable() == portable or not _is_program():
        return
    if portable and not _has_avx2():
        raise SettingsError(
            "This processor has no AVX2, which the portable mode needs; use --no-portable."
        )
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(  # noqa: S606 - the same program again
        sys.executable, sys.orig_argv, {**kept, **(SETTINGS if portable else {})}
    )


def enter_recorded(settings: Mapping[str, str]) -> None:
    """Go on in the mode in which a run was trained, from the settings it recorded."""
    enter(portable=settings.get("run.portable") == "true")


def is_portable() -> bool:
    """Tell whether this process has the settings of the portable mode."""
    return all(os.environ.get(name) == value for name, value in SETTINGS.items())


def _has_avx2(source: Path = Path("/proc/cpuinfo")) -> bool:
    """Tell whether torch's kernels for AVX2 run here; systems that do not say may try."""
    return not source.exists() or " avx2 " in source.read_text(encoding="utf-8")


def _is_program() -> bool:
    """Tell whether this process is the command ``stairways``, not a test or a library's user."""
    started = Path(sys.argv[0])
    return started.name == PROGRAM or started == Path(stairways.__file__).with_name("__main__.py")
