"""The gate against look-ahead, on real bars: planted once in each place, it is found."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stairways.core import events as e
from stairways.env import tape
from stairways.features import Features, features, regime_scores
from stairways.market.bars import Bars
from stairways.market.canonical import encode_bars
from stairways.market.loading import load_bars
from stairways.service.stairway import run
from stairways.service.stairway.journal import decoded
from stairways.service.stairway.run import Job, run_stairway
from tests.small_run import Quiet, small_plan
from tests.trained import context, new_store

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(scope="module")
def real() -> Bars:
    """Daily bars of AAPL and MSFT, 2000 to 2013."""
    demo = pytest.importorskip("stairways.cli.demo")
    return load_bars([demo.bars_file()], symbols=demo.SYMBOLS, adjustment="splits+dividends").bars


def honest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant nothing."""


def tomorrows_features(monkeypatch: pytest.MonkeyPatch) -> None:
    def peeking(bars: Bars) -> Features:
        seen = features(bars)
        return replace(seen, matrix=np.roll(seen.matrix, -1, axis=0))

    for module in (run, tape):
        monkeypatch.setattr(module, "features", peeking)


def scaled_by_the_whole_series(monkeypatch: pytest.MonkeyPatch) -> None:
    def scaled(bars: Bars) -> Features:
        seen = features(bars)
        return replace(seen, matrix=seen.matrix - seen.matrix.mean(axis=0))

    for module in (run, tape):
        monkeypatch.setattr(module, "features", scaled)


def next_weeks_regime(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (run, tape):
        monkeypatch.setattr(module, "regime_scores", lambda bars: np.roll(regime_scores(bars), -5))


def fills_at_a_later_open(monkeypatch: pytest.MonkeyPatch) -> None:
    quotes = tape._quotes

    def later(*given: Any) -> Any:  # noqa: ANN401 - records of numpy
        found = quotes(*given)
        found["fill"] = np.roll(found["fill"], -1, axis=0)
        return found

    monkeypatch.setattr(tape, "_quotes", later)


def verdict(bars: Bars) -> Iterator[e.Event]:
    store = new_store()
    store.put_blob(encode_bars(bars))
    plan = small_plan(stairway__targets="0.7", stairway__learning_rates="1e-3")
    run_stairway(Job(run="r1", plan=plan, bars=bars, store=store, context=context, watcher=Quiet()))
    return (decoded(record) for record in store.read(types=("GateDecided", "CycleVerdict")))


@pytest.mark.parametrize(
    ("plant", "seen"),
    [
        (honest, False),
        (tomorrows_features, True),
        (scaled_by_the_whole_series, True),
        (next_weeks_regime, True),
        (fills_at_a_later_open, True),
    ],
)
def test_a_look_ahead_planted_in_a_run_on_real_bars_fails_its_gate(
    monkeypatch: pytest.MonkeyPatch, real: Bars, plant: Plant, *, seen: bool
) -> None:
    plant(monkeypatch)
    told = list(verdict(real))
    [gate] = [one for one in told if isinstance(one, e.GateDecided) and one.gate == "look_ahead"]
    [word] = [one for one in told if isinstance(one, e.CycleVerdict)]
    assert (gate.value > 0, not gate.passed, "look_ahead" in word.failed) == (seen, seen, seen)
