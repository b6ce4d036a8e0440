"""Intervals: the sums of resamples, and whether they cover the truth as often as they say."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stairways.core.bootstrap import (
    Blocks,
    Float64,
    Int64,
    block_length,
    blocks_needed,
    blocks_of,
    interquartile_mean,
    interval,
    interval_over_seeds,
    interval_over_seeds_and_bars,
    resampled_products,
    resampled_sharpes,
    resampled_sums,
)


def made(seed: int, count: int, length: int, resamples: int) -> tuple[Float64, Blocks]:
    generator = np.random.default_rng(seed)
    draws = generator.random((blocks_needed(count, length), resamples))
    return generator.normal(0.001, 0.01, count), blocks_of(draws, count, length)


def spelled_out(blocks: Blocks) -> Int64:
    """Return the bars of each resample one by one, ``(B, n)``."""
    bars = (blocks.starts.T[:, :, None] + np.arange(blocks.length)) % blocks.bars
    return np.asarray(bars.reshape(len(bars), -1)[:, : blocks.bars], np.int64)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 60),
    length=st.integers(1, 60),
)
def test_a_resample_is_blocks_of_neighbouring_bars_round_the_end(
    seed: int, count: int, length: int
) -> None:
    values, blocks = made(seed, count, min(length, count), 20)
    drawn = values[spelled_out(blocks)]
    deviations = drawn.std(axis=1, ddof=1)
    varied = deviations > 1e-9

    assert drawn.shape == (20, count)
    assert resampled_sums(values, blocks) == pytest.approx(drawn.sum(axis=1), abs=1e-12)
    assert resampled_products(values + 1, blocks) == pytest.approx((drawn + 1).prod(axis=1))
    assert resampled_sharpes(values, blocks)[varied] == pytest.approx(
        drawn.mean(axis=1)[varied] / deviations[varied], rel=1e-6, abs=1e-9
    )


def sharpe(values: Float64) -> float:
    return float(values.mean() / values.std(ddof=1))


def growth(values: Float64) -> float:
    return float((values + 1).prod() - 1)


@pytest.mark.parametrize("length", [1, 9, 40])
@pytest.mark.parametrize("of", [np.mean, sharpe, growth])
def test_resamples_and_bounds_are_those_of_arch(
    of: Callable[[Float64], float], length: int
) -> None:
    """arch's circular block bootstrap draws the blocks; ours gets the same ones."""
    theirs = pytest.importorskip("arch.bootstrap", reason="the extra 'test' is not installed")
    count, resamples = 731, 999
    values = np.random.default_rng(2).standard_t(4, count) * 0.01 + 0.001
    drawing = theirs.CircularBlockBootstrap(length, values, seed=5)
    drawn = [(drawing.index[::length].copy(), of(x[0])) for x, _ in drawing.bootstrap(resamples)]
    blocks = Blocks(np.array([starts for starts, _ in drawn]).T, length, count)
    ours = {
        np.mean: lambda: resampled_sums(values, blocks) / count,
        sharpe: lambda: resampled_sharpes(values, blocks),
        growth: lambda: resampled_products(values + 1, blocks) - 1,
    }[of]()
    assert ours == pytest.approx([value for _, value in drawn], rel=1e-9, abs=1e-12)

    fresh = theirs.CircularBlockBootstrap(length, values, seed=5)
    [[low], [high]] = fresh.conf_int(of, reps=resamples, method="percentile", size=0.95)
    found = interval(of(values), ours, 0.95)
    assert (ours < found.low).sum() == (ours > found.high).sum() == 24
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_jumps_drawn_again_and_again_stay_numbers() -> None:
    values, blocks = made(1, 600, 8, 50)
    jumps = np.where(np.arange(600) % 2, 101.0, 1.0 + values)
    assert (resampled_products(jumps, blocks) == 1e15).all()


def clustered(generator: np.random.Generator, count: int) -> Float64:
    """Return values of mean 0 that follow on each other, as volatile bars do."""
    shocks, values = generator.normal(0, 1, count + 50), np.zeros(count + 50)
    for step in range(1, count + 50):
        values[step] = 0.3 * values[step - 1] + shocks[step]
    return values[50:]


def test_an_interval_of_95_per_cent_covers_the_truth_about_as_often() -> None:
    """Single bars would cover it in about 85 of 100 such series; blocks know the neighbours."""
    generator, covered, alone = np.random.default_rng(7), 0, 0
    for _ in range(300):
        values = clustered(generator, 800)
        for length in (1, block_length(800)):
            draws = generator.random((blocks_needed(800, length), 400))
            sums = resampled_sums(values, blocks_of(draws, 800, length))
            low, _, high = interval(float(values.sum()), sums, 0.95)
            covered += low <= 0 <= high if length > 1 else 0
            alone += low <= 0 <= high if length == 1 else 0
    assert covered / 300 >= 0.90
    assert alone < covered


def test_bounds_are_order_statistics_of_the_resamples() -> None:
    low, value, high = interval(7.0, np.arange(1000.0)[::-1], 0.95)
    assert (low, value, high) == (24.0, 7.0, 975.0)


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end() -> None:
    """As scipy's ``trim_mean`` at 0.25, which rliable takes."""
    assert interquartile_mean([1e9, 2.0, 4.0, -1e9]) == 3.0
    assert interquartile_mean([5.0, 1.0, 3.0]) == 3.0
    assert interquartile_mean([100.0, 1.0, 2.0, 3.0, -50.0]) == 2.0


def test_an_interval_over_seeds_holds_their_middle_and_grows_with_their_spread() -> None:
    draws = np.random.default_rng(1).random((1_000, 6))
    narrow = interval_over_seeds([0.1, 0.11, 0.12, 0.1, 0.11, 0.12], draws, 0.95)
    wide = interval_over_seeds([0.1, -0.5, 0.9, 0.1, 0.4, 0.12], draws, 0.95)
    assert narrow.low <= narrow.value <= narrow.high
    assert wide.high - wide.low > 10 * (narrow.high - narrow.low)


def test_one_seed_has_an_interval_of_no_width() -> None:
    assert interval_over_seeds([0.3], np.zeros((1_000, 1)), 0.95) == (0.3, 0.3, 0.3)


def test_seeds_and_bars_together_are_drawn_as_spelled_out() -> None:
    """Of each resample the seeds are drawn anew, and all of them see the same bars."""
    generator = np.random.default_rng(3)
    values, resampled = [0.1, 0.2, 0.4], generator.normal(0.2, 0.1, (3, 500))
    draws = generator.random((500, 3))
    middles = [interquartile_mean([resampled[int(u * 3), b] for u in draws[b]]) for b in range(500)]
    found = interval_over_seeds_and_bars(values, resampled, draws, 0.95)
    assert found == interval(interquartile_mean(values), np.array(middles), 0.95)


def test_seeds_that_agree_are_still_as_unsure_as_the_bars_they_share() -> None:
    values, blocks = made(4, 400, 7, 1_000)
    of_bars = resampled_sums(values, blocks)
    total, draws = float(values.sum()), np.random.default_rng(5).random((1_000, 5))
    alone = interval_over_seeds([total] * 5, draws, 0.95)
    both = interval_over_seeds_and_bars([total] * 5, np.tile(of_bars, (5, 1)), draws, 0.95)
    assert alone.high == pytest.approx(alone.low)
    assert both == pytest.approx(interval(total, of_bars, 0.95))
