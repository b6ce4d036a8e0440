"""``stairways replay --level``: every level on a real run, alone, together and divided."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stairways.store.opening import open_store
from tests.small_run import SMALL

Run = subprocess.CompletedProcess[str]


def stairways(url: str, *words: str) -> Run:
    given = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    return subprocess.run(
        [sys.executable, "-m", "stairways", "--database-url", url, *given, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("levels")
    url = f"sqlite:///{folder / 'log.db'}"
    made = stairways(url, "data", "simulate", "made-up", "--rows", "700", "--seed", "5")
    assert made.returncode == 0, made.stderr
    run = stairways(url, "train", "--data", "made-up")
    assert run.returncode == 0, run.stderr
    assert "simulated" in run.stdout
    return url


@pytest.mark.parametrize("level", ["policy", "training"])
def test_a_level_is_clean_on_an_honest_run_and_recorded(trained: str, level: str) -> None:
    done = stairways(trained, "replay", "latest", "--level", level, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["simulated"]
    [report] = json.loads(done.stdout)["levels"]
    assert (report["level"], report["clean"], report["found"]) == (level, True, 0)
    store = open_store(trained)
    newest = json.loads(list(store.read(types=["ReplayFinished"]))[-1].payload)
    store.close()
    assert (newest["level"], newest["findings"]) == (level, 0)


def test_all_levels_divided_over_processes_make_one_page(trained: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    words = (
        "replay",
        "latest",
        "--level",
        "all",
        "--jobs",
        "2",
        "--no-record",
        "--html",
        str(page),
    )
    done = stairways(trained, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("every event is the same") == 2
    assert "The bars were simulated" in done.stderr
    assert "The bars were simulated" in page.read_text()
    assert all(f"Level {level}" in page.read_text() for level in ("ledger", "policy", "training"))
