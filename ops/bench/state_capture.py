"""Measure what capturing the complete state after every update costs training.

Trains cycles of 6,000 steps on AAPL and MSFT (bokeh-sampledata) with the whole log on SQLite,
in turn with every state captured, packed, hashed, compressed and stored durably, and with
none. Capturing takes a few milliseconds of a second or more, less than what neighbours on a
busy machine add or take away; so the answer is what the captures of a round took, shortest
round, as a share of the shortest round without them, in processor time. The shares by the
clock on the wall, waiting for the disk included, are printed beside it. Parameters must come
out the same, bit for bit.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from ops.bench.demo_job import another, demo_bars, demo_job
from stairways.bootstrap import App
from stairways.core.values import Digest
from stairways.service.stairway.climb import Climber
from stairways.service.stairway.run import Job, begin

LIMIT = 0.02


class Spent(NamedTuple):
    """Seconds of the processor and of the clock on the wall."""

    processor: float
    wall: float


def now() -> Spent:
    """Return the clocks."""
    return Spent(time.process_time(), time.perf_counter())


def since(start: Spent) -> Spent:
    """Return what was spent since ``start``."""
    return Spent(*(after - before for before, after in zip(start, now(), strict=True)))


@dataclass(slots=True)
class Timed(Climber):
    """A climber that notes what every capture took."""

    captures: list[Spent] = field(default_factory=list)

    def state_after(self, update: int) -> Digest | None:
        """Capture as ever."""
        start = now()
        state = Climber.state_after(self, update)
        self.captures.append(since(start))
        return state


class Uncaptured(Climber):
    """A climber that records everything but the states after its updates."""

    def state_after(self, update: int) -> Digest | None:  # noqa: ARG002 - the climber's signature
        """Capture nothing."""
        return None


def spent_on(climber: Climber) -> Spent:
    """Return what one attempt at the first cycle takes."""
    start = now()
    climber.train(climber.plan.programme.cycles[0], 1)
    return since(start)


def one_round(job: Job, number: int) -> tuple[Spent, Spent, Spent] | None:
    """Train both ways, in turn; return the captures', the captured and the bare time."""
    first, second = (begin(another(job)) for _ in range(2))
    parts = ({f.name: getattr(one, f.name) for f in fields(one)} for one in (first, second))
    on, off = Timed(**next(parts)), Uncaptured(**next(parts))
    order: list[tuple[str, Climber]] = [("off", off), ("on", on)]
    spent = {name: spent_on(climber) for name, climber in order[:: 1 if number % 2 else -1]}
    if not (on.learner.parameters() == off.learner.parameters()).all():
        return None
    captures = Spent(*(sum(clock) for clock in zip(*on.captures, strict=True)))
    return captures, spent["on"], spent["off"]


def main() -> int:
    """Measure, print, and fail when capturing costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    app = App()
    measured = []
    with demo_job(app, demo_bars()) as job:
        for number in range(rounds + 1):
            spent = one_round(job, number)
            if spent is None:
                print("the two trainings differ")
                return 2
            if number:  # the first round compiles and warms up
                measured.append(spent)
    return report(measured)


def report(measured: list[tuple[Spent, Spent, Spent]]) -> int:
    """Print the times, and return 1 when capturing costs more than it may."""
    shares = {}
    for clock in Spent._fields:
        times = zip(*measured, strict=True)
        captures, on, off = (min(getattr(one, clock) for one in column) for column in times)
        shares[clock] = captures / off
        print(
            f"{clock}: captures {1e3 * captures:.1f} ms, training with them {on:.3f} s, without "
            f"{off:.3f} s (shortest of {len(measured)}), share {captures / off:.2%}"
        )
    print(f"share of the processor: {shares['processor']:.2%} (allowed: {LIMIT:.0%})")
    return 0 if shares["processor"] <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
