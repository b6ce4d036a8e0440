"""Models as others read them: parameters alone, or an archive of stable-baselines3."""

import io
from collections.abc import Mapping

import gymnasium
import numpy as np
import safetensors.numpy
import torch
from gymnasium import spaces
from stable_baselines3 import PPO

from stairways.env.spaces import action_space, observation_space
from stairways.training.rules import PpoRules
from stairways.training.state import PARAMETER, Arrays, State, stripped

HOLD_BIAS = "action_net.bias"
TIE = 2e-6
"""The base margin is that of one calibration bar, where hold ties and wins; rounding in
another order must not undo that, so the exported margin is larger by this share."""


def parameters_of(state: State) -> Arrays:
    """Return the parameters of the network in a captured state, by name."""
    return stripped(PARAMETER, state.arrays)


def safetensors_of(parameters: Arrays) -> bytes:
    """Return parameters alone as safetensors: the bytes their recorded digest names."""
    return safetensors.numpy.save(parameters)


def archive_of(parameters: Arrays, margin: float, rules: PpoRules, symbols: int) -> bytes:
    """Return an archive that plain ``PPO.load`` reads and that acts as the policy does.

    The decision margin becomes a part of the bias of every hold logit, so the archive needs
    no class of ours. The learning rate in it means nothing: it is for acting, not to go on.
    """
    model = _plain_ppo(observation_space(symbols), action_space(symbols), rules)
    folded = with_margin(parameters, margin, symbols)
    model.policy.load_state_dict({n: torch.from_numpy(a) for n, a in folded.items()})
    content = io.BytesIO()
    model.save(content)
    return content.getvalue()


def with_margin(parameters: Mapping[str, np.ndarray], margin: float, symbols: int) -> Arrays:
    """Return the parameters with ``margin`` added to the bias of hold in every group."""
    bias = parameters[HOLD_BIAS].copy()
    groups = bias.reshape(-1, 9 if isinstance(action_space(symbols), spaces.Discrete) else 3)
    raised = margin + TIE * (1.0 + abs(margin)) if margin else 0.0
    groups[:, groups.shape[1] // 2] += np.float32(raised)
    return {**parameters, HOLD_BIAS: bias}


def _plain_ppo(observations: spaces.Box, actions: gymnasium.Space[object], rules: PpoRules) -> PPO:
    """Return SB3's own PPO with ``MlpPolicy`` and these spaces, without an environment."""
    hidden = {"pi": list(rules.hidden), "vf": list(rules.hidden)}
    model = PPO(
        "MlpPolicy",
        env=None,  # type: ignore[arg-type] # whoever loads the archive brings one
        n_steps=rules.rollout,
        batch_size=rules.batch,
        n_epochs=rules.epochs,
        gamma=rules.discount,
        gae_lambda=rules.gae_lambda,
        policy_kwargs={"net_arch": hidden},
        device="cpu",
        _init_setup_model=False,
    )
    model.observation_space, model.action_space = observations, actions
    model.n_envs = rules.lanes
    with torch.random.fork_rng(devices=[]):
        model._setup_model()  # noqa: SLF001 - SB3's way to build without an environment
    return model
