"""Measure trading environments of others; prints JSON.

It needs what is in ``requirements.txt`` on its path, without what those packages require, and
leaves out what is not there. Only the modules measured are loaded, because the packages import
brokers' clients that nobody needs for a bench.
"""

import importlib
import importlib.util
import json
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BARS = 4_000
ROUNDS = 15


def best(steps: int, play: Callable[[], object]) -> float:
    """Return the most steps a second of processor time in some rounds of ``steps`` each."""
    shortest = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        play()
        shortest = min(shortest, time.process_time() - start)
    return steps / shortest


def wandering() -> Any:  # noqa: ANN401 - a data frame of a library we do not depend on
    """Return hourly bars with the two features that gym-trading-env wants."""
    pandas = importlib.import_module("pandas")
    moves = np.random.default_rng(1).normal(0, 0.02, BARS)
    close = 100 * np.exp(np.cumsum(moves))
    frame = pandas.DataFrame(
        {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close},
        index=pandas.date_range("2020-01-01", periods=BARS, freq="1h"),
    )
    return frame.assign(volume=1000.0, feature_return=moves, feature_level=close / 100)


def gym_trading_env() -> float:
    """Measure the environment of gym-trading-env, one lane, one symbol."""
    environments = importlib.import_module("gym_trading_env.environments")
    env = environments.TradingEnv(
        df=wandering(), positions=[-1, 0, 1], trading_fees=0.0001, verbose=0
    )
    actions = np.random.default_rng(2).integers(0, 3, BARS - 10).tolist()

    def play() -> None:
        env.reset(seed=1)
        for action in actions:
            env.step(action)

    return best(len(actions), play)


def finrl() -> float:
    """Measure FinRL's numpy environment, one lane, two symbols."""
    found = importlib.util.find_spec("finrl")
    folder = Path((found.submodule_search_locations or [""])[0] if found else "")
    file = folder / "meta/env_stock_trading/env_stocktrading_np.py"
    spec = importlib.util.spec_from_file_location("env_stocktrading_np", file)
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    generator = np.random.default_rng(1)
    prices = 100 * np.exp(np.cumsum(generator.normal(0, 0.02, (BARS, 2)), axis=0))
    config = {
        "price_array": prices,
        "tech_array": generator.normal(0, 1, (BARS, 24)),
        "turbulence_array": np.zeros(BARS),
        "if_train": True,
    }
    env = module.StockTradingEnv(config, initial_stocks=np.zeros(2, np.float32))
    actions = generator.uniform(-1, 1, (BARS - 10, 2))

    def play() -> None:
        env.reset()
        for action in actions:
            env.step(action)

    return best(len(actions), play)


def torchtrade(lanes: int) -> float:
    """Measure TorchTrade's vectorised environment of one symbol."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    found = importlib.util.find_spec("torchtrade")
    root = Path((found.submodule_search_locations or [""])[0] if found else "")
    for package in ("torchtrade", "torchtrade.envs", "torchtrade.envs.offline"):
        bare = types.ModuleType(package)
        bare.__path__ = [str(root.joinpath(*package.split(".")[1:]))]
        sys.modules[package] = bare
    module = importlib.import_module("torchtrade.envs.offline.vectorized_sequential")
    warnings.simplefilter("ignore")  # its imports make warnings errors
    config = module.VectorizedSequentialTradingEnvConfig(
        num_envs=lanes, transaction_fee=0.0001, leverage=2, max_traj_length=1_000
    )
    frame = wandering().reset_index(names="timestamp")
    env = module.VectorizedSequentialTradingEnv(frame, config)
    state = env.reset()
    steps = max(20, 20_000 // lanes)
    actions = torch.randint(0, 3, (steps, lanes))

    def play() -> None:
        for action in actions:
            env.step(state.set("action", action))

    return best(steps * lanes, play)


def main() -> None:
    """Measure what is installed and print steps a second by name, 0 for what is not."""
    warnings.simplefilter("ignore")
    candidates: dict[str, Callable[[], float]] = {
        "gym-trading-env": gym_trading_env,
        "FinRL numpy": finrl,
        "TorchTrade, 1024 lanes": lambda: torchtrade(1024),
    }
    speeds = {}
    for name, measure in candidates.items():
        try:
            speeds[name] = measure()
        except ImportError as missing:
            sys.stderr.write(f"{name}: {missing}\n")
    sys.stdout.write(json.dumps(speeds) + "\n")


if __name__ == "__main__":
    main()
