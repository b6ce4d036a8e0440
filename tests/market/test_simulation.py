"""Simulated bars: repeatable, sound and always labelled."""

import numpy as np
import pytest

from stairways.errors import BarsRefusedError
from stairways.market import simulate


@pytest.mark.parametrize("frequency", ["1d", "1h", "5m", "1m"])
def test_simulated_bars_are_sound_at_every_frequency(frequency: str) -> None:
    bars = simulate(("A", "B"), 500, 1, frequency=frequency).bars  # type: ignore[arg-type]
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (np.diff(bars.times) > 0).all()
    assert (bars.volume > 0).all()
    if frequency != "1d":
        assert ((bars.session_open <= bars.times) & (bars.times < bars.session_close)).all()


def test_the_same_seed_gives_the_same_bars_and_another_gives_others() -> None:
    first, second, other = (simulate(("A", "B"), 200, seed).bars.digest for seed in (5, 5, 6))
    assert first == second != other


def test_simulated_bars_say_that_they_are() -> None:
    aligned = simulate(("A", "B"), 10, 1)
    assert aligned.bars.simulated
    assert {(f.kind, f.symbol) for f in aligned.findings} == {
        ("simulated", "A"),
        ("simulated", "B"),
    }


def test_symbols_move_together_but_not_alike() -> None:
    close = simulate(("A", "B"), 3000, 2).bars.close.astype(float)
    moves = np.diff(np.log(close), axis=0).T
    assert 0.3 < np.corrcoef(moves)[0, 1] < 0.8


def test_no_rows_are_refused() -> None:
    with pytest.raises(BarsRefusedError, match="one row or more"):
        simulate(("A",), 0, 1)
