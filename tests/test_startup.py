"""Commands that need no model start without one."""

import subprocess
import sys
from pathlib import Path

import pytest

from stairways import cli
from stairways.store.opening import open_sql_store
from tests import made_up

HEAVY = ("torch", "stable_baselines3", "gymnasium", "pandas")

SCRIPT = """
import sys
from stairways.cli import main
try:
    main(sys.argv[1:], prog_name="stairways")
except SystemExit as leaving:
    code = leaving.code or 0
print("LOADED", code, *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def started(folder: Path, *arguments: str) -> tuple[int, set[str], str]:
    """Return exit code, top-level modules loaded, and stderr of one command."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PYTHONPATH": str(Path(cli.__file__).parents[2]), "PATH": "/usr/bin:/bin"},
    )
    *said, last = done.stderr.splitlines()
    mark, code, *loaded = last.split()
    assert mark == "LOADED", done.stderr
    return int(code), set(loaded), "\n".join(said)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log of a made-up run, whose bars are not in it."""
    home = tmp_path_factory.mktemp("startup")
    store = open_sql_store(f"sqlite:///{home}/stairways.db")
    made_up.write(store, [made_up.registration(), *made_up.appends("r1")], "r1")
    store.close()
    return home


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        *([name, "--help"] for name in cli.COMMANDS),
        ["audit", "runs"],
        ["audit", "cycles", "--json"],
        ["audit", "events", "--limit", "3"],
        ["audit", "show", "1"],
        ["verify"],
        ["replay", "latest"],
    ],
    ids=" ".join,
)
def test_a_command_without_a_model_loads_none(folder: Path, arguments: list[str]) -> None:
    _, loaded, said = started(folder, *arguments)

    assert loaded.isdisjoint(HEAVY)
    assert "Traceback" not in said


def test_help_needs_no_database_and_no_numbers(tmp_path: Path) -> None:
    code, loaded, _ = started(tmp_path, "--help")

    assert code == 0
    assert loaded.isdisjoint({"sqlalchemy", "numpy", "rich", "structlog", "orjson", "polars"})
    assert list(tmp_path.iterdir()) == []


def test_the_probe_sees_what_a_command_loads(folder: Path) -> None:
    assert "sqlalchemy" in started(folder, "audit", "runs")[1]
