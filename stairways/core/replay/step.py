"""One step of the books, quantity by quantity, against what follows from the step before.

Rules for a single order, cost or accrual are those of ``core.ledger``; the profit is the
other sum. What is found wrong is believed to be as expected from here on.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from stairways.core.ledger import (
    BUY,
    HOLD,
    SELL,
    Books,
    Execution,
    Holding,
    Quote,
    TradingRules,
    accrual,
    cost,
    lot_size,
    order,
    short_value,
)
from stairways.core.replay.books import Chain, Findings, Market, Steps
from stairways.core.replay.report import Threshold

MOST_EFFECTS = 6
"""Wrong flows of one step of which every combination is tried to explain its cash."""


class Prior(NamedTuple):
    """What is believed about the books before a step."""

    cash: int
    equity: int
    positions: list[int]
    lots: list[int]


@dataclass(slots=True)
class Flow:
    """What a step does to cash, as believed, and by how much each wrong record would change it.

    ``earned`` is the other sum: the step's profit by price moves.
    """

    cash: int
    earned: int
    effects: list[int]

    def explains(self, difference: int) -> bool:
        """Tell whether the books were kept with some of the wrong records."""
        effects = self.effects[:MOST_EFFECTS]
        return any(
            sum(chosen) == difference
            for size in range(1, len(effects) + 1)
            for chosen in combinations(effects, size)
        )


class StepBooks:
    """What one step did to the books, quantity by quantity."""

    def __init__(  # noqa: PLR0917 - made in one place, from what replay_blame looks at
        self,
        chain: Chain,
        market: Market,
        rules: TradingRules,
        threshold: Threshold,
        findings: Findings,
        believed: Steps,
        row: int,
        bar: int,
    ) -> None:
        self.chain, self.rules, self.threshold, self.findings = chain, rules, threshold, findings
        self.steps, self.believed = chain.steps, believed
        self.row, self.at = row, int(chain.steps.at[row])
        self.symbols = range(len(market.symbols))
        self.close: list[int] = market.before[bar].tolist()
        self.next_close: list[int] = market.after[bar].tolist()
        self.fill: list[int] = market.fills[bar].tolist()
        self.tradable: list[bool] = market.tradable[bar].tolist()
        self.rates = float(market.interest[bar]), float(market.borrow[bar])

    def alone(self) -> None:
        """Compare what needs no knowledge of the step before."""
        for symbol in self.symbols:
            self._compare("prices", self.fill[symbol], "the registered bars", symbol)
            due = cost(self._recorded("shares", symbol), self.fill[symbol], self.rules)
            self._compare("costs", due, "commission, impact and ticket of the fill", symbol)
        held = sum(
            self._recorded("positions", symbol) * self.next_close[symbol] for symbol in self.symbols
        )
        due = self._recorded("cash") + held
        self._compare("equity", due, "cash and positions at the close")

    def compare(self, prior: Prior) -> None:
        """Compare everything with what follows from the books before."""
        flow = Flow(prior.cash, 0, [])
        self._accrue(prior, flow)
        self._trade(prior, flow)
        self._balance(prior, flow)

    def _accrue(self, prior: Prior, flow: Flow) -> None:
        """Compare interest and borrow fee."""
        shorts = sum(map(short_value, prior.positions, self.close))
        interest = accrual(prior.cash, self.rates[0])
        borrow = accrual(shorts, self.rates[1])
        self._compare("interest", interest, "the rate on cash since the bar before", flow=flow)
        self._compare(
            "borrow", borrow, "the rate on shorts since the bar before", flow=flow, sign=-1
        )
        flow.cash += interest - borrow
        flow.earned += interest - borrow

    def _trade(self, prior: Prior, flow: Flow) -> None:
        """Compare the order of each symbol, each in the books the one before left."""
        held, digits = list(prior.positions), list[int | None]()
        for symbol in self.symbols:
            made = self._outcomes(symbol, prior, held, flow.cash)
            shares, digit = self._order(symbol, prior, made)
            digits.append(digit)
            paid = cost(shares, self.fill[symbol], self.rules)
            why = "commission, impact and ticket of the fill"
            self._compare("costs", paid, why, symbol, flow=flow, sign=-1)
            why = "the registered bars"
            self._compare("prices", self.fill[symbol], why, symbol, flow=flow, sign=-shares)
            flow.cash -= shares * self.fill[symbol] + paid
            flow.earned += self._move(symbol, held[symbol], shares) - paid
            held[symbol] += shares
        self._compare_action(digits)

    def _move(self, symbol: int, held: int, shares: int) -> int:
        """Return what price moves earned: until the fill, and from it to the close."""
        before_fill = self.fill[symbol] - self.close[symbol]
        after_fill = self.next_close[symbol] - self.fill[symbol]
        return held * before_fill + (held + shares) * after_fill

    def _outcomes(
        self, symbol: int, prior: Prior, held: list[int], cash: int
    ) -> dict[int, Execution]:
        """Return what selling, holding and buying lead to."""
        lot = lot_size(prior.equity, self.close[symbol], self.rules)
        quote = Quote(self.fill[symbol], lot, self.tradable[symbol])
        worths = [shares * price for shares, price in zip(held, self.fill, strict=True)]
        books = Books(sum(map(abs, worths)), cash + sum(worths))
        holding = Holding(prior.positions[symbol], prior.lots[symbol])
        return {
            digit: order(digit, holding, quote, books, self.rules) for digit in (HOLD, SELL, BUY)
        }

    def _order(
        self, symbol: int, prior: Prior, made: dict[int, Execution]
    ) -> tuple[int, int | None]:
        """Compare shares, position, lots and clipping; return the shares and digit believed."""
        said = self._digit(symbol)
        due = None if said is None else made[said]
        shares = self._shares(symbol, prior.positions[symbol], due)
        digit = said if due is not None and self._fits(symbol, shares, due) else None
        if digit is None:
            digit = next((d for d in made if self._equals(symbol, shares, made[d])), None)
        if digit is None and due is not None and due.shares == shares:
            digit = said
        if digit is None:
            self._unexplained(symbol, prior, shares, due)
            return shares, said
        self._compare("lots", made[digit].lots, "the action and the limit of lots", symbol)
        clipped = made[digit].clipped
        why = "the action met a limit" if clipped else "the action met no limit"
        self._compare("clipped", clipped, why, symbol)
        return shares, digit

    def _unexplained(self, symbol: int, prior: Prior, shares: int, due: Execution | None) -> None:
        """Take note of shares that no action would have moved."""
        if due is not None and self._recorded("shares", symbol) == shares:
            why = "the action, the size of a lot and the gross limit"
            self.findings.add(self.at, "shares", due.shares, shares, why, symbol)
        if not self.steps.sound(self.row, "lots", symbol):
            self.believed.lots[self.row, symbol] = prior.lots[symbol]

    def _shares(self, symbol: int, held: int, due: Execution | None) -> int:
        """Return the shares believed: two of record, positions and order against the third."""
        said = []
        if self.steps.sound(self.row, "shares", symbol):
            said.append(self._recorded("shares", symbol))
        if self.steps.sound(self.row, "positions", symbol):
            moved = self._recorded("positions", symbol) - held
            said.insert(0 if self._goes_on(symbol) else len(said), moved)
        if due is not None:
            said.append(due.shares)
        shares = Counter(said).most_common(1)[0][0] if said else 0
        self._compare("shares", shares, "the positions and the order say so", symbol)
        self._compare("positions", held + shares, "the fold of all shares", symbol)
        return shares

    def _goes_on(self, symbol: int) -> bool:
        """Tell whether the next step goes on from the position as it is recorded."""
        if not self.chain.continues(self.row):
            return False
        after, steps = self.row + 1, self.steps
        moved = steps.positions[after, symbol] - steps.shares[after, symbol]
        return bool(moved == steps.positions[self.row, symbol])

    def _fits(self, symbol: int, shares: int, due: Execution) -> bool:
        """Tell whether the action explains the shares, and lots or clipping as recorded."""
        lots = not self.steps.sound(self.row, "lots", symbol)
        clipped = not self.steps.sound(self.row, "clipped", symbol)
        lots |= due.lots == self._recorded("lots", symbol)
        clipped |= due.clipped == bool(self._recorded("clipped", symbol))
        return due.shares == shares and (lots or clipped)

    def _equals(self, symbol: int, shares: int, made: Execution) -> bool:
        """Tell whether an action explains shares, lots and clipping as recorded."""
        sound = self.steps.sound
        return (
            made.shares == shares
            and (not sound(self.row, "lots", symbol) or made.lots == self._recorded("lots", symbol))
            and (
                not sound(self.row, "clipped", symbol)
                or made.clipped == bool(self._recorded("clipped", symbol))
            )
        )

    def _digit(self, symbol: int) -> int | None:
        """Return the digit of the recorded action; ``None`` if it is no action."""
        action = self._recorded("action")
        if not self.steps.sound(self.row, "action") or not 0 <= action < 3 ** len(self.symbols):
            return None
        return int(action // 3 ** (len(self.symbols) - 1 - symbol) % 3)

    def _compare_action(self, digits: list[int | None]) -> None:
        """Compare the action with the one that explains what was done."""
        known = [digit for digit in digits if digit is not None]
        if len(known) == len(digits):
            action = 0
            for digit in known:
                action = action * 3 + digit
            self._compare("action", action, "it explains shares, lots and clipping")
        elif not 0 <= self._recorded("action") < 3 ** len(digits):
            self._compare("action", None, "there is no such action")

    def _balance(self, prior: Prior, flow: Flow) -> None:
        """Compare cash and equity."""
        sound = self.steps.sound(self.row, "cash")
        equity = prior.equity + flow.earned
        off = self._recorded("cash") - flow.cash if sound else 0
        explained = off == 0 or flow.explains(off) or self._tolerates(off, equity)
        if explained:
            equity += off
        else:
            self._compare("cash", flow.cash, "the cash before and what was paid and received")
        if not self._tolerates(self._recorded("equity") - equity, equity):
            self._compare("equity", equity, "the sum of price moves, costs and interest")
        self.believed.equity[self.row] = equity
        self.believed.cash[self.row] = flow.cash + (off if explained else 0)
        if not explained and self._cash_goes_on():  # from here on the books are shifted
            self.believed.equity[self.row] += off
            self.believed.cash[self.row] += off

    def _tolerates(self, difference: int, equity: int) -> bool:
        """Tell whether a balance may be off by so much."""
        capital = self.rules.starting_capital
        return self.threshold.accepts(
            difference=difference, profit=equity - capital, capital=capital
        )

    def _cash_goes_on(self) -> bool:
        """Tell whether the next step goes on from the cash as it is recorded."""
        if not self.chain.continues(self.row):
            return False
        after, steps = self.row + 1, self.steps
        paid = int((steps.shares[after] * steps.prices[after] + steps.costs[after]).sum())
        moved = int(steps.interest[after]) - int(steps.borrow[after]) - paid
        return int(steps.cash[after]) - moved == int(steps.cash[self.row])

    def _recorded(self, name: str, symbol: int | None = None) -> int:
        column = getattr(self.steps, name)
        return int(column[self.row] if symbol is None else column[self.row, symbol])

    def _compare(
        self,
        name: str,
        expected: int | bool | None,  # noqa: FBT001 - a stored value may be a flag
        why: str,
        symbol: int | None = None,
        *,
        flow: Flow | None = None,
        sign: int = 1,
    ) -> None:
        """Name a stored value that differs; note in ``flow`` what the books would make of it."""
        column = getattr(self.steps, name)
        recorded = (column[self.row] if symbol is None else column[self.row, symbol]).item()
        sound = self.steps.sound(self.row, name, symbol)
        if expected is not None and (recorded != expected or not sound):
            believed = getattr(self.believed, name)
            believed[self.row if symbol is None else (self.row, symbol)] = expected
        if recorded == expected or not sound:
            return
        self.findings.add(self.at, name, expected, recorded, why, symbol)
        if flow is not None and expected is not None:
            flow.effects.append(sign * (recorded - expected))
