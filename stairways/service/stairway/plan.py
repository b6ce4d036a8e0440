"""What a run is going to do, decided before its first step: rules, windows, seeds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import numpy as np

from stairways.core.controller import ControllerRules
from stairways.core.gate import GateLimits
from stairways.core.ledger import TradingRules
from stairways.core.skill import SkillRules
from stairways.core.stairway import Programme, Windows, between, cut_windows, fold_windows
from stairways.core.values import Digest
from stairways.errors import BarsRefusedError, SettingsError
from stairways.features import features
from stairways.market.bars import Bars
from stairways.market.gaps import refuse_unadjusted
from stairways.training.rules import PpoRules

SHORTEST_WINDOW = 30
PURPOSES = ("weights", "sampling", "shuffling", "lanes", "baseline", "bootstrap", "seeds",
            "rehearsal")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that decides the outcome of a run, apart from its bars."""

    model: str
    seed: int
    programme: Programme
    ppo: PpoRules
    trading: TradingRules
    control: ControllerRules
    limits: GateLimits
    statistics: SkillRules
    settings: Mapping[str, str]
    settings_digest: Digest

    def __post_init__(self) -> None:
        if self.programme.steps_per_cycle % self.ppo.steps:
            raise SettingsError(
                f"ppo.lanes * ppo.rollout = {self.ppo.steps} does not divide "
                f"stairway.steps_per_cycle = {self.programme.steps_per_cycle}; choose a divisor."
            )
        if self.seed < 0:
            raise SettingsError(f"The seed is {self.seed}; use a whole number from 0.")

    @property
    def training_control(self) -> ControllerRules:
        """Return the controller's rules where the margin stands still for a whole rollout.

        What it does there takes effect hundreds of decisions late, so it has a gentler authority
        and does not make up for the past.
        """
        gentle = self.control.training_authority
        return replace(self.control, authority=gentle, make_up=0.0)

    @property
    def updates_per_cycle(self) -> int:
        """Return how many rollouts, each followed by an update, make a cycle."""
        return self.programme.steps_per_cycle // self.ppo.steps

    def generator(self, purpose: str, cycle: int) -> np.random.Generator:
        """Return the generator of one purpose in one cycle, derived from the run's seed alone."""
        return generator_of(self.seed, purpose, cycle)


def generator_of(seed: int, purpose: str, cycle: int) -> np.random.Generator:
    """Return the generator of one purpose in one cycle of a run with ``seed``."""
    key = (PURPOSES.index(purpose), cycle)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def check_job(bars: Bars, plan: Plan) -> None:
    """Raise what would make a run impossible, before anything is written or torch is loaded."""
    refuse_unadjusted(bars)
    programme, first = plan.programme, features(bars).warm_up
    every = range(1, programme.folds + 1) if programme.folds and not programme.fold else ()
    for fold in every or (programme.fold,):
        windows_of(bars, first, replace(programme, fold=fold))


def windows_of(bars: Bars, first: int, programme: Programme) -> Windows:
    """Cut the bars from row ``first`` on into train, calibrate and validate.

    Raises ``BarsRefusedError`` when a window is too short to be used, or when the price of a
    symbol stands still all through one: nothing could be learned from it or judged by it.
    """
    if programme.fold:
        windows = fold_windows(first, len(bars), programme)
    elif programme.train_until:
        ends = (_row(bars, programme.train_until), _row(bars, programme.calibrate_until))
        windows = between(first, *ends, len(bars), programme.embargo)
    else:
        windows = cut_windows(first, len(bars), programme)
    for name, (start, stop) in windows.by_name().items():
        if stop - start < SHORTEST_WINDOW:
            fold = f" of fold {programme.fold} of {programme.folds}" if programme.fold else ""
            remedy = " or fewer folds" if fold else ""
            raise BarsRefusedError(
                f"The {name} window{fold} has {max(stop - start, 0)} bars of {len(bars)} "
                f"({first} are warm-up); it needs {SHORTEST_WINDOW}. Use more bars{remedy}."
            )
        still = (bars.close[start:stop] == bars.close[start]).all(axis=0)
        if still.any():
            symbol = bars.symbols[int(still.argmax())]
            raise BarsRefusedError(
                f"The close of {symbol} never changes in the {name} window, from "
                f"{bar_time(bars, start):%Y-%m-%d} to {bar_time(bars, stop - 1):%Y-%m-%d}. "
                "Use bars on which it is traded."
            )
    return windows


def bar_time(bars: Bars, row: int) -> datetime:
    """Return the time of a bar in UTC, to the microsecond."""
    return datetime.fromtimestamp(int(bars.times[row]) / 1e9, tz=UTC)


def _row(bars: Bars, day: str) -> int:
    """Return the first row on or after a date."""
    start = datetime.combine(date.fromisoformat(day), datetime.min.time(), tzinfo=UTC)
    return int(np.searchsorted(bars.times, int(start.timestamp()) * 1_000_000_000))
