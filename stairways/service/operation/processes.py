"""Processes: who this one is, and whether another one, named in the database, still runs."""

import os
import socket
from pathlib import Path

from stairways.store.contract import Holder

UNKNOWN = "-"
_PROC = Path("/proc")
_STATE, _STARTED = 0, 19  # fields of /proc/PID/stat after the name in parentheses (proc(5))


def this_process() -> Holder:
    """Return the name of this process for people, and what tells it from every other one.

    Number and name alone would not do: numbers are used again, and containers share names.
    """
    place, own = os.getpid(), "/".join((*_machine(), str(os.getpid()), _started(os.getpid())))
    return Holder(f"pid {place} on {socket.gethostname()}", own)


def is_here(process: str) -> bool:
    """Tell whether a process runs, or ran, where this one can see it."""
    *machine, _, _ = process.split("/")
    return UNKNOWN not in machine and tuple(machine) == _machine()


def is_gone(process: str) -> bool:
    """Tell whether a process certainly runs no more; False where one cannot know."""
    if not is_here(process):
        return False
    pid, started = process.split("/")[-2:]
    return _started(int(pid)) != started


def _machine() -> tuple[str, str]:
    """Return the start of the machine and the space of process numbers; unknown off Linux."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = (_PROC / "self/ns/pid").readlink().name
    except OSError:
        return UNKNOWN, UNKNOWN
    return boot, space


def _started(pid: int) -> str:
    """Return when a process started, in ticks of the machine; unknown if it runs no more."""
    try:
        after_name = (_PROC / str(pid) / "stat").read_text(encoding="utf-8").rpartition(") ")[2]
    except OSError:
        return UNKNOWN
    fields = after_name.split()
    return UNKNOWN if fields[_STATE] in "ZX" else fields[_STARTED]
