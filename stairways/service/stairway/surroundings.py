"""What a run ran on: code, libraries, machine. Recorded so that a replay can compare."""

import hashlib
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import stairways
from stairways.core.values import Digest

LIBRARIES = ("numpy", "torch", "stable-baselines3", "gymnasium", "numba", "llvmlite", "safetensors")
CPU_FACTS = ("model name", "flags", "cpu cores")


def code_digest() -> Digest:
    """Return the SHA-256 over the names and contents of the package's source files."""
    root = Path(stairways.__file__).parent
    total = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        total.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return Digest(total.hexdigest())


def libraries() -> Mapping[str, str]:
    """Return the versions of Python and of every library that decides about results."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def machine() -> Mapping[str, str]:
    """Return processor, instruction sets, threads used for arithmetic, operating system."""
    facts = _cpu_facts()
    return {
        "cpu": facts.get("model name", platform.processor() or "unknown"),
        "instructions": facts.get("flags", "unknown"),
        "threads": "1",
        "system": platform.platform(),
        "mkl_cbwr": os.environ.get("MKL_CBWR", ""),
        "aten_cpu_capability": os.environ.get("ATEN_CPU_CAPABILITY", ""),
    }


def _cpu_facts(source: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Return what Linux says of the first processor; nothing on other systems."""
    if not source.exists():
        return {}
    first = source.read_text(encoding="utf-8").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {k.strip(): v.strip() for k, _, v in pairs if k.strip() in CPU_FACTS}
