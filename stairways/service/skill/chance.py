"""The draws that statistics are made of, for whoever measures and whoever measures again.

They come from the raw words of PCG-64, whose stream numpy promises never to change, because a
log must read the same under every later version.
"""

import numpy as np

from stairways.core.baselines import Float64
from stairways.core.bootstrap import Blocks, blocks_needed, blocks_of
from stairways.core.skill import SkillRules
from stairways.service.stairway.plan import generator_of

OF_TEST = 0
"""Stands for the cycle in draws about the test window; cycles count from 1."""


def uniforms(generator: np.random.Generator, *shape: int) -> Float64:
    """Return draws in [0, 1) with 53 bits each."""
    words = generator.bit_generator.random_raw(int(np.prod(shape)))
    draws: Float64 = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return draws.reshape(shape)


def of_policies(seed: int, cycle: int, count: int, rules: SkillRules) -> Float64:
    """Return the draws of the random policies over ``count`` bars, see ``baselines.paths``."""
    return uniforms(generator_of(seed, "baseline", cycle), 2, rules.random_policies, count)


def of_blocks(seed: int, cycle: int, count: int, rules: SkillRules) -> Blocks:
    """Return the resamples of ``count`` bars."""
    return _blocks(generator_of(seed, "bootstrap", cycle), count, rules)


def of_shared_blocks(count: int, rules: SkillRules) -> Blocks:
    """Return the resamples of ``count`` bars that several runs saw; they belong to no run."""
    return _blocks(generator_of(0, "seeds", 1), count, rules)


def _blocks(generator: np.random.Generator, count: int, rules: SkillRules) -> Blocks:
    length = rules.block_of(count)
    draws = uniforms(generator, blocks_needed(count, length), rules.resamples)
    return blocks_of(draws, count, length)


def of_seeds(count: int, rules: SkillRules) -> Float64:
    """Return the draws for intervals over ``count`` runs; they belong to no run's seed."""
    return uniforms(generator_of(0, "seeds", 0), rules.resamples, count)
