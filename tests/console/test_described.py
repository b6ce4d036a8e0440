"""Schemathesis against the console's own description: nothing it thinks of breaks a page."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.console.conftest import AUDITOR, Console

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "negative_data_rejection,ignored_auth,unsupported_method"
)

REFUSED = """[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "414"]
"""
"""How a question that breaks the description is refused; 414 where the address is too long."""


def attack(console: Console, folder: Path, examples: int) -> "subprocess.CompletedProcess[str]":
    """Let schemathesis ask every page that many things, without its memory of earlier runs."""
    program = Path(sys.executable).parent / "st"
    (folder / "schemathesis.toml").write_text(REFUSED, encoding="utf-8")
    return subprocess.run(
        [
            *(program, "run", f"{console.url}/openapi.json"),
            *("-H", f"Authorization: Bearer {AUDITOR}", "--checks", CHECKS),
            *("--max-examples", str(examples), "--seed", "1", "--generation-database", "none"),
            *("--phases", "examples,coverage,fuzzing", "--no-color"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "ignore", "COLUMNS": "160"},
    )


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_schemathesis_finds_no_fault(console: Console, tmp_path: Path) -> None:
    done = attack(console, tmp_path, 5)

    assert done.returncode == 0, done.stdout[-6000:]


@pytest.mark.soak
def test_schemathesis_finds_no_fault_in_a_long_run(console: Console, tmp_path: Path) -> None:
    done = attack(console, tmp_path, 500)

    assert done.returncode == 0, done.stdout[-6000:]
