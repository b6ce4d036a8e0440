"""Which margin makes a policy hold at a given rate, from its own logits.

For one observation let δ be how far hold lies behind: the deterministic policy holds when
the margin is at least δ, so the quantile of δ at the target is the base margin (domain
definition, section 5). A sampled action follows the same law with logistic noise on δ.
All arithmetic is torch's, whose results the reproducible mode pins on every CPU.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from stairways.core.controller import ControllerRules, decision_margin, margin_reach
from stairways.env.tape import Tape
from stairways.errors import TrainingFailedError

Combine = Callable[[torch.Tensor], torch.Tensor]

WIDEST_MARGIN = 60.0
BISECTIONS = 80
ROWS = 512


@dataclass(frozen=True, slots=True)
class Calibration:
    """The margin that gives the target, and the spread that one unit of control is worth."""

    base: float
    spread: float

    def margin(self, output: float, rules: ControllerRules) -> float:
        """Return the margin for the controller's output u: m = m0 + κ·s·u, or 0 if unused."""
        return decision_margin(self.base, self.spread, output, rules) if rules.use_margin else 0.0

    def reach(self, rules: ControllerRules) -> float:
        """Return by how many logits the controller can move the margin either way."""
        return margin_reach(self.spread, rules) if rules.use_margin else 0.0


def decided(logits: torch.Tensor, target: float) -> Calibration:
    """Calibrate a policy that takes its best action, on ``(n, g, k)`` logits.

    The base margin is the order statistic whose share of all n is nearest to the target.
    """
    behind = _per_symbol(logits, _best_other).max(dim=1).values
    held = max(1, round(target * len(behind)))
    base = behind.kthvalue(held).values.item()
    return Calibration(base, behind.std().item())


def sampled(logits: torch.Tensor, target: float) -> Calibration:
    """Calibrate a policy that samples its action, on ``(n, g, k)`` logits.

    Solves mean Π sigmoid(m - δ) = target for m by bisection; the spread is that of δ plus the
    logistic noise of sampling, sqrt(var δ + π²/3).
    """
    behind = _per_symbol(logits, _other_mass)
    low, high = -WIDEST_MARGIN, WIDEST_MARGIN
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        held = torch.sigmoid(middle - behind).prod(dim=1).mean().item()
        low, high = (middle, high) if held < target else (low, middle)
    spread = math.sqrt(behind.max(dim=1).values.var().item() + math.pi**2 / 3)
    return Calibration((low + high) / 2, spread)


def observations(tape: Tape, window: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return observations spread over ``window`` in which every mix of positions occurs.

    Positions are made up (short, flat, long in turn), so that the calibration depends on
    nothing but the bars and the policy.
    """
    rows = np.unique(np.linspace(window[0], window[1] - 1, ROWS).astype(np.int64))
    turns = np.arange(len(rows))[:, None] // 3 ** np.arange(len(tape.symbols))[None, :]
    return np.hstack([tape.features[rows], (turns % 3 - 1).astype(np.float32)])


def _best_other(others: torch.Tensor) -> torch.Tensor:
    return others.max(dim=-1).values


def _other_mass(others: torch.Tensor) -> torch.Tensor:
    return torch.logsumexp(others, dim=-1)


def _per_symbol(logits: torch.Tensor, combine: Combine) -> torch.Tensor:
    """Return δ of each observation and group, ``(n, g)``; hold is the middle action.

    Raises ``TrainingFailedError`` for a policy that has no finite logits any more.
    """
    if not torch.isfinite(logits).all():
        raise TrainingFailedError(
            "The policy's logits are not finite any more; lower the learning rate."
        )
    real, hold = logits.double(), logits.shape[-1] // 2
    others = torch.cat([real[..., :hold], real[..., hold + 1 :]], dim=-1)
    return combine(others) - real[..., hold]
