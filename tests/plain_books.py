"""An independent bookkeeper: the rules of trading once more, in plain Python, step by step.

It shares no code with the ledger or the replay. Tests replay the books it keeps.
"""

import bisect
import math
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stairways.core.ledger import TradingRules
from stairways.core.replay.books import Market, Part, Steps, market_of
from stairways.core.replay.claims import Assertions
from stairways.core.values import Position

DAY = 86_400 * 10**9
YEAR = 365 * DAY
FIRST_POSITION = 1001
Row = dict[str, Any]
BY_SYMBOL = ("shares", "prices", "costs", "clipped", "positions", "lots")
SINGLE = ("bar", "interest", "borrow", "cash", "equity", "terminated", "truncated", "action")


@dataclass
class Tape:
    """Random bars: ``open``, ``close`` and ``volume`` by bar and symbol, prices in micros."""

    times: list[int]
    open: list[list[int]]
    close: list[list[int]]
    volume: list[list[int]]

    @property
    def symbols(self) -> int:
        return len(self.open[0])

    def market(self, rules: TradingRules) -> Market:
        return market_of(
            tuple("ABCDE"[: self.symbols]),
            rules,
            times=np.array(self.times),
            opens=np.array(self.open),
            closes=np.array(self.close),
            volumes=np.array(self.volume),
        )


@dataclass
class Lane:
    """The books of one lane between two steps."""

    bar: int
    cash: int
    symbols: int
    equity: int
    peak: int
    age: int = 0
    held: list[int] = field(default_factory=list)
    lots: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.held, self.lots = [0] * self.symbols, [0] * self.symbols


def random_tape(chance: random.Random, bars: int, symbols: int) -> Tape:
    times, opens, closes, volumes = [], list[list[int]](), list[list[int]](), []
    now, prices = 10**18 // DAY * DAY, [chance.uniform(5, 500) for _ in range(symbols)]
    for _ in range(bars):
        now += DAY * chance.choice([1, 1, 1, 3])
        times.append(now)
        prices = [max(1.0, price * chance.gauss(1, 0.03)) for price in prices]
        opens.append([round(price * 1e6) for price in prices])
        prices = [max(1.0, price * chance.gauss(1, 0.03)) for price in prices]
        closes.append([round(price * 1e6) for price in prices])
        volumes.append([0 if chance.random() < 0.05 else 1000 for _ in range(symbols)])
    return Tape(times, opens, closes, volumes)


