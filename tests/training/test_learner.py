"""The learner is SB3's PPO: the same update to the last bit, and honest probabilities."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.logger import Logger

from stairways.env.lanes import Lanes
from stairways.env.spaces import action_space, observation_space
from stairways.env.tape import tape_of
from stairways.market.simulation import simulate
from stairways.service.stairway.climb import make_lanes
from stairways.service.stairway.plan import windows_of
from stairways.training import state as states
from stairways.training.calibration import decided, sampled
from stairways.training.evaluator import best
from stairways.training.learner import Learner, Rollout, action_codes, draw
from stairways.training.policy import build_ppo
from tests.small_run import small_plan


def learner_and_lanes(symbols: int) -> tuple[Learner, Lanes]:
    plan = small_plan()
    bars = simulate([f"S{i}" for i in range(symbols)], 600, seed=3).bars
    tape = tape_of(bars, plan.trading)
    model = build_ppo(observation_space(symbols), action_space(symbols), plan.ppo, seed=11)
    learner = Learner(model, plan.ppo, np.random.default_rng(1), np.random.default_rng(2))
    learner.policy.margin = 0.7
    windows = windows_of(bars, tape.warm_up, plan.programme)
    return learner, make_lanes(plan, tape, windows, 1)


def learner_and_rollout(symbols: int) -> tuple[Learner, Rollout]:
    learner, lanes = learner_and_lanes(symbols)
    return learner, learner.collect(lanes)


@pytest.mark.parametrize("symbols", [1, 2, 3])
def test_an_update_gives_the_same_bits_as_stock_ppo(
    symbols: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, rollout = learner_and_rollout(symbols)
    stock, _ = learner_and_rollout(symbols)
    for learner in (ours, stock):
        learner.set_learning_rate(3e-4)
    stock._fill_buffer(rollout)
    stock.buffer.full = True
    stock.model.set_logger(Logger(None, []))
    stock.model.learning_rate = 3e-4
    stock.model._setup_lr_schedule()
    monkeypatch.setattr(np.random, "permutation", np.random.default_rng(2).permutation)
    stock.model.train()
    ours.improve(rollout)
    assert np.array_equal(ours.parameters(), stock.parameters())


def test_the_probability_of_an_action_is_that_of_the_policy_with_its_margin() -> None:
    learner, rollout = learner_and_rollout(2)
    flat = torch.from_numpy(rollout.observations.reshape(-1, rollout.observations.shape[-1]))
    actions = torch.from_numpy(rollout.choices.reshape(-1))
    with torch.no_grad():
        values, logged, _ = learner.policy.evaluate_actions(flat, actions)
    assert np.allclose(rollout.log_probabilities.ravel(), logged.numpy(), atol=1e-6)
    assert np.allclose(rollout.values.ravel(), values.flatten().numpy(), atol=1e-5)


def test_a_rehearsal_sees_what_the_rollout_sees_and_leaves_nothing_behind() -> None:
    learner, lanes = learner_and_lanes(2)
    before = states.pack(states.capture(learner, lanes))
    seen = learner.rehearse(lanes, np.random.default_rng(1))
    assert states.pack(states.capture(learner, lanes)) == before
    assert not lanes.taken
    rollout = learner.collect(lanes)  # which draws from the same seed
    assert np.array_equal(seen, rollout.observations.reshape(seen.shape))


def test_a_margin_moves_the_hold_rate_of_sampled_actions_to_the_target() -> None:
    logits = torch.randn(4_000, 1, 9, generator=torch.Generator().manual_seed(0))
    calibration = sampled(logits, 0.7)
    logits[..., 4] += calibration.base
    chosen = draw(torch.softmax(logits, dim=-1).numpy(), np.random.default_rng(0))
    assert (chosen == 4).mean() == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize("shape", [(1, 9), (1, 3), (3, 3)])
@pytest.mark.parametrize("target", [0.4, 0.65, 0.75])
def test_a_margin_moves_the_hold_rate_of_best_actions_to_the_target(
    shape: tuple[int, int], target: float
) -> None:
    logits = torch.randn(2_000, *shape, generator=torch.Generator().manual_seed(1))
    calibration = decided(logits, target)
    hold = shape[1] // 2
    logits = logits.double()
    logits[..., hold] += calibration.base
    held = (best(logits) == hold).all(axis=-1).mean()
    assert held == pytest.approx(target, abs=0.5 / 2_000)


@given(st.lists(st.floats(0.0, 1.0, width=32), min_size=2, max_size=9), st.integers(0, 2**32))
def test_an_action_without_probability_is_never_drawn(weights: list[float], seed: int) -> None:
    if sum(weights) == 0:
        weights[0] = 1.0
    drawn = draw(np.array([[weights]], dtype=np.float32), np.random.default_rng(seed))
    assert weights[int(drawn[0, 0])] > 0


@given(st.integers(1, 10), st.integers(0, 2**32))
def test_choices_by_symbol_become_one_number_in_base_3(symbols: int, seed: int) -> None:
    digits = np.random.default_rng(seed).integers(0, 3, (1, symbols))
    assert action_codes(digits)[0] == int("".join(map(str, digits[0])), 3)
