"""Commands that only read: for whoever may not write, and without a trace."""

import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from stairways import cli
from stairways.readmodels.projector import Projector
from stairways.store.opening import open_sql_store
from tests import made_up, trained

RUN = "20260101-aaaaaa"
AUDITS = (
    ("audit", "runs"),
    ("audit", "cycles"),
    ("audit", "gates"),
    ("audit", "events"),
    ("audit", "show", "1"),
    ("data", "list"),
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A log with bars and a run, in a folder of its own."""
    file = tmp_path / "kept" / "log.db"
    file.parent.mkdir()
    store = open_sql_store(f"sqlite:///{file}")
    made_up.write(store, [made_up.registration()], "data")
    made_up.write(store, made_up.appends(RUN), RUN)
    store.close()
    return file


def stairways(file: Path, *arguments: str) -> Result:
    options = ("--database-url", f"sqlite:///{file}", "--log-level", "error")
    return CliRunner().invoke(cli.main, [*options, *arguments])


def as_reader(file: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as a user who may read ``file`` and write neither it nor its folder."""
    drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    program = [sys.executable, "-m", "stairways", "--database-url", f"sqlite:///{file}"]
    file.chmod(0o444)
    file.parent.chmod(0o555)
    try:
        return subprocess.run(
            [*(drop if os.geteuid() == 0 else []), *program, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        file.parent.chmod(0o755)


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("arguments", AUDITS)
def test_a_reader_who_may_not_write_gets_every_answer(
    recorded: Path, arguments: Sequence[str]
) -> None:
    before = digest(recorded)

    done = as_reader(recorded, *arguments)

    gone = arguments == ("data", "list")  # the bars of this log were made up and never stored
    assert done.returncode == gone, done.stderr
    assert done.stdout
    assert digest(recorded) == before


def test_a_reader_who_may_not_write_can_replay_without_recording(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "log.db"
    file.parent.mkdir()
    store = open_sql_store(f"sqlite:///{file}")
    trained.train(store)
    store.close()
    before = digest(file)

    done = as_reader(file, "replay", "latest", "--no-record")

    assert done.returncode == 0, done.stderr
    assert "every balance agrees" in done.stdout
    assert digest(file) == before


def test_a_reader_reads_beside_a_writer_who_goes_on(recorded: Path) -> None:
    store = open_sql_store(f"sqlite:///{recorded}")
    made_up.write(store, made_up.appends("20260102-bbbbbb"), "20260102-bbbbbb")

    done = as_reader(recorded, "audit", "runs", "--csv")
    store.close()

    assert done.returncode == 0, done.stderr
    assert [line[:15] for line in done.stdout.splitlines()[1:]] == ["20260102-bbbbbb", RUN]


def test_what_somebody_wrote_into_the_read_models_is_not_what_audit_says(recorded: Path) -> None:
    store = open_sql_store(f"sqlite:///{recorded}")
    Projector(store).catch_up()
    store.close()
    asked = [("audit", what, "--json") for what in ("runs", "cycles", "gates")]
    before = [stairways(recorded, *question).stdout for question in asked]

    with sqlite3.connect(recorded) as log:
        log.execute("UPDATE rm_cycle_generations SET profit = 9.99, verdict = 'promoted'")
        log.execute("UPDATE rm_run_generations SET promoted = 8")
        log.execute("UPDATE rm_gate_generations SET passed = 1")
    log.close()

    assert [stairways(recorded, *question).stdout for question in asked] == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "latest"),
        ("replay", "latest", "--no-record"),
        ("data", "list"),
        ("data", "show", "x"),
        ("data", "export", "x"),
        ("data", "diff", "x", "y"),
        ("audit", "runs"),
    ],
)
def test_asking_makes_no_log(tmp_path: Path, arguments: Sequence[str]) -> None:
    result = stairways(tmp_path / "none.db", *arguments)

    assert result.exit_code == 2, result.output
    assert list(tmp_path.iterdir()) == []
