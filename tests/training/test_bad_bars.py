"""Bars and settings that go wrong: a clear refusal or an event, never a hang or a warning."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest
import torch

from stairways.cli.summary import idle_sentences
from stairways.core import events as e
from stairways.errors import BarsRefusedError, TrainingFailedError
from stairways.market.bars import Bars
from stairways.market.canonical import encode_bars
from stairways.service.replay.run import replay_run
from stairways.service.stairway.journal import decoded
from stairways.service.stairway.plan import check_job
from stairways.service.stairway.run import Job, run_stairway
from stairways.service.stairway.unfinished import summary_of
from stairways.store.memory import MemoryStore
from stairways.training.calibration import Calibration, decided, sampled
from tests.small_run import NewJob, small_plan

ONE = {"stairway__targets": "0.6", "stairway__learning_rates": "1e-3"}
HALF = 350
"""A row in the middle of the train window."""


def jumping(bars: Bars) -> Bars:
    """The first share is worth a hundred times as much from the middle on."""
    factor = np.where(np.arange(len(bars)) < HALF, 1, 101)
    return _repriced(bars, lambda prices: prices * factor)


def stopping(bars: Bars) -> Bars:
    """The first share is not traded any more from the middle of the validation window on."""
    last, volume = len(bars) - 60, bars.volume.copy()
    volume[last:, 0] = 0
    halted = _repriced(bars, lambda p: np.where(np.arange(len(bars)) < last, p, p[last]))
    return replace(halted, volume=volume)


def untraded(bars: Bars) -> Bars:
    """No share of anything changes hands, ever."""
    return replace(bars, volume=np.zeros_like(bars.volume))


def standing(bars: Bars) -> Bars:
    """The first share costs the same for ever."""
    return _repriced(bars, lambda prices: np.full_like(prices, prices[0]))


def _repriced(bars: Bars, change: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]) -> Bars:
    changed = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for prices in changed.values():
        prices[:, 0] = change(prices[:, 0])
    return replace(bars, **changed)


def run_on(bars: Bars, job: Job, store: MemoryStore) -> list[e.Event]:
    digest = store.put_blob(encode_bars(bars))
    run_stairway(replace(job, bars=replace(bars, digest=digest)))
    return [decoded(record) for record in store.read()]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lambda: datetime(2026, 1, 5, tzinfo=UTC))


@pytest.mark.parametrize("change", [jumping, stopping, untraded])
def test_a_run_on_odd_bars_ends_and_replays(
    new_job: NewJob, store: MemoryStore, bars: Bars, change: Callable[[Bars], Bars]
) -> None:
    told = run_on(change(bars), new_job(store, **ONE), store)

    assert isinstance(told[-1], e.RunFinished)
    assert replay_run(store, "r1").clean


def test_where_nothing_was_traded_the_gates_say_so(
    new_job: NewJob, store: MemoryStore, bars: Bars
) -> None:
    told = run_on(untraded(bars), new_job(store, **ONE), store)

    (result,) = [event for event in told if isinstance(event, e.EvaluationFinished)]
    assert (result.trades, result.final_equity > result.start_equity) == (0, True)  # interest
    advice = {event.gate: event.reason for event in told if isinstance(event, e.GateDecided)}
    for gate in ("sharpe", "win_rate", "trades_per_day"):
        assert "no order was filled" in advice[gate]
    passed = {event.gate: event.passed for event in told if isinstance(event, e.GateDecided)}
    assert not any(passed[gate] for gate in ("sharpe", "win_rate", "trades_per_day", "skill"))
    [sentence] = idle_sentences(summary_of(store, "r1"))
    assert sentence.startswith("No order was filled on validation bars in cycle 1: ")


def test_a_policy_that_buys_once_and_asks_for_more_is_told_as_such(
    new_job: NewJob, store: MemoryStore, bars: Bars
) -> None:
    run_on(bars, new_job(store, **ONE), store)
    summary = summary_of(store, "r1")
    [one] = summary.cycles
    assert list(idle_sentences(summary)) == []
    once = replace(summary, cycles=(replace(one, trades=2, decisions=300, hold_rate=0.7),))
    [sentence] = idle_sentences(once)
    assert sentence.startswith("Fewer than one in ten decisions to trade on validation bars")
    assert "in cycle 1: " in sentence


def test_a_price_that_stands_still_is_refused_before_anything_is_written(bars: Bars) -> None:
    with pytest.raises(BarsRefusedError, match="close of AAA never changes in the train window"):
        check_job(standing(bars), small_plan())


def test_a_policy_that_diverges_to_nan_ends_the_run_with_an_event(
    new_job: NewJob, store: MemoryStore
) -> None:
    with pytest.raises(TrainingFailedError, match="lower the learning rate"):
        run_stairway(new_job(store, **{**ONE, "stairway__learning_rates": "1e37"}))

    failed = [decoded(record) for record in store.read()][-1]
    assert isinstance(failed, e.RunFailed)
    assert "The loss is inf; lower the learning rate" in failed.reason
    assert failed.cycle == 1


@pytest.mark.parametrize("calibrated", [decided, sampled])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_policy_without_finite_logits_gets_no_margin(
    calibrated: Callable[[torch.Tensor, float], Calibration], wrong: float
) -> None:
    logits = torch.zeros(4, 1, 9)
    logits[2, 0, 3] = wrong
    with pytest.raises(TrainingFailedError, match="logits are not finite any more"):
        calibrated(logits, 0.7)
