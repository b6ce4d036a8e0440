"""What a policy sees and does, as Gymnasium spaces."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from stairways.errors import SpaceMismatchError

FEATURES = 12
PAIR = 2


def observation_space(symbols: int) -> spaces.Box:
    """Return 12 features of each symbol, then each position as a share of its limit."""
    return spaces.Box(-np.inf, np.inf, ((FEATURES + 1) * symbols,), np.float32)


def action_space(symbols: int) -> gymnasium.Space[Any]:
    """Return ``Discrete(9)`` for a pair and ``MultiDiscrete([3] * N)`` otherwise."""
    return spaces.Discrete(9) if symbols == PAIR else spaces.MultiDiscrete([3] * symbols)


def check_spaces(symbols: int, observation: spaces.Space[Any], action: spaces.Space[Any]) -> None:
    """Raise ``SpaceMismatchError`` unless a model's spaces are those of ``symbols`` symbols."""
    wanted = (observation_space(symbols), action_space(symbols))
    if (observation, action) != wanted:
        raise SpaceMismatchError(
            f"The model sees {observation} and does {action}; these bars need "
            f"{wanted[0]} and {wanted[1]}. Use a model made for {symbols} symbols."
        )
