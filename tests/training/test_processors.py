"""In the portable mode a run gives the same bits on processors of other makes and years.

Other processors are emulated by qemu-user. What is compared is the whole content of the log,
features, regime scores and every parameter digest included.
"""

import shutil
from pathlib import Path

import pytest

from stairways.cli.portable import SETTINGS
from tests.log_content import nameless_at
from tests.processes import bars_file, finish, start, train_command, wait_for_event

QEMU = shutil.which("qemu-x86_64")
MODELS = ("Haswell", "EPYC-Rome")
needs_qemu = pytest.mark.skipif(QEMU is None, reason="qemu-x86_64 is absent: install qemu-user")


def on(model: str, command: list[str]) -> list[str]:
    """Return the command for an emulated processor, which must not start itself again."""
    return [str(QEMU), "-cpu", model, *command]


@pytest.mark.soak
@needs_qemu
@pytest.mark.parametrize("model", MODELS)
def test_a_run_on_another_processor_gives_the_same_log(tmp_path: Path, model: str) -> None:
    bars, here, there = bars_file(tmp_path), *(f"sqlite:///{tmp_path}/{n}.db" for n in "ab")
    finish(train_command(here, bars, 1))
    finish(on(model, train_command(there, bars, 1)), **SETTINGS)
    assert nameless_at(there) == nameless_at(here)


@pytest.mark.soak
@needs_qemu
@pytest.mark.parametrize("model", MODELS)
def test_a_run_killed_here_goes_on_there_and_ends_the_same(tmp_path: Path, model: str) -> None:
    bars, here, there = bars_file(tmp_path), *(f"sqlite:///{tmp_path}/{n}.db" for n in "ab")
    finish(train_command(here, bars, 1))
    command = train_command(there, bars, 1)
    process = start(command)
    wait_for_event(there, process, ["PolicyUpdated"])
    process.kill()
    process.wait()
    finish(on(model, command), **SETTINGS)
    assert nameless_at(there) == nameless_at(here)