class Bookkeeper:
    """Keeps the books of some lanes and writes down every step like the recorder does."""

    def __init__(
        self, tape: Tape, rules: TradingRules, chance: random.Random, lanes: int, length: int
    ) -> None:
        self.tape, self.rules, self.chance, self.length = tape, rules, chance, length
        self.rows: list[Row] = []
        self.claims: list[Row] = []
        self.position = FIRST_POSITION
        self.lanes = [self.begin() for _ in range(lanes)]

    def begin(self) -> Lane:
        bar = self.chance.randint(0, len(self.tape.times) - 1 - self.length)
        capital = self.rules.starting_capital
        return Lane(bar, capital, self.tape.symbols, capital, capital)

    def rollout(self, steps: int, hold: float) -> None:
        """Take ``steps`` steps in every lane, then assert balances."""
        due = []
        for step in range(steps):
            for number, lane in enumerate(self.lanes):
                action = 0
                for _ in range(self.tape.symbols):
                    digit = 1 if self.chance.random() < hold else self.chance.choice([0, 2])
                    action = action * 3 + digit
                row = self.step(lane, action) | {"lane": number}
                self.write(self.rows, row)
                ended = bool(row["terminated"] or row["truncated"])
                if ended:
                    self.lanes[number] = self.begin()
                if ended or step == steps - 1:
                    due.append(row)
        for row in due:
            claim = {name: row[name] for name in ("lane", "cash", "positions", "equity")}
            self.write(self.claims, {**claim, "bar": row["bar"] + 1})

    def write(self, to: list[Row], row: Row) -> None:
        row["at"] = self.position
        self.position += 1
        if to is self.rows:
            row["step"] = len(self.rows) + 1
            self.position += 1  # its controller update
        to.append(row)

    def step(self, lane: Lane, action: int) -> Row:
        tape, rules, bar = self.tape, self.rules, lane.bar
        span = tape.times[bar + 1] - tape.times[bar]
        close, after = tape.close[bar], tape.close[bar + 1]
        fills, volume = tape.open[bar + 1], tape.volume[bar + 1]
        if rules.fill == "close":
            fills, volume = close, tape.volume[bar]
        interest = round(lane.cash * (rules.risk_free_rate * (span / YEAR)))
        shorts = sum(
            -held * price for held, price in zip(lane.held, close, strict=True) if held < 0
        )
        borrow = round(shorts * (rules.borrow_rate * (span / YEAR)))
        lane.cash += interest - borrow
        row: Row = {"bar": bar, "action": action}
        orders = []
        for i in range(tape.symbols):
            digit = action // 3 ** (tape.symbols - 1 - i) % 3
            quote = (close[i], fills, volume[i])
            shares, lots, clipped = self.order(lane, i, digit, quote)
            paid = self.cost(shares, fills[i])
            lane.cash -= shares * fills[i] + paid
            lane.held[i] += shares
            lane.lots[i] = lots
            orders.append((shares, fills[i], paid, clipped, lane.held[i], lots))
        row |= dict(zip(BY_SYMBOL, map(list, zip(*orders, strict=True)), strict=True))
        lane.equity = lane.cash + sum(h * p for h, p in zip(lane.held, after, strict=True))
        lane.peak = max(lane.peak, lane.equity)
        lane.bar, lane.age = bar + 1, lane.age + 1
        lost = 1.0 - lane.equity / lane.peak
        terminated = lane.equity <= 0 or lost >= rules.hard_stop
        over = lane.bar == len(tape.times) - 1 or lane.age == self.length
        books = {"interest": interest, "borrow": borrow, "cash": lane.cash, "equity": lane.equity}
        return row | books | {"terminated": terminated, "truncated": over and not terminated}

    def order(
        self, lane: Lane, i: int, digit: int, quote: tuple[int, list[int], int]
    ) -> tuple[int, int, bool]:
        close, fills, volume = quote
        rules, lots, held = self.rules, lane.lots[i], lane.held[i]
        asked = lots + digit - 1
        wanted = min(max(asked, -rules.max_lots if rules.allow_short else 0), rules.max_lots)
        if wanted == lots:
            return 0, lots, asked != lots
        if volume == 0:
            return 0, lots, True
        if abs(wanted) < abs(lots):
            kept = abs(held) * abs(wanted) // abs(lots)
            return (kept - abs(held)) * (1 if held > 0 else -1), wanted, False
        lot = max(0, math.floor(lane.equity * rules.lot_fraction / close))
        count = bisect.bisect_left(
            range(1, lot + 1), 1, key=lambda count: int(not self.fits(lane, i, count, fills))
        )
        if count == 0:
            return 0, lots, True
        return (count if wanted > lots else -count), wanted, count < lot

    def fits(self, lane: Lane, i: int, count: int, fills: list[int]) -> bool:
        values = [held * price for held, price in zip(lane.held, fills, strict=True)]
        left = lane.cash + sum(values) - self.cost(count, fills[i])
        return sum(map(abs, values)) + count * fills[i] <= self.rules.max_gross * left

    def cost(self, shares: int, price: int) -> int:
        if shares == 0:
            return 0
        value = abs(shares) * price
        impact = self.rules.impact_bp * math.sqrt(value / self.rules.starting_capital)
        return round(value * (self.rules.commission_bp + impact) / 1e4) + self.rules.ticket

    def steps(self, market: Market) -> Steps:
        """Return what was written down as columns."""
        columns = {name: np.array([row[name] for row in self.rows]) for name in _COLUMNS}
        times = np.array([market.times[bar] for bar in columns["bar"]], dtype=object)
        sound = np.ones(len(self.rows), dtype=np.bool_)
        return Steps(bar_time=times, readable=sound, damaged=frozenset(), **columns)

    def assertions(self) -> Assertions:
        names = ("at", "lane", "bar", "cash", "positions", "equity")
        columns = {name: np.array([row[name] for row in self.claims]) for name in names}
        sound = np.ones(len(self.claims), dtype=np.bool_)
        return Assertions(readable=sound, damaged=frozenset(), **columns)

    @property
    def part(self) -> Part:
        return Part(
            name="cycle 1 attempt 1",
            cycle=1,
            attempt=1,
            position=Position(FIRST_POSITION - 1),
            type="StepTaken",
            window=(0, len(self.tape.times)),
            first_step=1,
            lanes=len(self.lanes),
            episode_length=self.length,
            hard_stop=self.rules.hard_stop,
        )


_COLUMNS = ("at", "step", "lane", *SINGLE, *BY_SYMBOL)
