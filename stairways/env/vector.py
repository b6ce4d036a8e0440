"""The stable-baselines3 face of many lanes: a ``VecEnv`` of the same arrays."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from stairways.env.gym import Action, Facts, Observation, bounded_space, codes
from stairways.env.lanes import Lanes
from stairways.env.spaces import action_space


class LanesVecEnv(VecEnv):
    """Lanes as stable-baselines3 steps them; rewards become its float32, the trace keeps ours.

    The trace is cleared by itself when it is full: read it in time, or do not need it.
    The seed is that of the lanes; ``seed`` therefore changes nothing.
    """

    def __init__(self, lanes: Lanes) -> None:
        symbols = len(lanes.tape.symbols)
        super().__init__(lanes.count, bounded_space(symbols), action_space(symbols))
        self.lanes = lanes
        self._chosen: Action = np.zeros(lanes.count, np.int64)

    def reset(self) -> Observation:
        """Return the observations of new episodes; lanes that have not moved stay."""
        if not self.lanes.is_fresh:
            self.lanes.reset()
        return self.lanes.observations.copy()

    def step_async(self, actions: np.ndarray) -> None:
        """Take note of the actions, ``(L,)`` for a pair and ``(L, N)`` otherwise."""
        self._chosen = codes(actions, len(self.lanes.tape.symbols))

    def step_wait(self) -> VecEnvStepReturn:
        """Take the step; what ended an episode and was seen last stands in its ``info``."""
        if self.lanes.taken == self.lanes.capacity:
            self.lanes.clear_trace()
        seen = self.lanes.step(self._chosen)
        done = seen.terminated | seen.truncated
        infos: list[Facts] = [{} for _ in range(self.num_envs)]
        for lane in np.flatnonzero(done).tolist():
            infos[lane] = {
                "terminal_observation": seen.final_observations[lane].copy(),
                "TimeLimit.truncated": bool(seen.truncated[lane]),
            }
        return seen.observations.copy(), seen.rewards.astype(np.float32), done, infos

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Return no seeds, as the lanes have theirs."""
        del seed
        return [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the lanes, once for each of ``indices``."""
        value = None if attr_name == "render_mode" else getattr(self.lanes, attr_name)
        return [value for _ in self._numbers(indices)]

    def set_attr(self, attr_name: str, value: object, indices: VecEnvIndices = None) -> None:
        """Refuse: lanes are changed by their own methods, all together."""
        raise NotImplementedError(f"set {attr_name} to {value} for {indices}: lanes have methods")

    def env_method(
        self,
        method_name: str,
        *method_args: object,
        indices: VecEnvIndices = None,
        **method_kwargs: object,
    ) -> list[Any]:
        """Call a method of the lanes once, and return its answer for each of ``indices``."""
        answer = getattr(self.lanes, method_name)(*method_args, **method_kwargs)
        return [answer for _ in self._numbers(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Return that no lane is wrapped in anything."""
        del wrapper_class
        return [False for _ in self._numbers(indices)]

    def _numbers(self, indices: VecEnvIndices) -> Iterable[int]:
        return self._get_indices(indices)
