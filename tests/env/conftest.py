"""Bars made to measure, and the environment told once more as a fold of plain values."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stairways.core.controller import Controller, ControllerRules
from stairways.core.ledger import (
    Account,
    Quote,
    TradingRules,
    accrual,
    is_stopped,
    lot_size,
    trade,
)
from stairways.core.reward import drawdown_penalty, log_return
from stairways.core.values import Digest, Micros
from stairways.env.tape import Tape
from stairways.market.bars import Bars, Frequency, Int64

DAY = 86_400_000_000_000
NO_DIGEST = Digest("0" * 64)

MakeBars = Callable[..., Bars]
Row = dict[str, Any]


def bars_of(
    close: npt.ArrayLike,
    *,
    opened: npt.ArrayLike | None = None,
    volume: npt.ArrayLike = 1_000,
    frequency: Frequency = "1d",
) -> Bars:
    """Return daily bars with these closes, and opens (else the close before), in micros."""
    closes = np.atleast_2d(np.asarray(close, np.int64).T).T
    before = np.concatenate((closes[:1], closes[:-1]))
    opens = before if opened is None else np.asarray(opened, np.int64).reshape(closes.shape)
    times = np.arange(len(closes), dtype=np.int64) * DAY
    return Bars(
        symbols=tuple(f"S{symbol}" for symbol in range(closes.shape[1])),
        frequency=frequency,
        adjustment="splits",
        timezone="UTC",
        calendar="XNYS",
        simulated=True,
        times=times,
        open=opens,
        high=np.maximum(opens, closes),
        low=np.minimum(opens, closes),
        close=closes,
        volume=np.broadcast_to(np.asarray(volume, np.int64), closes.shape).copy(),
        session=np.arange(len(closes), dtype=np.int64),
        session_open=times,
        session_close=times,
        digest=NO_DIGEST,
    )


def drifting(rows: int, symbols: int, seed: int, *, spread: float = 0.03) -> Bars:
    """Return bars whose prices wander, with gaps overnight and a few bars without volume."""
    generator = np.random.default_rng(seed)
    path = np.cumsum(generator.normal(0, spread, (rows, symbols)), axis=0).clip(-8.0, 8.0)
    close = np.rint(5e7 * np.exp(path)).astype(np.int64) + 1
    gaps = np.exp(generator.normal(0, spread, (rows, symbols)))
    opened = np.rint(close * gaps).astype(np.int64) + 1
    volume = generator.integers(0, 10, (rows, symbols)) * 1_000
    return bars_of(close, opened=opened, volume=volume)


@dataclass
class _Lane:
    row: int
    account: Account
    equity: int
    peak: int
    first: int = field(init=False)

    def __post_init__(self) -> None:
        self.first = self.row


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a walk needs to know: the market, the rules, and where episodes end."""

    tape: Tape
    trading: TradingRules
    control: ControllerRules
    last: int
    length: int
    target: float


def walk(told: Told, starts: Sequence[Iterator[int]], actions: Int64) -> list[Row]:
    """Return what every lane does step by step, in plain values: ``(steps x lanes)`` rows."""
    controller = Controller()
    running: list[_Lane | None] = [None] * len(starts)
    rows: list[Row] = []
    for chosen in actions.tolist():
        bonus = controller.bonus
        for number, action in enumerate(chosen):
            lane = running[number] or _opened(next(starts[number]), told)
            row = _stepped(lane, action, bonus, told)
            controller = controller.after(
                hold=row.pop("hold"),
                regime=float(told.tape.rates["regime"][row["row"]]),
                other_terms=row.pop("other_terms"),
                target=told.target,
                rules=told.control,
            )
            rows.append(row | _facts(controller))
            running[number] = None if row["terminated"] or row["truncated"] else lane
    return rows


def _opened(row: int, told: Told) -> _Lane:
    capital = told.trading.starting_capital
    return _Lane(row, Account.opened(capital, len(told.tape.symbols)), capital, capital)


