"""The policy: SB3's actor-critic with a decision margin on the logit of hold.

The margin is a number beside the network, not a parameter of it: inside a rollout and the
update that follows it is constant, so PPO's probability ratios compare like with like.
"""

from typing import cast

import gymnasium
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy

from stairways.training.rules import PpoRules


class MarginPolicy(ActorCriticPolicy):
    """An actor-critic whose logits of hold are raised by ``margin`` before anything else.

    Logits come in groups, ``(n, g, k)``: for a pair one group of nine actions, otherwise one
    group of three for each symbol. Hold is the middle of a group.
    """

    margin: float = 0.0

    @property
    def options(self) -> int:
        """Return k, how many actions one choice has."""
        return 9 if isinstance(self.action_space, spaces.Discrete) else 3

    def logits(self, observations: torch.Tensor) -> torch.Tensor:
        """Return the network's own logits ``(n, g, k)``, without the margin."""
        flat = self.action_net(self.mlp_extractor.forward_actor(observations))
        return cast("torch.Tensor", flat.reshape(len(flat), -1, self.options))

    def values(self, observations: torch.Tensor) -> torch.Tensor:
        """Return the critic's value of each of ``(n, d)`` observations, shape ``(n,)``."""
        latent = self.mlp_extractor.forward_critic(observations)
        return cast("torch.Tensor", self.value_net(latent)).flatten()

    def with_margin(self, logits: torch.Tensor) -> torch.Tensor:
        """Return ``(…, k)`` logits with the margin added to hold."""
        raised = torch.zeros(self.options)
        raised[self.options // 2] = self.margin
        return logits + raised

    def _get_action_dist_from_latent(self, latent_pi: torch.Tensor) -> Distribution:
        flat = self.action_net(latent_pi)
        raised = self.with_margin(flat.reshape(len(flat), -1, self.options))
        return self.action_dist.proba_distribution(action_logits=raised.reshape(flat.shape))


def build_ppo(
    observation_space: spaces.Box,
    action_space: gymnasium.Space[object],
    rules: PpoRules,
    seed: int,
) -> PPO:
    """Return an SB3 PPO without an environment, its weights drawn from ``seed`` alone."""
    model = PPO(
        MarginPolicy,
        env=None,  # type: ignore[arg-type] # the lanes are stepped by the learner, not by SB3
        n_steps=rules.rollout,
        batch_size=rules.batch,
        n_epochs=rules.epochs,
        gamma=rules.discount,
        gae_lambda=rules.gae_lambda,
        clip_range=rules.clip,
        ent_coef=rules.entropy,
        vf_coef=rules.value,
        max_grad_norm=rules.gradient_norm,
        policy_kwargs={
            "net_arch": {"pi": list(rules.hidden), "vf": list(rules.hidden)},
            # torch.sqrt is not correctly rounded on every CPU; the fused step is
            "optimizer_kwargs": {"fused": True, "eps": 1e-5},
        },
        device="cpu",
        _init_setup_model=False,
    )
    model.observation_space, model.action_space = observation_space, action_space
    model.n_envs = rules.lanes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model._setup_model()  # noqa: SLF001 - SB3's way to build without an environment
    return model
