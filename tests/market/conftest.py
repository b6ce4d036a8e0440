"""Where the shared files of real market data are, and small files made on the spot."""

import csv
import gzip
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

WriteFile = Callable[..., Path]

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("STAIRWAYS_SHARED", ROOT.parent / "shared")) / "market"


@pytest.fixture(scope="session")
def real_files() -> Path:
    """The folder of real files; tests that need it are skipped where it is absent."""
    if not (SHARED / "MANIFEST.csv").exists():
        pytest.skip(f"no market files at {SHARED}; set STAIRWAYS_SHARED")
    return SHARED


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Write lines, or bytes, into a file and return its path; ``.gz`` names are compressed."""

    def make(name: str, lines: Sequence[str] | bytes, newline: str = "\n") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = lines if isinstance(lines, bytes) else "".join(x + newline for x in lines).encode()
        path.write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)
        return path

    return make


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give tests that ask for ``manifest_row`` each row of the manifest in turn."""
    if "manifest_row" not in metafunc.fixturenames:
        return
    manifest = SHARED / "MANIFEST.csv"
    if not manifest.exists():
        reason = f"no market files at {SHARED}; set STAIRWAYS_SHARED"
        absent = pytest.param({}, marks=pytest.mark.skip(reason=reason))
        metafunc.parametrize("manifest_row", [absent])
        return
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    metafunc.parametrize("manifest_row", rows, ids=[row["file"] for row in rows])
