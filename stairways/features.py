"""What the policy sees of the market: twelve causal, scale-free features of each symbol.

Row t is made of bars up to and including t. Scaling constants are fixed, not fitted; they
bring every feature to roughly [-5, 5], where it is cut. The matrix is stored as data and
not computed again on another machine, so library logarithms are fine here.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stairways.core import regime, series
from stairways.core.series import Float64
from stairways.core.values import Digest
from stairways.market.bars import Bars, Frequency

WARM_UP = 60
"""Bars that are not traded: by then the 26-bar average holds 99 % of its weight."""

LARGEST = 5.0
TYPICAL_RETURN: Mapping[Frequency, float] = {"1m": 0.0008, "5m": 0.002, "1h": 0.007, "1d": 0.02}
"""The standard deviation of one bar's log return of a large share, to scale by."""

MOST_VOLUME_RATIO = 100.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """The feature matrix of some bars.

    ``matrix`` is ``(T, 12 N)`` float32 without NaN, twelve columns of the first symbol,
    then of the next; ``names`` are its columns, ``scales`` the constants by which the raw
    features were multiplied, ``warm_up`` the number of first rows that must not be traded.
    """

    matrix: npt.NDArray[np.float32]
    names: tuple[str, ...]
    scales: Mapping[str, float]
    warm_up: int

    @property
    def digest(self) -> Digest:
        """Return the SHA-256 of the column names and the matrix's little-endian rows."""
        content = hashlib.sha256("\n".join(self.names).encode() + b"\0")
        content.update(np.ascontiguousarray(self.matrix, dtype="<f4").tobytes())
        return Digest(content.hexdigest())


def features(bars: Bars) -> Features:
    """Return the features of every bar; deleting or inventing later bars changes no row."""
    unit = TYPICAL_RETURN[bars.frequency]
    scales = {name: scale(unit) for name, (_, scale) in _FEATURES.items()}
    columns = [compute(bars) * scales[name] for name, (compute, _) in _FEATURES.items()]
    matrix = np.stack(columns, axis=-1).reshape(len(bars), -1)
    return Features(
        matrix=np.clip(matrix, -LARGEST, LARGEST).astype(np.float32),
        names=tuple(f"{symbol}.{name}" for symbol in bars.symbols for name in _FEATURES),
        scales=scales,
        warm_up=WARM_UP,
    )


def regime_scores(bars: Bars) -> Float64:
    """Return the regime score of every bar, ``(T,)`` in [-3, 3]; 0 before ``regime_from``."""
    return regime.scores(_close(bars), bars.session)


def regime_from(bars: Bars) -> int:
    """Return the first row whose regime score has its 50 sessions of history; T if none."""
    return regime.first_scored(bars.session)


def _close(bars: Bars) -> Float64:
    return bars.close.astype(np.float64)


def _strength(bars: Bars) -> Float64:
    """Return RSI-14 (Wilder 1978), moved from [0, 100] to [-1, 1]."""
    close = _close(bars)
    change = np.diff(close, axis=0, prepend=close[:1])
    up = series.exponential(np.maximum(change, 0.0), 1.0 / 14.0)
    down = series.exponential(np.maximum(-change, 0.0), 1.0 / 14.0)
    return 2.0 * series.ratio(up, up + down, 0.5) - 1.0


def _above_average(span: int) -> Callable[[Bars], Float64]:
    def compute(bars: Bars) -> Float64:
        close = _close(bars)
        return close / series.exponential(close, 2.0 / (span + 1.0)) - 1.0

    return compute


def _above_vwap(bars: Bars) -> Float64:
    """Return close over the 20-bar volume-weighted price; over its mean where none traded."""
    close, volume = _close(bars), bars.volume.astype(np.float64)
    typical = (bars.high.astype(np.float64) + bars.low.astype(np.float64) + close) / 3.0
    traded, total = series.moving_sum(typical * volume, 20), series.moving_sum(volume, 20)
    price = np.where(total > 0.0, series.ratio(traded, total, 0.0), series.moving_mean(typical, 20))
    return close / price - 1.0


def _volatility(bars: Bars) -> Float64:
    return series.moving_deviation(series.log_change(_close(bars), 1), 20)


def _return(back: int) -> Callable[[Bars], Float64]:
    def compute(bars: Bars) -> Float64:
        return series.log_change(_close(bars), back)

    return compute


def _time(wave: Callable[[Float64], Float64]) -> Callable[[Bars], Float64]:
    def compute(bars: Bars) -> Float64:
        share = _share_of_year(bars) if bars.frequency == "1d" else _share_of_session(bars)
        return np.repeat(wave(2.0 * np.pi * share)[:, None], len(bars.symbols), axis=1)

    return compute


def _share_of_year(bars: Bars) -> Float64:
    days = bars.times.astype("datetime64[ns]").astype("datetime64[D]")
    since_new_year = (days - days.astype("datetime64[Y]")).astype(np.int64)
    share: Float64 = since_new_year / 366.0
    return share


def _share_of_session(bars: Bars) -> Float64:
    length = (bars.session_close - bars.session_open).astype(np.float64)
    return series.ratio((bars.times - bars.session_open).astype(np.float64), length, 0.0)


def _volume_against(mean: Callable[[Float64], Float64]) -> Callable[[Bars], Float64]:
    def compute(bars: Bars) -> Float64:
        volume = bars.volume.astype(np.float64)
        share = series.ratio(volume, mean(volume), 1.0)
        return series.ln(np.clip(share, 1.0 / MOST_VOLUME_RATIO, MOST_VOLUME_RATIO))

    return compute


def _recent_mean(volume: Float64) -> Float64:
    return series.moving_mean(volume, 20)


def _as_is(_unit: float) -> float:
    return 1.0


def _twice(_unit: float) -> float:
    return 2.0


def _over(bars: float) -> Callable[[float], float]:
    """Return the scale of a return over ``bars`` bars: one typical deviation becomes 1."""

    def scale(unit: float) -> float:
        return 1.0 / (unit * math.sqrt(bars))

    return scale


_FEATURES: Mapping[str, tuple[Callable[[Bars], Float64], Callable[[float], float]]] = {
    "rsi_14": (_strength, _twice),
    "close_over_ema_12": (_above_average(12), _over(4)),
    "close_over_ema_26": (_above_average(26), _over(9)),
    "close_over_vwap_20": (_above_vwap, _over(7)),
    "volatility_20": (_volatility, _over(1)),
    "momentum_10": (_return(10), _over(10)),
    "sine_of_time": (_time(np.sin), _as_is),
    "cosine_of_time": (_time(np.cos), _as_is),
    "volume_over_mean_20": (_volume_against(_recent_mean), _as_is),
    "return_3": (_return(3), _over(3)),
    "return_1": (_return(1), _over(1)),
    "volume_over_mean": (_volume_against(series.expanding_mean), _as_is),
}
