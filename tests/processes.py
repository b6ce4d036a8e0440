"""The program as a real process, to be killed and moved between processors."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from stairways.market.exporting import as_table
from stairways.market.simulation import simulate
from stairways.store.opening import open_store
from tests.small_run import SMALL

ROOT = Path(__file__).parents[1]
BARS = simulate(("AAA", "BBB"), 700, seed=5).bars
LONGEST = 1_800.0


def bars_file(folder: Path) -> Path:
    """Write the bars of every small run as a file."""
    file = folder / "bars.parquet"
    as_table(BARS).drop("simulated").write_parquet(file)
    return file


def train_command(url: str, bars: Path, cycles: int) -> list[str]:
    """Return the command that trains a small run, or goes on with it."""
    small = {
        **SMALL,
        "stairway.targets": ",".join(["0.7"] * cycles),
        "stairway.learning_rates": ",".join(["3e-3", *["1e-3"] * (cycles - 1)]),
    }
    settings = [part for name, text in small.items() for part in ("--set", f"{name}={text}")]
    options = ["--database-url", url, "--log-level", "error"]
    return [sys.executable, "-m", "stairways", *options, "train", *settings, "--bars", str(bars)]


def start(command: Sequence[str], **settings: str) -> "subprocess.Popen[bytes]":
    """Start the program; it tells nobody anything but its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )


def finish(command: Sequence[str], **settings: str) -> None:
    """Run the program to its end, which must be a good one."""
    assert start(command, **settings).wait(LONGEST) == 0


def kill_after(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Kill a process without warning; False if it ended before."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        return False
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


def wait_for_event(url: str, process: "subprocess.Popen[bytes]", kinds: Sequence[str]) -> None:
    """Wait until one more event of these types is in the log, or the process has ended."""
    store = open_store(url)
    known = sum(1 for _ in store.read(types=kinds))
    deadline = time.monotonic() + LONGEST
    while process.poll() is None and sum(1 for _ in store.read(types=kinds)) == known:
        assert time.monotonic() < deadline, f"none of {kinds} came"
        time.sleep(0.01)
    store.close()
