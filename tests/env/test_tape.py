"""The tape: what it holds and what it refuses."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stairways.core.ledger import TradingRules
from stairways.env.tape import make_tape, tape_of
from stairways.errors import BarsRefusedError
from stairways.features import features, regime_scores
from stairways.market.bars import Bars

RULES = TradingRules()


@pytest.fixture(scope="module")
def bars(wander: Callable[..., Bars]) -> Bars:
    return wander(100, 2, 1)


def test_a_decision_is_filled_at_the_next_open_or_at_the_close(bars: Bars) -> None:
    late, early = tape_of(bars, RULES), tape_of(bars, replace(RULES, fill="close"))
    assert (late.quotes["fill"][:-1] == bars.open[1:]).all()
    assert (early.quotes["fill"] == bars.close).all()
    assert (late.quotes["tradable"][:-1] == (bars.volume[1:] > 0)).all()
    assert not late.quotes["tradable"][-1].any()
    assert (early.quotes["tradable"] == (bars.volume > 0)).all()


def test_rates_are_due_for_the_days_until_the_next_bar(bars: Bars) -> None:
    times = bars.times.copy()
    times[50:] += 2 * 86_400 * 10**9  # a weekend
    rates = tape_of(replace(bars, times=times), replace(RULES, borrow_rate=0.1)).rates
    assert rates["interest"][0] == pytest.approx(0.05 / 365)
    assert rates["interest"][49] == pytest.approx(3 * 0.05 / 365)
    assert rates["borrow"][49] == pytest.approx(3 * 0.1 / 365)
    assert rates["interest"][-1] == 0.0


def changed(bars: Bars, name: str, row: int, value: int) -> Bars:
    values = getattr(bars, name).copy()
    values[row] = value
    return replace(bars, **{name: values})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("open", 0, "row 17: the open of S0 is 0"),
        ("close", -5, "row 17: the close of S0 is -5"),
        ("close", 2**53, "row 17: the close of S0"),
        ("volume", -1, "row 17: the volume of S0 is -1"),
        ("times", 0, "row 17 is not later"),
    ],
)
def test_bars_that_would_spoil_the_books_are_refused_with_their_row(
    bars: Bars, name: str, value: int, reason: str
) -> None:
    seen, regime = features(bars), regime_scores(bars)
    with pytest.raises(BarsRefusedError, match=reason):
        make_tape(changed(bars, name, 17, value), seen, regime, RULES)


def test_a_number_that_is_not_finite_is_refused_with_its_row(bars: Bars) -> None:
    seen, regime = features(bars), regime_scores(bars)
    matrix = seen.matrix.copy()
    matrix[33, 5] = np.nan
    with pytest.raises(BarsRefusedError, match="row 33: a feature"):
        make_tape(bars, replace(seen, matrix=matrix), regime, RULES)
    regime[44] = np.inf
    with pytest.raises(BarsRefusedError, match="row 44: a regime score"):
        make_tape(bars, seen, regime, RULES)


def test_features_of_other_bars_are_refused_with_both_shapes(
    bars: Bars, wander: Callable[..., Bars]
) -> None:
    with pytest.raises(BarsRefusedError, match=r"\(100, 36\).*\(100, 24\)"):
        make_tape(bars, features(wander(100, 3, 1)), regime_scores(bars), RULES)
    with pytest.raises(BarsRefusedError, match=r"\(99,\).*\(100,\)"):
        make_tape(bars, features(bars), regime_scores(bars)[1:], RULES)


def test_no_bars_are_refused(bars: Bars) -> None:
    none: dict[str, Any] = {
        name: getattr(bars, name)[:0]
        for name in ("times", "open", "high", "low", "close", "volume", "session")
    }
    with pytest.raises(BarsRefusedError, match="no bars"):
        tape_of(replace(bars, **none), RULES)
