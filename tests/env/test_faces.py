"""The Gymnasium face and the stable-baselines3 face of the same arrays."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import stable_baselines3.common.env_checker
import torch
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import PPO

from stairways.core.ledger import TradingRules
from stairways.env.gym import NAME, TRAINED, TradingEnv
from stairways.env.lanes import Lanes
from stairways.env.tape import tape_of
from stairways.env.vector import LanesVecEnv
from stairways.market.bars import Bars

MakeBars = Callable[..., Bars]
RULES = TradingRules(episode_length=25)


def lanes_on(bars: Bars, count: int, capacity: int = 100) -> Lanes:
    return Lanes(
        tape_of(bars, RULES),
        RULES,
        TRAINED,
        window=(60, len(bars)),
        count=count,
        capacity=capacity,
        seed=np.random.Generator(np.random.PCG64(5)),
    )


@pytest.mark.parametrize("symbols", [1, 2, 3, 10])
@pytest.mark.parametrize("check", [check_env, stable_baselines3.common.env_checker.check_env])
def test_the_environment_passes_the_checks_of_gymnasium_and_stable_baselines3(
    wander: MakeBars, check: Callable[[Any], None], symbols: int
) -> None:
    env = gymnasium.make(NAME, bars=wander(300, symbols, 1)).unwrapped
    check(env)


def test_it_can_be_made_by_name_alone_and_says_that_its_bars_are_simulated() -> None:
    env = gymnasium.make("stairways.env.gym:" + NAME)
    _, facts = env.reset(seed=1)
    assert facts["simulated"]
    assert env.action_space == spaces.Discrete(9)
    assert env.observation_space.shape == (26,)


IN_A_FRESH_PROCESS = {
    "by its module": "env = gymnasium.make('stairways.env.gym:stairways/Trading-v0')",
    "after an import": "import stairways.env.gym; env = gymnasium.make('stairways/Trading-v0')",
    "in gymnasium's own way": "import stairways.env.gym as ours; gymnasium.register_envs(ours); "
    "env = gymnasium.make('stairways/Trading-v0')",
}


@pytest.mark.parametrize("way", sorted(IN_A_FRESH_PROCESS))
def test_a_fresh_process_makes_it_without_a_warning(way: str) -> None:
    """Gymnasium 1 looks for no entry points of packages any more: somebody has to import it."""
    script = f"import gymnasium; {IN_A_FRESH_PROCESS[way]}; env.reset(seed=1); print(env.spec.id)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, NAME, "")


def test_other_numbers_of_symbols_have_one_choice_for_each(wander: MakeBars) -> None:
    for symbols in (1, 3, 10):
        env = TradingEnv(wander(300, symbols, 1))
        assert env.action_space == spaces.MultiDiscrete([3] * symbols)
        assert env.observation_space.shape == (13 * symbols,)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_reset_with_the_same_seed_gives_the_same_start(wander: MakeBars, seed: int) -> None:
    env = TradingEnv(wander(300, 2, 1), trading=RULES)
    first, facts = env.reset(seed=seed)
    env.step(np.array(8))
    again, same = env.reset(seed=seed)
    assert first.tobytes() == again.tobytes()
    assert facts == same


def test_a_step_before_a_reset_is_refused(wander: MakeBars) -> None:
    with pytest.raises(gymnasium.error.ResetNeeded):
        TradingEnv(wander(300, 2, 1)).step(np.array(4))


@pytest.mark.parametrize("symbols", [1, 2, 3, 10])
def test_both_faces_and_the_lanes_give_the_same_trace(wander: MakeBars, symbols: int) -> None:
    bars = wander(300, symbols, 1)
    env, lanes = TradingEnv(bars, trading=RULES), lanes_on(bars, 1)
    faced = LanesVecEnv(lanes_on(bars, 1))
    start, _ = env.reset(seed=5)
    assert start.tobytes() == np.asarray(faced.reset()).tobytes() == lanes.observations[0].tobytes()
    generator = np.random.default_rng(2)
    for _ in range(100):
        digits = generator.integers(0, 3, symbols)
        code = int(digits @ 3 ** np.arange(symbols - 1, -1, -1))
        chosen = np.array(code) if symbols == 2 else digits
        seen, reward, terminated, truncated, facts = env.step(chosen)
        outcome = lanes.step(np.array([code]))
        several, rewards, done, infos = faced.step(chosen[None])

        over = terminated or truncated
        last = outcome.final_observations if over else outcome.observations
        assert seen.tobytes() == last[0].tobytes()
        assert np.asarray(several).tobytes() == outcome.observations.tobytes()
        assert reward == outcome.rewards[0]
        assert rewards[0] == np.float32(reward)
        assert (terminated, truncated) == (outcome.terminated[0], outcome.truncated[0])
        assert done[0] == over
        assert facts["equity"] == lanes.trace.steps["equity"][-1, 0]
        assert facts["position"] == lanes.trace.orders["position"][-1, 0].tolist()
        if over:
            assert infos[0]["terminal_observation"].tobytes() == seen.tobytes()
            assert infos[0]["TimeLimit.truncated"] is truncated
            env.reset()


def test_termination_and_truncation_are_never_confused(
    make_bars: MakeBars, free: TradingRules
) -> None:
    falling = make_bars(np.linspace(10**8, 10**7, 120).astype(int))
    env = TradingEnv(falling, trading=TradingRules(lot_fraction=1.0, hard_stop=0.2))
    env.reset(seed=1)
    ends = [env.step(np.array([2]))[2:4] for _ in range(40)]
    assert (True, False) in ends
    assert (True, True) not in ends
    patient = TradingEnv(falling, trading=free)
    patient.reset(seed=1)
    ends = [patient.step(np.array([1]))[2:4] for _ in range(30)]
    assert ends == [(False, False)] * 29 + [(False, True)]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keep torch from fighting over processors with other tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_ppo_learns_on_the_vector_face(wander: MakeBars) -> None:
    faced = LanesVecEnv(lanes_on(wander(300, 3, 1), 4))
    model = PPO("MlpPolicy", faced, n_steps=8, batch_size=32, n_epochs=1, device="cpu")
    model.learn(64)
    assert model.num_timesteps == 64


def test_the_vector_face_answers_what_is_asked_of_environments(wander: MakeBars) -> None:
    faced = LanesVecEnv(lanes_on(wander(300, 2, 1), 3))
    assert faced.get_attr("taken") == [0, 0, 0]
    assert faced.env_method("state", indices=[1])[0].keys() == faced.lanes.state().keys()
    assert faced.env_is_wrapped(gymnasium.Wrapper) == [False] * 3
    assert faced.seed(3) == [None] * 3
    with pytest.raises(NotImplementedError, match="lanes have methods"):
        faced.set_attr("taken", 1)
    faced.close()
