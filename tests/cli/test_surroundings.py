"""What surrounds a command fails: one sentence and an exit code, never a traceback."""

import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from click.testing import CliRunner

from stairways import cli
from stairways.__main__ import start
from stairways.cli.halt import WITHOUT_LOG
from stairways.store.opening import open_sql_store
from tests.processes import ROOT

INTERRUPTED_AT = """
import os, signal, sys

AT = sys.argv.pop(1)

class Interrupt:
    def find_spec(self, name, *_):
        if name == AT:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from stairways.__main__ import start
start()
"""


def called(folder: Path, *command: str, stdout: int = subprocess.PIPE) -> tuple[int, str]:
    """Return exit code and stderr of a program in a folder of its own."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stderr


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.main, list(words), prog_name="stairways")
    return done.exit_code, done.stderr


@pytest.mark.parametrize("words", [["--help"], ["audit", "runs", "--json"], ["metrics"]])
def test_an_output_that_takes_no_more_is_one_sentence_and_exit_2(
    tmp_path: Path, words: list[str]
) -> None:
    open_sql_store(f"sqlite:///{tmp_path}/stairways.db").close()
    with Path("/dev/full").open("w") as full:
        code, said = called(tmp_path, "-m", "stairways", *words, stdout=full.fileno())

    assert (code, said) == (
        2,
        "stairways: The output cannot be written: No space left on device.\n",
    )


def test_an_interruption_before_the_program_is_loaded_ends_it_silently(tmp_path: Path) -> None:
    assert called(tmp_path, "-c", INTERRUPTED_AT, "click", "doctor") == (-signal.SIGINT, "")


def test_the_installed_command_begins_like_the_module() -> None:
    (script,) = entry_points(group="console_scripts", name="stairways")

    assert script.load() is start


@pytest.mark.parametrize("module", ["stairways.bootstrap", "stairways.cli.doctor"])
def test_an_interruption_while_a_command_is_loaded_is_one_sentence(
    tmp_path: Path, module: str
) -> None:
    code, said = called(tmp_path, "-c", INTERRUPTED_AT, module, "doctor")

    assert (code, said) == (130, f"stairways: {cli.INTERRUPTION}\n")


@pytest.mark.parametrize(
    "words", [["halt"], ["daemon", "trigger", "nightly"], ["daemon", "pause", "nightly"]]
)
def test_a_name_that_was_given_empty_is_refused(tmp_path: Path, words: list[str]) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    open_sql_store(url).close()

    code, said = run("--database-url", url, *words, "--reason", "why", "--who", "")

    assert code == 2
    assert said.endswith("Invalid value for '--who': it is empty; give a value, or leave it out.\n")


def test_a_key_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    code, said = run("keys", "show", str(tmp_path / "nope"))

    assert code == 2
    assert (
        said == f"stairways: The key {tmp_path}/nope cannot be read: No such file or directory.\n"
    )


def test_a_halt_that_cannot_be_recorded_says_how_to_stop_without_the_log() -> None:
    url = "postgresql+psycopg://127.0.0.1:1/log"

    code, said = run("--database-url", url, "halt", "--reason", "smoke")

    assert code == 2
    assert said.endswith(f" {WITHOUT_LOG}\n")
