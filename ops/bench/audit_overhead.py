"""Measure how much slower training with the whole log on is than with it off.

Trains cycles of 6,000 steps on AAPL and MSFT (bokeh-sampledata), in turn with every step,
state and update written durably to SQLite, and with nothing encoded or written at all. The
ratio of the shortest times is the answer, because whatever else the machine does can only
make a round longer; parameters must come out the same, bit for bit.
"""

import argparse
import statistics
import sys
import time
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from ops.bench.demo_job import another, demo_bars, demo_job
from stairways.bootstrap import App
from stairways.core import events as e
from stairways.core.progress import evolve
from stairways.core.values import Digest, Position, StreamName, Version
from stairways.service.stairway.climb import Climber
from stairways.service.stairway.run import begin
from stairways.store.contract import Appended
from stairways.training.learner import Rollout
from stairways.training.state import State

LIMIT = 1.1
NOTHING = Digest("0" * 64)


class Unrecorded(Climber):
    """A climber that trains alike and tells nobody."""

    def record(self, rollout: Rollout) -> None:
        """Write nothing."""

    def keep(self, content: State) -> Digest:  # noqa: ARG002 - the climber's signature
        """Store nothing."""
        return NOTHING

    def note(self, stream: StreamName, *events: e.Event) -> Appended:  # noqa: ARG002 - as above
        """Write nothing, but know how far training is."""
        for event in events:
            self.progress = evolve(self.progress, event)
        return Appended(Position(0), Position(0), Version(0))


def seconds_of(climber: Climber) -> float:
    """Return how long one attempt at the first cycle takes."""
    start = time.perf_counter()
    climber.train(climber.plan.programme.cycles[0], 1)
    return time.perf_counter() - start


def unrecorded(climber: Climber) -> Unrecorded:
    """Return a climber at the same place that records nothing."""
    return Unrecorded(**{field.name: getattr(climber, field.name) for field in fields(climber)})


def main() -> int:
    """Measure, print, and fail when the log costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    app = App()
    times: dict[str, list[float]] = {"on": [], "off": []}
    with demo_job(app, demo_bars()) as job:
        for number in range(rounds + 1):
            on, off = (begin(another(job)) for _ in range(2))
            off = unrecorded(off)
            order = [("off", off), ("on", on)][:: 1 if number % 2 else -1]
            spent = {name: seconds_of(climber) for name, climber in order}
            same = (on.learner.parameters() == off.learner.parameters()).all()
            if not same:
                print("the two trainings differ")
                return 2
            if number:  # the first round compiles and warms up
                for name, value in spent.items():
                    times[name].append(value)
    return report(times["on"], times["off"])


def report(logged: list[float], silent: list[float]) -> int:
    """Print the times, and return 1 when the log costs more than it may."""
    for name, times in (("off", silent), ("on", logged)):
        middle = statistics.median(times)
        print(f"log {name}: shortest {min(times):.3f} s, median {middle:.3f} s for 6,000 steps")
    ratio = min(logged) / min(silent)
    print(f"ratio of the shortest: {ratio:.3f} (allowed: {LIMIT}), {len(logged)} rounds each")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
