"""Coverage-guided fuzzing of the reader, long."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEEDS = (
    b"\x002024-01-02,10,12,9,11,100\n2024-01-03,10,12,9,11,100\n",
    b"\x01AAA,2024-01-02,10,12,9,11,100,5\nAAA,2024-01-03,10,12,9,11,100,5\n",
    b"\x023/4/2024,10,12,9,11,100\n3/15/2024,$10,12,9,11,1.5M\n",
    b"\x03t,o,h,l,c\n1704205800000,10,12,9,11\n1704205860000,10,12,9,11\n",
)


@pytest.mark.soak
def test_five_minutes_of_made_up_files_are_all_loaded_or_refused(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="the extra soak is not installed")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS):
        (corpus / str(number)).write_bytes(seed)
    script = str(ROOT / "ops" / "fuzz" / "read_file.py")
    done = subprocess.run(
        [sys.executable, script, "-max_total_time=300", "-max_len=4096", str(corpus)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
