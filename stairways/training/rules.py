"""Settings of the learner. Importing them does not import torch."""

from dataclasses import dataclass

MOST_STEPS = 1_000_000
"""Environment steps of one rollout that are kept in memory until they are learned from."""

MOST_LAYERS, MOST_UNITS = 8, 1_024
"""How large a policy may be: it is kept whole in memory, and in the log with every update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoRules:
    """Hyper-parameters of PPO (setting section ``ppo``; defaults: domain definition, section 7).

    ``lanes * rollout`` environment steps are learned from at a time; they must divide the
    steps of a cycle, so that no step is trained on that is not counted.
    """

    lanes: int = 8
    rollout: int = 75  # steps of each lane between two updates
    batch: int = 60
    epochs: int = 10
    discount: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    entropy: float = 0.01
    value: float = 0.5
    gradient_norm: float = 0.5
    hidden: tuple[int, ...] = (64, 64)
    reward_scale: float = 0.01  # the learner sees percent of equity, the log basis points

    def __post_init__(self) -> None:
        if min(self.lanes, self.rollout, self.batch, self.epochs) < 1:
            raise ValueError("lanes, rollout, batch and epochs must be positive")
        if self.steps > MOST_STEPS:
            raise ValueError(f"lanes * rollout is {self.steps:,}; at most {MOST_STEPS:,} fit")
        if (self.lanes * self.rollout) % self.batch:
            raise ValueError("batch must divide lanes * rollout, or some steps weigh more")
        if not 0 < self.discount <= 1 or not 0 <= self.gae_lambda <= 1 or self.clip <= 0:
            raise ValueError("discount, gae_lambda and clip are out of range")
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError("hidden needs at least one layer of at least one unit")
        if len(self.hidden) > MOST_LAYERS or max(self.hidden) > MOST_UNITS:
            raise ValueError(f"hidden may have {MOST_LAYERS} layers of {MOST_UNITS} units at most")

    @property
    def steps(self) -> int:
        """Return the environment steps of one rollout over all lanes."""
        return self.lanes * self.rollout
