"""Measure how far one update on another processor leads away from the recorded one.

    python ops/bench/other_machine.py

Trains a short run outside the portable mode, then executes every update again, each from its
recorded state, on processors that qemu-user emulates. What is printed is the largest relative
distance of parameters; ``relearning.PARAMETER_TOLERANCE`` has to be well above it.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

from stairways.bootstrap import App, Flags
from stairways.service.replay import reexecution
from stairways.service.replay.levels import Recorded, reexecute
from stairways.service.replay.relearning import PARAMETER_TOLERANCE
from stairways.service.runs import find_run
from stairways.service.stairway.surroundings import machine
from stairways.service.stairway.unfinished import start_of

MODELS = ("Haswell", "EPYC-Rome")
SETTINGS = (
    "run.portable=false",
    "stairway.targets=0.7",
    "stairway.learning_rates=3e-4",
    "stairway.steps_per_cycle=6000",
)


def train(url: str) -> None:
    """Train one short cycle on simulated bars, on this very processor."""
    program = [sys.executable, "-m", "stairways", "--database-url", url, "--log-level", "error"]
    given = [word for setting in SETTINGS for word in ("--set", setting)]
    for words in (
        ("data", "simulate", "toy", "--rows", "1500"),
        ("train", *given, "--data", "toy"),
    ):
        subprocess.run([*program, *words], check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def measure(url: str) -> int:
    """Execute every update again and print how far it led, on the processor that runs this."""
    here = {**machine(), "cpu": "emulated"}  # the emulator shows the real processor's name
    flags = Flags()
    flags.give("log.database_url", url, "the benchmark")
    app = App(flags)
    with patch.object(reexecution, "machine", lambda: here), app.log(read_only=True) as store:
        run = find_run(store, "latest")
        what = Recorded(url, run, app.recorded_plan(start_of(store, run).settings, run))
        (report,) = reexecute(what, store, ["training"], 1, lambda _: None)
    for finding in report.findings:
        print(finding.message)
    far = report.largest["parameters"]
    updates = report.checked.get("PolicyUpdated", 0)
    print(f"{updates} updates, {report.found} findings, parameters {far:.3g} apart at most")
    return 0 if report.clean and far < PARAMETER_TOLERANCE / 10 else 1


def main() -> int:
    """Train here, measure there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", metavar="URL", help="only measure, on this processor")
    url = parser.parse_args().measure
    if url:
        return measure(url)
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        print("qemu-x86_64 is absent: install qemu-user")
        return 2
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'log.db'}"
        train(url)
        for model in MODELS:
            print(f"{model}: ", end="", flush=True)
            again = [emulator, "-cpu", model, sys.executable, __file__, "--measure", url]
            done = subprocess.run(again, check=False, stderr=subprocess.DEVNULL)  # noqa: S603
            worst = max(worst, done.returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
