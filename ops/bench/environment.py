"""Measure the environment: steps a second with exact books and every fact captured.

Every round takes random actions on simulated bars of a pair; a step is one decision of one
lane with its fills, costs, controller and observation, and all its facts kept. Three trading
environments of others are installed into a folder that is thrown away (``--others FOLDER``
keeps it, ``--alone`` leaves them out), and measured by the same interpreter with the same numpy
and torch. ``--plain`` measures the money alone in plain numpy, without controller and capture,
which bounds from above what that could have reached. Every environment runs in one thread and
is charged by processor time, so that neighbours on the machine count less.

Exits with 1 where a figure is below what is wanted, and with 2 where the others cannot be had.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from stairways.bootstrap import App
from stairways.cli.watching import Watcher
from stairways.core.controller import ControllerRules
from stairways.core.ledger import TradingRules
from stairways.env.lanes import Lanes, Outcome
from stairways.env.tape import Tape, tape_of
from stairways.market.bars import Bars, Int64
from stairways.market.simulation import simulate
from stairways.service.stairway.run import Job, begin
from stairways.store.memory import MemoryStore

BARS, ROUNDS = 4_000, 30
LIMITS = {1: 300_000, 64: 930_000, 1024: 4_500_000}
RATIOS = {"gym-trading-env": (64, 15), "FinRL numpy": (64, 20), "TorchTrade, 1024 lanes": (1024, 5)}
SHARE = 0.03
OTHERS = Path(__file__).parent / "others"
OF_A_LANE = {
    "steps": ("row", "action", "cash", "equity", "interest", "borrow", "log_return", "risk_free",
              "drawdown_penalty", "terminated", "truncated"),
    "orders": ("shares", "price", "cost", "position", "lots", "clipped"),
}  # fmt: skip
"""What is a lane's own; the controller and its bonus are of all lanes together."""


def best(steps: int, play: Callable[[], object]) -> float:
    """Return the most steps a second of processor time in some rounds of ``steps`` each."""
    shortest = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        play()
        shortest = min(shortest, time.process_time() - start)
    return steps / shortest


def lanes_on(tape: Tape, count: int, capacity: int, start: int | None = None) -> Lanes:
    """Return lanes that may trade all of the tape."""
    window = (tape.warm_up, len(tape))
    rules = TradingRules(), ControllerRules()
    return Lanes(tape, *rules, window=window, count=count, capacity=capacity, seed=1, start=start)


def compiled(tape: Tape, lanes: int) -> float:
    """Measure ``Lanes``."""
    actions = drawn(lanes)
    env = lanes_on(tape, lanes, len(actions))

    def play() -> None:
        env.clear_trace()
        for chosen in actions:
            env.step(chosen)

    return best(actions.size, play)


