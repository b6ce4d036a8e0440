"""Measure the environment: steps a second with exact books and every fact captured.

Every round takes random actions on simulated bars of a pair. ``--others PYTHON`` names the
interpreter of an environment that holds trading environments of others (``pip install
gym-trading-env finrl torchtrade``), which are then measured in turn and give ratios;
``--plain`` measures the money alone in plain numpy, without controller and capture, which
bounds from above what that could have reached. Every environment runs in one thread and is
charged by processor time, so that neighbours on the machine count less.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stairways.core.controller import ControllerRules
from stairways.core.ledger import TradingRules
from stairways.env.lanes import Lanes
from stairways.env.tape import Tape, tape_of
from stairways.market.bars import Int64
from stairways.market.simulation import simulate

BARS, ROUNDS = 4_000, 30
LIMITS = {1: 300_000, 64: 930_000, 1024: 4_500_000}
RATIOS = {"gym-trading-env": (64, 15), "FinRL numpy": (64, 20), "TorchTrade, 1024 lanes": (1024, 5)}
OTHERS = Path(__file__).parent / "others" / "trading_environments.py"


def best(steps: int, play: Callable[[], object]) -> float:
    """Return the most steps a second of processor time in some rounds of ``steps`` each."""
    shortest = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        play()
        shortest = min(shortest, time.process_time() - start)
    return steps / shortest


def compiled(tape: Tape, lanes: int) -> float:
    """Measure ``Lanes``."""
    actions = drawn(lanes)
    window = (tape.warm_up, len(tape))
    env = Lanes(
        *(tape, TradingRules(), ControllerRules()),
        window=window,
        count=lanes,
        capacity=len(actions),
        seed=1,
    )

    def play() -> None:
        env.clear_trace()
        for chosen in actions:
            env.step(chosen)

    return best(actions.size, play)


def drawn(lanes: int) -> Int64:
    """Return random actions for about 50,000 steps."""
    steps = min(5_000, max(50, 50_000 // lanes))
    return np.random.default_rng(1).integers(0, 9, (steps, lanes))


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


def others(python: str) -> dict[str, float]:
    """Measure the environments of others with the interpreter that has them."""
    done = subprocess.run([python, str(OTHERS)], check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - the caller names the interpreter
    speeds: dict[str, float] = json.loads(done.stdout)
    return speeds


def main() -> int:
    """Print the table; exit with 1 when a figure is below its requirement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--others", metavar="PYTHON", help="interpreter with other environments")
    parser.add_argument("--plain", action="store_true", help="measure plain numpy too")
    options = parser.parse_args()
    start = time.perf_counter()
    tape = tape_of(simulate(["UP", "DOWN"], BARS, 1).bars, TradingRules())
    compiled(tape, 1)
    print(f"ready after {time.perf_counter() - start:.1f} s, compiling included if it was needed")
    ours = {lanes: compiled(tape, lanes) for lanes in LIMITS}
    missed = 0
    for lanes, limit in LIMITS.items():
        missed += ours[lanes] < limit
        print(f"stairways, {lanes:5,} lanes   {ours[lanes]:12,.0f} steps/s   wanted {limit:10,}")
        if options.plain:
            print(f"numpy,     {lanes:5,} lanes   {plain(tape, lanes):12,.0f} steps/s, money only")
    for name, speed in others(options.others).items() if options.others else ():
        lanes, wanted = RATIOS[name]
        missed += ours[lanes] < wanted * speed
        print(f"{name:24} {speed:12,.0f} steps/s   {ours[lanes] / speed:5.1f} x   wanted {wanted}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
