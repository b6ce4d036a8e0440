"""PPO on lanes: collect a rollout, and learn from it.

The algorithm, network, optimiser and advantage estimate are SB3's. The two loops are ours
because SB3's call the critic at every step, draw from global generators and do not tell the
norm of the gradient. ``improve`` gives the same bits as ``PPO.train`` for the same
minibatches; a test holds it to that.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.spaces import Discrete
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.utils import explained_variance
from torch.nn import functional

from stairways.env.lanes import Lanes
from stairways.errors import TrainingFailedError
from stairways.training.policy import MarginPolicy
from stairways.training.rules import PpoRules

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rollout:
    """What a policy did on n steps of L lanes; every array is ``(n, L, …)``."""

    observations: Float32  # (n, L, d)
    choices: Int64  # (n, L, g): one of nine for the pair, else one of three a symbol
    log_probabilities: Float32
    values: Float32
    rewards: Float64  # basis points of equity, as recorded
    terminated: Bool
    truncated: Bool
    final_values: Float32  # of the state a truncated episode stopped in, else 0
    last_values: torch.Tensor  # (L,)
    hold: int  # the choice that means hold

    @property
    def hold_rate(self) -> float:
        """Return the share of decisions that left every position alone."""
        return float((self.choices == self.hold).all(axis=-1).mean())


@dataclass(frozen=True, slots=True)
class Update:
    """What an update did, averaged over its minibatches."""

    policy_loss: float
    value_loss: float
    entropy: float
    approximate_kl: float
    clip_fraction: float
    explained_variance: float
    gradient_norm: float


class Learner:
    """A PPO policy, its optimiser and the two generators that training draws from."""

    def __init__(
        self,
        model: PPO,
        rules: PpoRules,
        sampling: np.random.Generator,
        shuffling: np.random.Generator,
    ) -> None:
        self.model = model
        self.rules = rules
        self.sampling = sampling
        self.shuffling = shuffling

    @property
    def policy(self) -> MarginPolicy:
        """Return the policy, margin included."""
        policy = self.model.policy
        assert isinstance(policy, MarginPolicy)  # noqa: S101 - build_ppo made it
        return policy

    @property
    def buffer(self) -> RolloutBuffer:
        """Return SB3's rollout buffer, which estimates the advantages."""
        return self.model.rollout_buffer

    def set_learning_rate(self, rate: float) -> None:
        """Use ``rate`` from the next update on."""
        for group in self.policy.optimizer.param_groups:
            group["lr"] = rate

    def parameters(self) -> Float32:
        """Return all parameters as one vector, in the order of the network."""
        vector = torch.nn.utils.parameters_to_vector(self.policy.parameters())
        return vector.detach().numpy().copy()

    def logits(self, observations: Float32) -> torch.Tensor:
        """Return the policy's own logits of ``(n, d)`` observations."""
        with torch.no_grad():
            return self.policy.logits(torch.from_numpy(observations))

    def collect(self, lanes: Lanes) -> Rollout:
        """Step all lanes for one rollout with sampled actions; the policy stays as it is.

        The trace of ``lanes`` must be empty; it has the facts of every step afterwards.
        """
        seen = np.zeros((self.rules.rollout, *lanes.observations.shape), np.float32)
        final = np.zeros_like(seen)
        choices, log_probabilities = [], []
        with torch.no_grad():
            for step in range(self.rules.rollout):
                seen[step] = lanes.observations
                choice, taken = self._sample(seen[step], self.sampling)
                choices.append(choice)
                log_probabilities.append(taken)
                final[step] = lanes.step(action_codes(choice)).final_observations
            chosen = np.stack(choices), torch.stack(log_probabilities).numpy()
            return self._rollout(lanes, seen, final, *chosen)

    def rehearse(self, lanes: Lanes, draws: np.random.Generator) -> Float32:
        """Return what the next rollout would see if it drew from ``draws``, ``(n L, d)``.

        Nothing remembers it: the lanes stand where they stood, and no generator of the learner
        has moved. The trace of ``lanes`` must be empty, and is.
        """
        before = lanes.state()
        seen = np.zeros((self.rules.rollout, *lanes.observations.shape), np.float32)
        with torch.no_grad():
            for step in range(self.rules.rollout):
                seen[step] = lanes.observations
                lanes.step(action_codes(self._sample(seen[step], draws)[0]))
        lanes.restore(before)
        return seen.reshape(-1, seen.shape[-1])

    def improve(self, rollout: Rollout) -> Update:
        """Learn from ``rollout``; raises ``TrainingFailedError`` when a loss is not finite."""
        self._fill_buffer(rollout)
        flat = _flatten(self.buffer)
        rows = []
        for _ in range(self.rules.epochs):
            order = self.shuffling.permutation(len(flat[0]))
            for start in range(0, len(order), self.rules.batch):
                chosen = torch.from_numpy(order[start : start + self.rules.batch])
                rows.append(self._minibatch(*(array[chosen] for array in flat)))
        return self._summary(rows)

    def _sample(
        self, observation: Float32, draws: np.random.Generator
    ) -> tuple[Int64, torch.Tensor]:
        """Return a sampled choice for each lane and the log-probability of all of them."""
        logits = self.policy.with_margin(self.policy.logits(torch.from_numpy(observation)))
        log_probabilities = torch.log_softmax(logits, dim=-1)
        choice = draw(log_probabilities.exp().numpy(), draws)
        taken = log_probabilities.gather(-1, torch.from_numpy(choice)[..., None])
        return choice, taken.squeeze(-1).sum(dim=-1)

    def _rollout(
        self,
        lanes: Lanes,
        seen: Float32,
        final: Float32,
        choices: Int64,
        log_probabilities: Float32,
    ) -> Rollout:
        """Ask the critic once for the whole rollout and put everything in arrays."""
        steps = lanes.trace.steps
        truncated = steps["truncated"].copy()
        finals = np.zeros(truncated.shape, dtype=np.float32)
        finals[truncated] = self.policy.values(torch.from_numpy(final[truncated])).numpy()
        values = self.policy.values(torch.from_numpy(seen.reshape(-1, seen.shape[-1])))
        return Rollout(
            observations=seen,
            choices=choices,
            log_probabilities=log_probabilities,
            values=values.numpy().reshape(truncated.shape),
            rewards=steps["reward"].copy(),
            terminated=steps["terminated"].copy(),
            truncated=truncated,
            final_values=finals,
            last_values=self.policy.values(torch.from_numpy(lanes.observations.copy())),
            hold=self.policy.options // 2,
        )

    def _fill_buffer(self, rollout: Rollout) -> None:
        """Hand the rollout to SB3's buffer and let it estimate the advantages."""
        buffer, done = self.buffer, rollout.terminated | rollout.truncated
        rewards = rollout.rewards * self.rules.reward_scale
        buffer.observations[:] = rollout.observations
        buffer.actions[:] = rollout.choices
        buffer.rewards[:] = rewards + self.rules.discount * rollout.final_values
        buffer.values[:] = rollout.values
        buffer.log_probs[:] = rollout.log_probabilities
        buffer.episode_starts[1:] = done[:-1]
        buffer.compute_returns_and_advantage(rollout.last_values, done[-1])

    def _minibatch(
        self,
        observations: torch.Tensor,
        choices: torch.Tensor,
        old: torch.Tensor,
        advantages: torch.Tensor,
        returns: torch.Tensor,
    ) -> tuple[float, ...]:
        """Take one optimiser step on PPO's clipped objective (Schulman et al. 2017)."""
        discrete = isinstance(self.model.action_space, Discrete)  # whose actions SB3 wants flat
        actions = choices.long().flatten() if discrete else choices.long()
        values, taken, entropy = self.policy.evaluate_actions(observations, actions)
        assert entropy is not None  # noqa: S101 - categorical distributions know theirs
        normal = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        ratio = torch.exp(taken - old)
        clipped = torch.clamp(ratio, 1 - self.rules.clip, 1 + self.rules.clip)
        policy_loss = -torch.min(normal * ratio, normal * clipped).mean()
        value_loss = functional.mse_loss(returns, values.flatten())
        loss = policy_loss + self.rules.entropy * -entropy.mean() + self.rules.value * value_loss
        norm = self._descend(loss)
        with torch.no_grad():
            kl = ((ratio - 1) - (taken - old)).mean()
            cut = ((ratio - 1).abs() > self.rules.clip).float().mean()
        row = torch.stack([policy_loss, value_loss, entropy.mean(), kl, cut, norm])
        return tuple(row.tolist())

    def _descend(self, loss: torch.Tensor) -> torch.Tensor:
        """Step the optimiser down ``loss`` and return the norm of the gradient before clipping."""
        if not torch.isfinite(loss):
            raise TrainingFailedError(
                f"The loss is {loss.item()}; lower the learning rate or look at the bars."
            )
        self.policy.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.rules.gradient_norm)
        self.policy.optimizer.step()
        return norm

    def _summary(self, rows: list[tuple[float, ...]]) -> Update:
        policy_loss, value_loss, entropy, kl, cut, norm = np.mean(rows, axis=0).tolist()
        explained = float(
            explained_variance(self.buffer.values.flatten(), self.buffer.returns.flatten())
        )
        return Update(
            policy_loss=policy_loss,
            value_loss=value_loss,
            entropy=entropy,
            approximate_kl=kl,
            clip_fraction=cut,
            explained_variance=explained if np.isfinite(explained) else 0.0,
            gradient_norm=norm,
        )


def draw(probabilities: Float32, generator: np.random.Generator) -> Int64:
    """Return for each ``(n, g)`` row of ``(n, g, k)`` probabilities an index drawn from it.

    Inverse transform on a running sum, which every CPU adds up in the same order.
    """
    heights = np.cumsum(probabilities, axis=-1, dtype=np.float64)
    level = generator.random(heights.shape[:-1]) * heights[..., -1]
    chosen: Int64 = (heights[..., :-1] <= level[..., None]).sum(axis=-1)
    return chosen


def action_codes(choices: Int64) -> Int64:
    """Return ``(n, g)`` choices as one action number a lane, base 3, first symbol highest."""
    count = choices.shape[1]
    codes: Int64 = choices @ (3 ** np.arange(count - 1, -1, -1, dtype=np.int64))
    return codes


def _flatten(buffer: RolloutBuffer) -> tuple[torch.Tensor, ...]:
    """Return observations, choices, old log-probabilities, advantages, returns by sample."""
    names = ("observations", "actions", "log_probs", "advantages", "returns")
    arrays = (RolloutBuffer.swap_and_flatten(getattr(buffer, name)) for name in names)
    columns = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    return columns[0], columns[1], *(column.flatten() for column in columns[2:])
