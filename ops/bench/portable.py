"""Measure what the portable mode costs training.

Trains cycles of 6,000 steps on AAPL and MSFT (bokeh-sampledata), in turn in a process with the
settings of the portable mode and in one without them; torch must not be imported before they
are set. The answer is the ratio of the shortest processor times, because what the neighbours
on a busy machine do to the clock on the wall is more than what is measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path

from stairways.bootstrap import App
from stairways.cli.demo import SYMBOLS, bars_file
from stairways.cli.portable import SETTINGS
from stairways.cli.watching import Watcher
from stairways.market.loading import load_bars
from stairways.service.data import register_bars
from stairways.service.stairway.run import Job, begin
from stairways.store.opening import open_store

LIMIT = 1.15


def child(rounds: int) -> None:
    """Train the first cycle several times and print the processor time of each."""
    app = App()
    aligned = load_bars([bars_file()], symbols=SYMBOLS, adjustment="splits+dividends")
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'log.db'}")
        register_bars(store, aligned, "bench", app.context("bench"))
        plan = app.plan()
        job = Job(
            run="",
            plan=plan,
            bars=aligned.bars,
            store=store,
            context=lambda: app.context("bench"),
            watcher=Watcher(plan),
        )
        times = []
        for _ in range(rounds + 1):  # the first round compiles and warms up
            climber = begin(replace(job, run=f"{uuid.uuid4()}"))
            start = time.process_time()
            climber.train(plan.programme.cycles[0], 1)
            times.append(time.process_time() - start)
        store.close()
    print(json.dumps(times[1:]))


def times_of(settings: dict[str, str], rounds: int) -> list[float]:
    """Return the processor times of one process with these settings."""
    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    done = subprocess.run(  # noqa: S603 - this very script
        [sys.executable, __file__, "--child", "--rounds", str(rounds)],
        env={**plain, **settings, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    times: list[float] = json.loads(done.stdout)
    return times


def main() -> int:
    """Measure, print, and fail when the mode costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--child", action="store_true")
    chosen = parser.parse_args()
    if chosen.child:
        child(chosen.rounds)
        return 0
    modes: dict[str, dict[str, str]] = {"native": {}, "portable": dict(SETTINGS)}
    times: dict[str, list[float]] = {name: [] for name in modes}
    for number in range(chosen.processes):
        for name in list(modes)[:: 1 if number % 2 else -1]:
            times[name] += times_of(modes[name], chosen.rounds)
    for name, spent in times.items():
        print(f"{name}: shortest {min(spent):.3f} s of the processor for 6,000 steps")
    ratio = min(times["portable"]) / min(times["native"])
    print(f"ratio of the shortest: {ratio:.3f} (default if under {LIMIT})")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
