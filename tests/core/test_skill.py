"""The rule for skill: foresight is found, chance is not taken for skill, tries count."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from stairways.core.baselines import Baselines, Float64, Int64
from stairways.core.bootstrap import blocks_needed, blocks_of
from stairways.core.events import SkillMeasured
from stairways.core.skill import (
    Passed,
    Skill,
    SkillRules,
    Trial,
    beaten_share,
    complaints,
    pooled,
    returns_of,
    trials_among,
    weigh,
)
from stairways.core.values import Digest, Position

RULES = SkillRules(resamples=400)
CAPITAL = 10**11
BARS = 750
RATE = 0.0001


def accounts(returns: Float64) -> Int64:
    """Return balances ``(n + 1, ...)`` of returns ``(n, ...)``."""
    grown = np.concatenate([np.ones_like(returns[:1]), np.cumprod(1 + returns, axis=0)])
    balances: Int64 = np.rint(CAPITAL * grown).astype(np.int64)
    return balances


def weighed(seed: int, edge: float, trials: int = 0, rules: SkillRules = RULES) -> Skill:
    """Weigh a candidate whose returns are as random as those of the policies, plus an edge."""
    generator = np.random.default_rng(seed)
    market = generator.normal(0.0003, 0.01, BARS)
    policies = generator.normal(0, 0.006, (BARS, rules.random_policies)) + 0.3 * market[:, None]
    simple = np.column_stack([0.5 * market, np.full(BARS, RATE), policies])
    own = generator.normal(edge, 0.006, BARS) + 0.3 * market
    length = rules.block_of(BARS)
    draws = generator.random((blocks_needed(BARS, length), rules.resamples))
    others = [Trial(Position(n), 0.0, 0, BARS) for n in range(trials)]
    return weigh(
        Passed(equity=accounts(own), rates=np.full(BARS, RATE), a_year=252.0),
        Baselines(accounts(simple)),
        others,
        blocks_of(draws, BARS, length),
        rules,
    )


def test_foresight_is_found() -> None:
    found = weighed(1, edge=0.002)
    assert found.skill
    assert found.reason.startswith("evidence of skill")
    assert found.over_buy_and_hold[0] > 0


def test_chance_is_hardly_ever_taken_for_skill() -> None:
    assert sum(weighed(seed, edge=0.0).skill for seed in range(100)) <= 2


def test_what_one_try_shows_many_tries_do_not() -> None:
    once, often = (weighed(2, edge=0.00115, trials=trials) for trials in (0, 2_000))
    assert once.skill
    assert not often.skill
    assert often.trials == 2_001
    assert often.best_by_chance > once.best_by_chance == 0.0
    assert "2001 models tried" in often.reason
    assert often.sharpe == once.sharpe


def test_every_reason_against_skill_is_named() -> None:
    reason = weighed(3, edge=-0.001).reason
    for said in ("buy-and-hold", "always-hold", "random policies", "deflated Sharpe"):
        assert said in reason
    assert reason.startswith("no evidence of skill: ")


def test_figures_stand_between_their_bounds() -> None:
    found = weighed(4, edge=0.0005)
    for name in ("sharpe", "profit", "over_buy_and_hold", "over_always_hold", "over_random"):
        low, value, high = getattr(found, name)
        assert low < value < high


def test_a_candidate_that_is_ruined_shows_no_skill() -> None:
    equity = accounts(np.full((BARS, 53), 0.001))
    own = equity[:, 0].copy()
    own[400:] = -5
    blocks = blocks_of(np.full((BARS, RULES.resamples), 0.5), BARS, 1)
    passed = Passed(equity=own, rates=np.zeros(BARS), a_year=252.0)
    found = weigh(passed, Baselines(equity), [], blocks, RULES)
    assert not found.skill
    assert found.beaten == 0.0
    assert found.profit[1] == pytest.approx(-1.0)


def test_the_best_of_all_policies_beats_less_than_all() -> None:
    equity = np.array([[100] * 22, [110] * 22])
    assert beaten_share(np.array([100, 120]), Baselines(equity)) == pytest.approx(20 / 21)
    assert beaten_share(np.array([100, 110]), Baselines(equity)) == 0.0


def test_returns_after_a_ruin_are_nothing() -> None:
    assert returns_of(np.array([100, 110, -5, -5, 7])).tolist() == pytest.approx(
        [0.1, -5 / 110 - 1, 0.0, 0.0]
    )


def test_trials_are_those_before_that_saw_some_of_the_bars() -> None:
    known = [Trial(Position(p), 0.1, 10 * p, 10 * p + 9) for p in range(1, 7)]
    assert [t.position for t in trials_among(known, (25, 40), Position(9))] == [2, 3, 4]
    assert [t.position for t in trials_among(known, (25, 40), Position(3))] == [2]
    assert [t.position for t in trials_among(known, (25, 40), None)] == [2, 3, 4]


def measured(skill: Skill, first: int) -> SkillMeasured:
    """Return a result as the log has it, on bars from ``first`` on."""
    return SkillMeasured(
        cycle=1,
        attempt=0,
        window="test",
        data=Digest("d"),
        first_bar=first,
        last_bar=first + BARS,
        evidence=(),
        **asdict(skill),
    )


def test_windows_together_are_surer_than_each_and_still_pay_for_many_tries() -> None:
    found = [weighed(seed, edge=0.0007) for seed in range(11, 15)]
    apart = [measured(one, 1_000 * place) for place, one in enumerate(found)]
    assert not all(one.skill for one in found)
    assert pooled(apart, 1, RULES).startswith("evidence of skill")
    assert "10000 models tried" in pooled(apart, 10_000, RULES)
    assert pooled(apart, 10_000, RULES).startswith("no evidence of skill")


def test_windows_without_skill_show_none_together() -> None:
    for seed in range(20):
        found = [weighed(100 + 4 * seed + place, edge=0.0) for place in range(4)]
        apart = [measured(one, 1_000 * place) for place, one in enumerate(found)]
        assert pooled(apart, 1, RULES).startswith("no evidence of skill")
    assert pooled([], 0, RULES) == "no evidence of skill: no served model was tested"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_handful_of_bars_shows_no_skill_and_has_plain_figures(count: int) -> None:
    equity = np.tile(CAPITAL + np.arange(count + 1)[:, None] * 10**8, 2 + RULES.random_policies)
    blocks = blocks_of(np.full((count, RULES.resamples), 0.5), count, 1)
    passed = Passed(equity=equity[:, 0] + np.arange(count + 1), rates=np.zeros(count), a_year=252.0)
    found = weigh(passed, Baselines(equity), [], blocks, RULES)
    assert all(np.isfinite(getattr(found, name)).all() for name in ("sharpe", "profit", "kurtosis"))
    assert not found.skill


def test_one_block_as_long_as_the_window_shows_nothing() -> None:
    """Turned round it is always the same bars, so that its interval has no width."""
    rules = replace(RULES, block=BARS)
    assert weighed(1, edge=0.002).skill
    found = weighed(1, edge=0.002, rules=rules)
    low, value, high = found.over_buy_and_hold
    assert high - low == pytest.approx(0.0, abs=1e-9)
    assert low == pytest.approx(value)
    assert found.reason.startswith("no evidence of skill: the bars make 1 blocks")


def test_returns_that_never_vary_have_no_ratio_and_show_no_skill() -> None:
    """Neither a division by nothing nor an endless ratio where an account sits in cash."""
    growth = np.cumprod(np.full(BARS, 1.0001))[:, None]
    equity = np.rint(CAPITAL * np.vstack([[1.0], growth])).astype(np.int64)
    equity = np.tile(equity, 2 + RULES.random_policies)
    blocks = blocks_of(np.full((BARS, RULES.resamples), 0.3), BARS, 1)
    passed = Passed(equity=equity[:, 0], rates=np.full(BARS, RATE), a_year=252.0)
    found = weigh(passed, Baselines(equity), [], blocks, RULES)
    assert found.sharpe == (0.0, 0.0, 0.0)
    assert (found.probabilistic_sharpe, found.deflated_sharpe, found.beaten) == (0.0, 0.0, 0.0)
    assert found.over_random == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)
    assert not found.skill


def test_a_figure_that_misses_its_limit_by_a_hair_is_not_told_as_the_limit() -> None:
    figures = dict.fromkeys(
        ("over_buy_and_hold", "over_always_hold", "over_random"), (0.1, 0.2, 0.3)
    )
    close = complaints(figures, RULES, blocks=99, beaten=0.948, deflated=0.94999, tried=2)
    assert list(close) == [
        "ahead of 94.80% of the random policies, not 95.00%",
        "deflated Sharpe 0.949990 for 2 models tried, not 0.950000",
    ]
    far = complaints(figures, RULES, blocks=99, beaten=0.5, deflated=0.5, tried=1)
    assert list(far) == [
        "ahead of 50% of the random policies, not 95%",
        "deflated Sharpe 0.50 for 1 model tried, not 0.95",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"resamples": 38}, "39 to"),
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"deflated_sharpe": 0.0}, "between 0 and 1"),
        ({"random_policies": 0}, "random_policies"),
        ({"block": -1}, "block"),
    ],
)
def test_rules_out_of_range_are_refused_by_name(change: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(RULES, **change)  # type: ignore[arg-type]  # names and values of the table above