def drawn(lanes: int) -> Int64:
    """Return random actions for about 50,000 steps."""
    steps = min(5_000, max(50, 50_000 // lanes))
    return np.random.default_rng(1).integers(0, 9, (steps, lanes))


def bit_equal(tape: Tape, lanes: int) -> bool:
    """Say whether each of many lanes leaves the very bits it leaves alone."""
    actions = drawn(lanes)[:500]
    many = lanes_on(tape, lanes, len(actions), tape.warm_up)
    for chosen in actions:
        many.step(chosen)
    for lane in range(lanes):
        alone = lanes_on(tape, 1, len(actions), tape.warm_up)
        for action in actions[:, lane : lane + 1]:
            alone.step(action)
        for kind, names in OF_A_LANE.items():
            one, all_of_them = getattr(alone.trace, kind), getattr(many.trace, kind)
            for name in names:
                if one[name][:, 0].tobytes() != all_of_them[name][:, lane].tobytes():
                    return False
    return True


def plain(tape: Tape, lanes: int) -> float:
    """Measure lots, costs, books, reward and observation in numpy, and nothing else."""
    actions = drawn(lanes) % 8  # lane by lane the same digits are drawn
    fill, close = tape.quotes["fill"].copy(), tape.quotes["close"].copy()
    cash, lots, shares = np.full(lanes, 10**11), *np.zeros((2, lanes, 2), np.int64)
    equity, row = cash.copy(), np.full(lanes, tape.warm_up)

    def step(chosen: Int64) -> None:
        nonlocal cash, equity, lots, row, shares
        digits = np.stack((chosen // 3, chosen % 3), axis=1)
        wanted = np.clip(lots + digits - 1, -1, 1)
        price, size = fill[row], equity[:, None] // 4 // close[row]
        moved = np.where(wanted == lots, 0, wanted * size - shares)
        value = np.abs(moved) * price
        costs = np.rint(value * 1e-4).astype(np.int64) + 500_000 * (moved != 0)
        cash = cash - (moved * price + costs).sum(axis=1)
        lots, shares = wanted, shares + moved
        row = np.where(row == len(tape) - 2, tape.warm_up, row + 1)
        after = cash + (shares * close[row]).sum(axis=1)
        np.log(np.maximum(after, 1) / np.maximum(equity, 1))
        np.concatenate((tape.features[row], lots.astype(np.float32)), axis=1)
        equity = after

    def play() -> None:
        for chosen in actions:
            step(chosen)

    return best(actions.size, play)


def share_of_training(bars: Bars) -> float:
    """Return the environment's share of the processor time of one cycle of training."""
    app, store = App(), MemoryStore(lambda: datetime.now(UTC))
    plan = app.plan()
    job = Job(
        run="bench",
        plan=plan,
        bars=bars,
        store=store,
        context=lambda: app.context("bench"),
        watcher=Watcher(plan),
    )
    taken, original, climber = 0.0, Lanes.step, begin(job)

    def timed(self: Lanes, actions: Int64) -> Outcome:
        nonlocal taken
        start = time.process_time()
        outcome = original(self, actions)
        taken += time.process_time() - start
        return outcome

    Lanes.step = timed  # type: ignore[method-assign]  # for the rest of this training
    start = time.process_time()
    climber.train(plan.programme.cycles[0], 1)
    whole = time.process_time() - start
    Lanes.step = original  # type: ignore[method-assign]  # as it was
    return taken / whole


def others(folder: Path) -> dict[str, float] | None:
    """Install the environments of others unless they are there, and measure them."""
    pinned = OTHERS / "requirements.txt"
    pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps")
    if not (folder / "torchtrade").is_dir():
        done = subprocess.run([*pip, "--target", folder, "-r", pinned], check=False)  # noqa: S603 - our own interpreter
        if done.returncode:
            return None
    script = OTHERS / "trading_environments.py"
    measured = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, script],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    speeds: dict[str, float] = json.loads(measured.stdout)
    return speeds


def compared(ours: dict[int, float], folder: Path) -> int:
    """Print what others reach beside ``ours``; return the exit code."""
    speeds = others(folder)
    if speeds is None or speeds.keys() != RATIOS.keys():
        print("not every environment of others could be installed; see above", file=sys.stderr)
        return 2
    missed = False
    for name, speed in speeds.items():
        lanes, wanted = RATIOS[name]
        missed |= ours[lanes] < wanted * speed
        print(f"{name:24} {speed:12,.0f} steps/s   {ours[lanes] / speed:5.1f} x   wanted {wanted}")
    return int(missed)


def alone(bars: Bars, tape: Tape, *, plainly: bool) -> tuple[dict[int, float], bool]:
    """Print our own figures; return the steps a second, and whether one was missed."""
    ours = {lanes: compiled(tape, lanes) for lanes in LIMITS}
    missed = False
    for lanes, limit in LIMITS.items():
        missed |= ours[lanes] < limit
        print(f"stairways, {lanes:5,} lanes   {ours[lanes]:12,.0f} steps/s   wanted {limit:10,}")
        if plainly:
            print(f"numpy,     {lanes:5,} lanes   {plain(tape, lanes):12,.0f} steps/s, money only")
    same, share = bit_equal(tape, 64), share_of_training(bars)
    print(f"each of 64 lanes has the bits it has alone: {'yes' if same else 'NO'}")
    print(f"share of training's processor time: {share:.2%}   wanted below {SHARE:.0%}")
    return ours, missed or not same or share >= SHARE


def main() -> int:
    """Print the table; see the module for the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--others", metavar="FOLDER", type=Path, help="install others there")
    parser.add_argument("--alone", action="store_true", help="measure no environment of others")
    parser.add_argument("--plain", action="store_true", help="measure plain numpy too")
    options = parser.parse_args()
    start = time.perf_counter()
    bars = simulate(["UP", "DOWN"], BARS, 1).bars
    tape = tape_of(bars, TradingRules())
    compiled(tape, 1)
    print(f"ready after {time.perf_counter() - start:.1f} s, compiling included if it was needed")
    ours, missed = alone(bars, tape, plainly=options.plain)
    if options.alone:
        return int(missed)
    with tempfile.TemporaryDirectory() as folder:
        found = compared(ours, options.others or Path(folder))
    return max(int(missed), found)


if __name__ == "__main__":
    sys.exit(main())
