"""The Gymnasium face of one lane: ``gymnasium.make("stairways/Trading-v0")``.

Import this module first, or let Gymnasium do it by asking for
``stairways.env.gym:stairways/Trading-v0``.
"""

from typing import Any, cast

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from stairways.core.controller import HIGHEST_TARGET, ControllerRules
from stairways.core.ledger import TradingRules
from stairways.env.lanes import Lanes
from stairways.env.spaces import FEATURES, PAIR, action_space
from stairways.env.tape import tape_of
from stairways.features import LARGEST
from stairways.market.bars import Bars
from stairways.market.simulation import simulate

NAME = "stairways/Trading-v0"
SIMULATED_ROWS = 1_500
TRAINED = ControllerRules(make_up=0.0)
"""The controller where a policy learns: it does not make up for decisions long past."""

Observation = npt.NDArray[np.float32]
Action = npt.NDArray[np.int64]
Facts = dict[str, Any]


def bounded_space(symbols: int) -> spaces.Box:
    """Return the observation space with the bounds that are kept: features ±5, positions ±1."""
    high = np.ones((FEATURES + 1) * symbols, np.float32)
    high[: FEATURES * symbols] = LARGEST
    return spaces.Box(-high, high, dtype=np.float32)


def codes(actions: npt.ArrayLike, symbols: int) -> Action:
    """Return actions of either space as lanes take them: base 3, first symbol highest."""
    chosen = np.asarray(actions, np.int64)
    if symbols == PAIR:
        return chosen.reshape(-1)
    return chosen.reshape(-1, symbols) @ 3 ** np.arange(symbols - 1, -1, -1)


class TradingEnv(gymnasium.Env[Observation, Action]):
    """One lane that trades ``bars``, or simulated ones of a pair when none are given.

    ``window`` are the rows it may trade, all after the warm-up by default; ``target`` is
    the hold rate the controller steers to by its bonus. A seed given to ``reset`` starts
    everything over, the controller too; without one only the episode is new. ``info``
    names the facts of the step.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own declaration

    def __init__(
        self,
        bars: Bars | None = None,
        *,
        trading: TradingRules | None = None,
        control: ControllerRules | None = None,
        window: tuple[int, int] | None = None,
        target: float = HIGHEST_TARGET,
        render_mode: str | None = None,
    ) -> None:
        self.bars = bars or simulate(("UP", "DOWN"), SIMULATED_ROWS, 0).bars
        self.trading, self.control = trading or TradingRules(), control or TRAINED
        self.tape = tape_of(self.bars, self.trading)
        self.window = window or (self.tape.warm_up, len(self.tape))
        symbols = len(self.bars.symbols)
        self.target, self.render_mode = target, render_mode
        self.observation_space = cast("gymnasium.Space[Observation]", bounded_space(symbols))
        self.action_space = action_space(symbols)
        self.lanes: Lanes | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Facts]:
        """Start an episode; see the class for what a seed does."""
        super().reset(seed=seed, options=options)
        if self.lanes is None or seed is not None:
            self.lanes = self._made()
        elif not self.lanes.is_fresh:
            self.lanes.reset()
        facts = {"row": int(self.lanes.rows[0]), "simulated": self.bars.simulated}
        return self.lanes.observations[0].copy(), facts

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, Facts]:
        """Take one step and return observation, reward in basis points, and how it ended."""
        if self.lanes is None:
            raise gymnasium.error.ResetNeeded("reset the environment before its first step")
        lanes = self.lanes
        lanes.clear_trace()
        seen = lanes.step(codes(action, len(self.tape.symbols)))
        terminated, truncated = bool(seen.terminated[0]), bool(seen.truncated[0])
        shown = seen.final_observations if terminated or truncated else seen.observations
        return shown[0].copy(), float(seen.rewards[0]), terminated, truncated, facts_of(lanes, 0)

    def _made(self) -> Lanes:
        lanes = Lanes(
            self.tape,
            self.trading,
            self.control,
            window=self.window,
            count=1,
            capacity=1,
            seed=self.np_random,
        )
        lanes.set_target(self.target)
        return lanes


def facts_of(lanes: Lanes, lane: int) -> Facts:
    """Return every fact of the last step of a lane by its name; by symbol as lists."""
    steps, orders = lanes.trace
    step, order = steps[-1, lane], orders[-1, lane]
    named = {name: step[name].item() for name in steps.dtype.names or ()}
    return named | {name: order[name].tolist() for name in orders.dtype.names or ()}


if NAME not in gymnasium.registry:
    gymnasium.register(id=NAME, entry_point="stairways.env.gym:TradingEnv")
