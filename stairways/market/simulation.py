"""Simulated bars, for tests and demonstrations; whatever used them says so.

Prices follow a correlated geometric Brownian motion (in Euler steps of one bar) whose drift
and volatility switch between a calm, a rising and a falling regime, a Markov chain common to
all symbols, with jumps at the times of a Poisson process (Merton 1976). Only sums, products
and square roots make a price, so that every CPU makes the same. None of it is a market.
"""

import math
from collections.abc import Sequence

import numpy as np

from stairways.core.values import Digest
from stairways.errors import BarsRefusedError
from stairways.market.aligned import Aligned
from stairways.market.bars import Bars, Float64, Frequency, Int64, to_micros
from stairways.market.canonical import sealed
from stairways.market.findings import Finding

CALENDAR = "weekdays"
"""Sessions on Monday to Friday without holidays, 14:30 to 21:00 UTC."""

DRIFT = (0.10, 0.30, -0.25)  # a year, by regime: calm, rising, falling
VOLATILITY = (0.18, 0.25, 0.45)  # a year, by regime
STAY = 0.985  # probability a session that the regime stays
JUMPS = 4.0  # expected jumps a year and symbol
JUMP_SIZE = 0.06  # standard deviation of a jump, as a share of the price
CORRELATION = 0.6
SESSIONS_PER_YEAR = 252

_DAY = 86_400_000_000_000
_MINUTE = 60_000_000_000
_OPEN = 870 * _MINUTE  # 14:30
_BARS = {"1d": 1, "1h": 7, "5m": 78, "1m": 390}
_STEP = {"1d": _DAY, "1h": 60 * _MINUTE, "5m": 5 * _MINUTE, "1m": _MINUTE}


def simulate(
    symbols: Sequence[str],
    rows: int,
    seed: int,
    *,
    frequency: Frequency = "1d",
    start: str = "2000-01-03",
    price: float = 100.0,
) -> Aligned:
    """Return ``rows`` simulated bars of each symbol, the same for the same arguments.

    ``start`` is the first session's date, ``price`` in dollars the first open of every
    symbol. The bars are labelled ``simulated`` and a finding says so.
    """
    if rows < 1:
        raise BarsRefusedError(f"Simulated bars need one row or more; {rows} were asked for.")
    generator = np.random.default_rng(np.random.SeedSequence(seed))
    session = np.arange(rows, dtype=np.int64) // _BARS[frequency]
    growth = _growth(generator, session, _BARS[frequency], len(symbols))
    bars = Bars(
        symbols=tuple(symbols),
        frequency=frequency,
        adjustment="splits+dividends",
        timezone="UTC",
        calendar=CALENDAR,
        simulated=True,
        session=session,
        digest=Digest(""),
        **_clock(frequency, session, start),
        **_tables(generator, growth, price),
    )
    dropped = dict.fromkeys(symbols, 0)
    return Aligned(bars=sealed(bars), dropped=dropped, sources={}, findings=_says_so(symbols, seed))


def _says_so(symbols: Sequence[str], seed: int) -> tuple[Finding, ...]:
    detail = f"made by chance from seed {seed}; no market ever saw these prices"
    return tuple(
        Finding(kind="simulated", symbol=symbol, row=0, time=None, detail=detail)
        for symbol in symbols
    )


def _growth(
    generator: np.random.Generator, session: Int64, per_session: int, symbols: int
) -> Float64:
    """Return ``(T, N)``: what one dollar becomes in each bar, never less than a fifth."""
    regime = _regimes(generator, int(session[-1]) + 1)[session]
    year = 1.0 / (SESSIONS_PER_YEAR * per_session)
    shape = (len(session), symbols)
    common, own = generator.standard_normal((len(session), 1)), generator.standard_normal(shape)
    noise = math.sqrt(CORRELATION) * common + math.sqrt(1.0 - CORRELATION) * own
    jumped = generator.random(shape) < JUMPS * year
    jumps = np.where(jumped, generator.normal(0.0, JUMP_SIZE, shape), 0.0)
    drift = np.array(DRIFT)[regime][:, None] * year
    spread = np.array(VOLATILITY)[regime][:, None] * math.sqrt(year)
    growth: Float64 = np.maximum(1.0 + drift + spread * noise + jumps, 0.2)
    return growth


def _regimes(generator: np.random.Generator, sessions: int) -> Int64:
    """Return the regime of each session: a chain that leaves a state for either other one."""
    moves = np.where(generator.random(sessions) < STAY, 0, generator.integers(1, 3, sessions))
    moves[0] = 0
    return np.cumsum(moves) % len(DRIFT)


def _tables(generator: np.random.Generator, growth: Float64, price: float) -> dict[str, Int64]:
    """Return open, high, low and close in micros, and the volume."""
    close = (price * np.cumprod(growth, axis=0)).astype(np.float64)
    before = np.vstack([np.full((1, growth.shape[1]), price), close[:-1]])
    opening = before * (1.0 + generator.normal(0.0, 0.001, close.shape))
    wick = 1.0 + np.abs(generator.normal(0.0, 0.003, (2, *close.shape)))
    dollars = {
        "open": opening,
        "high": np.maximum(opening, close) * wick[0],
        "low": np.minimum(opening, close) / wick[1],
        "close": close,
    }
    tables = {name: np.maximum(to_micros(values), 1) for name, values in dollars.items()}
    busy = 1.0 + 0.5 * generator.random(close.shape) + 20.0 * np.abs(growth - 1.0)
    return {**tables, "volume": np.rint(250_000.0 * busy).astype(np.int64)}


def _clock(frequency: Frequency, session: Int64, start: str) -> dict[str, Int64]:
    """Return times, session opening and closing of every row, in nanoseconds UTC."""
    first = np.busday_offset(np.datetime64(start, "D"), 0, roll="forward")
    days = np.busday_offset(first, session).astype(np.int64) * _DAY
    if frequency == "1d":
        return {"times": days, "session_open": days, "session_close": days}
    place = np.arange(len(session), dtype=np.int64) % _BARS[frequency]
    opening = days + _OPEN
    return {
        "times": opening + place * _STEP[frequency],
        "session_open": opening,
        "session_close": opening + 390 * _MINUTE,
    }
