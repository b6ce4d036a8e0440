"""What the market plays to the environment: every fact a step needs, prepared once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stairways.core.ledger import TradingRules, rate_between
from stairways.core.series import Float64
from stairways.core.values import LARGEST_WHOLE_NUMBER
from stairways.errors import BarsRefusedError
from stairways.features import Features, features, regime_from, regime_scores
from stairways.market.bars import Bars

RATES = np.dtype([("interest", "f8"), ("borrow", "f8"), ("regime", "f8")], align=True)
QUOTES = np.dtype([("fill", "i8"), ("close", "i8"), ("tradable", "i8")], align=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tape:
    """Bars as the environment plays them; row t is the bar a decision is made on.

    ``times`` ``(T,)`` are nanoseconds. ``quotes`` ``(T, N)`` has ``fill``, the price in
    micros at which a decision on row t is filled, ``close`` and ``tradable``, whether any
    share changed hands at the filling bar. ``rates`` ``(T,)`` has the shares of cash and
    shorts due from row t to t+1 and the regime score of row t. ``features`` is
    ``(T, 12 N)`` float32. Rows below ``warm_up`` are not traded; regime scores below row
    ``regime_from`` are 0 for want of history.
    """

    symbols: tuple[str, ...]
    times: npt.NDArray[np.int64]
    quotes: npt.NDArray[np.void]
    rates: npt.NDArray[np.void]
    features: npt.NDArray[np.float32]
    warm_up: int
    regime_from: int

    def __len__(self) -> int:
        """Return T, the number of rows."""
        return len(self.times)


def tape_of(bars: Bars, rules: TradingRules) -> Tape:
    """Compute features and regime of ``bars`` and prepare the tape."""
    _check_bars(bars)
    return make_tape(bars, features(bars), regime_scores(bars), rules)


def make_tape(bars: Bars, seen: Features, regime: Float64, rules: TradingRules) -> Tape:
    """Prepare the tape of ``bars`` from features and regime scores already at hand.

    Raises ``BarsRefusedError`` for what would spoil the accounts or the observation: no
    bars, a price that is not in 1 … 2**53-1 micros, a negative volume, times that do not
    grow, shapes that do not match, a feature or score that is not finite.
    """
    _check_bars(bars)
    _check_shape("features", seen.matrix.shape, (len(bars), 12 * len(bars.symbols)))
    _check_shape("regime scores", regime.shape, (len(bars),))
    _check_finite("feature", seen.matrix)
    _check_finite("regime score", regime)
    return Tape(
        symbols=bars.symbols,
        times=bars.times,
        quotes=_quotes(bars, rules),
        rates=_rates(bars, regime, rules),
        features=np.ascontiguousarray(seen.matrix),
        warm_up=seen.warm_up,
        regime_from=regime_from(bars),
    )


def _quotes(bars: Bars, rules: TradingRules) -> npt.NDArray[np.void]:
    quotes = np.zeros(bars.close.shape, QUOTES)
    quotes["close"] = bars.close
    if rules.fill == "close":
        quotes["fill"], quotes["tradable"] = bars.close, bars.volume > 0
    else:  # the last row is never decided on: its price is a placeholder, not tradable
        quotes["fill"] = np.concatenate((bars.open[1:], bars.close[-1:]))
        quotes["tradable"][:-1] = bars.volume[1:] > 0
    return quotes


def _rates(bars: Bars, regime: Float64, rules: TradingRules) -> npt.NDArray[np.void]:
    rates = np.zeros(len(bars), RATES)
    steps = list(zip(bars.times[:-1].tolist(), bars.times[1:].tolist(), strict=True))
    rates["interest"][:-1] = [rate_between(rules.risk_free_rate, *step) for step in steps]
    rates["borrow"][:-1] = [rate_between(rules.borrow_rate, *step) for step in steps]
    rates["regime"] = regime
    return rates


def _check_bars(bars: Bars) -> None:
    if len(bars) == 0 or not bars.symbols:
        raise BarsRefusedError("there are no bars to trade; give a file that holds some")
    for name, prices in (("open", bars.open), ("close", bars.close)):
        _refuse_first(name, bars, (prices < 1) | (prices > LARGEST_WHOLE_NUMBER))
    _refuse_first("volume", bars, bars.volume < 0)
    if (np.diff(bars.times) <= 0).any():
        row = int(np.argmax(np.diff(bars.times) <= 0)) + 1
        raise BarsRefusedError(f"row {row} is not later than the row before; sort the bars")


def _refuse_first(name: str, bars: Bars, wrong: npt.NDArray[np.bool_]) -> None:
    if wrong.any():
        row, symbol = np.argwhere(wrong)[0].tolist()
        raise BarsRefusedError(
            f"row {row}: the {name} of {bars.symbols[symbol]} is {getattr(bars, name)[row, symbol]}"
            f"; a price is 1 to {LARGEST_WHOLE_NUMBER} micros, a volume not negative"
        )


def _check_shape(what: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if shape != wanted:
        raise BarsRefusedError(f"{what} have the shape {shape}, the bars need {wanted}")


def _check_finite(what: str, values: npt.NDArray[np.floating]) -> None:
    wrong = ~np.isfinite(values)
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        raise BarsRefusedError(f"row {row}: a {what} is not a finite number; compute it again")