def _stepped(lane: _Lane, action: int, bonus: float, told: Told) -> Row:
    trading, rates, row = told.trading, told.tape.rates[lane.row], lane.row
    digits = _digits(action, len(told.tape.symbols))
    account, order_facts, accruals = _executed(lane, digits, told)
    equity = account.equity(told.tape.quotes["close"][row + 1].tolist())
    peak = max(lane.peak, equity)
    earned, penalty = log_return(lane.equity, equity), drawdown_penalty(equity, peak, trading)
    free = 1e4 * float(rates["interest"])
    paid = bonus if set(digits) == {1} else 0.0
    stopped = is_stopped(equity, peak, trading)
    over = told.last == row + 1 or row + 1 - lane.first == told.length
    lane.account, lane.equity, lane.peak, lane.row = account, equity, peak, row + 1
    money: Row = {"row": row, "action": action, "cash": account.cash, "equity": equity}
    terms: Row = {
        "reward": earned - free - penalty + paid,
        "log_return": earned,
        "risk_free": free,
        "drawdown_penalty": penalty,
        "hold_bonus": paid,
        "terminated": stopped,
        "truncated": over and not stopped,
        "hold": set(digits) == {1},
        "other_terms": earned - free - penalty,
    }
    return money | accruals | order_facts | terms


def _digits(action: int, symbols: int) -> list[int]:
    return [action // 3 ** (symbols - 1 - symbol) % 3 for symbol in range(symbols)]


def _executed(lane: _Lane, digits: Sequence[int], told: Told) -> tuple[Account, Row, Row]:
    rates, now = told.tape.rates[lane.row], told.tape.quotes[lane.row]
    interest = accrual(lane.account.cash, float(rates["interest"]))
    borrow = accrual(lane.account.shorts(now["close"].tolist()), float(rates["borrow"]))
    quotes = [
        Quote(fill, lot_size(lane.equity, close, told.trading), bool(tradable))
        for fill, close, tradable in now[["fill", "close", "tradable"]].tolist()
    ]
    account, fills, clipped = trade(
        lane.account.accrued(Micros(interest), Micros(borrow)), digits, quotes, told.trading
    )
    moved = {fill.symbol: fill for fill in fills}
    orders: Row = {
        "shares": [moved[i].shares if i in moved else 0 for i in range(len(digits))],
        "price": now["fill"].tolist(),
        "cost": [moved[i].cost if i in moved else 0 for i in range(len(digits))],
        "position": list(account.positions),
        "lots": list(account.lots),
        "clipped": list(clipped),
    }
    return account, orders, {"interest": interest, "borrow": borrow}


def _facts(controller: Controller) -> Row:
    names = ("hold_rate", "target", "error", "regime", "fast", "slow", "bonus", "spread")
    return {name: getattr(controller, name) for name in names}


@pytest.fixture(scope="session")
def make_bars() -> MakeBars:
    return bars_of


@pytest.fixture(scope="session")
def wander() -> MakeBars:
    return drifting


@pytest.fixture(scope="session")
def told_again() -> Callable[..., list[Row]]:
    """Return the fold: it takes what ``Told`` names, then ``starts`` and ``actions``."""

    def tell(
        *,
        tape: Tape,
        trading: TradingRules,
        control: ControllerRules,
        last: int,
        length: int,
        target: float,
        starts: Sequence[Iterator[int]],
        actions: Int64,
    ) -> list[Row]:
        told = Told(
            tape=tape, trading=trading, control=control, last=last, length=length, target=target
        )
        return walk(told, starts, actions)

    return tell


@pytest.fixture(scope="session")
def free() -> TradingRules:
    """Rules under which nothing costs, earns or stops."""
    return replace(
        TradingRules(),
        commission_bp=0.0,
        ticket=Micros(0),
        risk_free_rate=0.0,
        hard_stop=1.0,
        drawdown_weight=0.0,
    )
