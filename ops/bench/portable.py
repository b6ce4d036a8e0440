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
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from ops.bench.demo_job import another, demo_bars, demo_job
from stairways.bootstrap import App
from stairways.cli.portable import SETTINGS
from stairways.service.stairway.run import begin

LIMIT = 1.15


def child(rounds: int) -> None:
    """Train the first cycle several times and print the processor time of each."""
    times = []
    with demo_job(App(), demo_bars()) as job:
        for _ in range(rounds + 1):  # the first round compiles and warms up
            climber = begin(another(job))
            start = time.process_time()
            climber.train(job.plan.programme.cycles[0], 1)
            times.append(time.process_time() - start)
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
