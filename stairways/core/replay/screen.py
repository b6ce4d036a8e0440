"""Which recorded steps do not follow from the step before, the bars and the rules.

This looks at whole columns at once and says only *that* a row is odd; ``replay_blame`` says
why. Balances are held against the other sum of profit and loss: position times price move,
less costs, plus interest, less borrow fees. The environment keeps running cash instead.
"""

from dataclasses import dataclass

import numpy as np

from stairways.core.ledger import HOLD, Books, Holding, Quote, TradingRules, lot_size, order
from stairways.core.replay.books import Array, Chain, Flags, Int64, Market, Part, Steps

LARGEST_INT64 = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """What the books said before each step: ``(n,)``, or ``(n, N)`` by symbol."""

    cash: Int64
    equity: Int64
    positions: Int64
    lots: Int64

    @classmethod
    def of(cls, chain: Chain, rules: TradingRules) -> "Before":
        """Return the recorded books before each step of ``chain``."""
        return cls(
            cash=chain.before("cash", rules.starting_capital),
            equity=chain.before("equity", rules.starting_capital),
            positions=chain.before("positions", 0),
            lots=chain.before("lots", 0),
        )


def suspects(chain: Chain, market: Market, rules: TradingRules, part: Part) -> Flags:
    """Return which rows need a closer look; all others are as they should be."""
    steps, before = chain.steps, Before.of(chain, rules)
    rows = np.clip(steps.bar, 0, len(market) - 1)
    odd: Flags = (
        ~steps.readable
        | chain.unknown
        | _odd_place(chain, market, part, rows)
        | _odd_flows(steps, before, market, rows)
        | _odd_balances(steps, before, market, rows)
        | _odd_orders(steps, before, market, rules, rows)
    )
    odd[[row for row, _, _ in steps.damaged]] = True
    return odd


def gains(steps: Steps, held: Int64, market: Market, rows: Int64) -> Array:
    """Return each step's profit in micros: the other sum.

    ``held`` are the positions before each step. A position earns from the close of the
    decision to the fill, what is held afterwards from the fill to the next close. Exact: where
    64 bits might not hold it, Python's whole numbers do.
    """
    after = held + steps.shares
    before_fill = steps.prices - market.before[rows]
    after_fill = market.after[rows] - steps.prices
    worst = max(_largest(held), _largest(after)) * max(_largest(before_fill), _largest(after_fill))
    wide = worst * 4 * max(1, held.size) > LARGEST_INT64
    kind: type = object if wide else np.int64
    moves = held.astype(kind) * before_fill + after.astype(kind) * after_fill
    earned: Array = (moves - steps.costs).sum(axis=1) + steps.interest - steps.borrow
    return earned


def _largest(values: Int64) -> int:
    return int(np.abs(values).max(initial=0))


def _odd_place(chain: Chain, market: Market, part: Part, rows: Int64) -> Flags:
    """Tell which rows are at a wrong bar, time or price."""
    steps, due = chain.steps, chain.before("bar", 0) + 1
    started = (steps.bar >= part.window[0]) & (steps.bar <= part.last_start)
    odd: Flags = (
        np.where(chain.starts, ~started, steps.bar != due)
        | (steps.bar != rows)
        | (market.times[rows] != steps.bar_time)
        | (market.fills[rows] != steps.prices).any(axis=1)
    )
    return odd


def _odd_flows(steps: Steps, before: Before, market: Market, rows: Int64) -> Flags:
    """Tell where interest or borrow fee are not what is due; costs belong to the orders."""
    shorts = (np.maximum(-before.positions, 0) * market.before[rows]).sum(axis=1)
    odd: Flags = (np.rint(before.cash * market.interest[rows]) != steps.interest) | (
        np.rint(shorts * market.borrow[rows]) != steps.borrow
    )
    return odd


def _odd_balances(steps: Steps, before: Before, market: Market, rows: Int64) -> Flags:
    """Tell where positions are not the fold of shares, or balances not the other sum."""
    equity = before.equity + gains(steps, before.positions, market, rows)
    held = (steps.positions * market.after[rows]).sum(axis=1)
    odd: Flags = (
        (before.positions + steps.shares != steps.positions).any(axis=1)
        | (steps.equity != equity)
        | (steps.cash != equity - held)
    )
    return odd


def _odd_orders(
    steps: Steps, before: Before, market: Market, rules: TradingRules, rows: Int64
) -> Flags:
    """Tell where shares, cost, lots or clipping are not what the action leads to."""
    symbols = len(market.symbols)
    odd: Flags = (steps.action < 0) | (steps.action >= 3**symbols)
    fills, held = market.fills[rows], before.positions.copy()
    cash = before.cash + steps.interest - steps.borrow
    for symbol in range(symbols):
        digits = digit_of(steps.action, symbol, symbols)
        idle = (
            (steps.shares[:, symbol] == 0)
            & (steps.costs[:, symbol] == 0)
            & (steps.lots[:, symbol] == before.lots[:, symbol])
            & ~steps.clipped[:, symbol]
        )
        active = np.flatnonzero((digits != HOLD) & ~odd)
        odd |= (digits == HOLD) & ~idle
        worth = cash + (held * fills).sum(axis=1)
        gross = (np.abs(held) * fills).sum(axis=1)
        columns = (
            *(digits, before.positions[:, symbol], before.lots[:, symbol]),
            *(fills[:, symbol], market.before[rows, symbol], market.tradable[rows, symbol]),
            *(before.equity, gross, worth),
            *(steps.shares[:, symbol], steps.costs[:, symbol]),
            *(steps.lots[:, symbol], steps.clipped[:, symbol]),
        )
        cells = zip(*(column[active].tolist() for column in columns), strict=True)
        odd[active] |= np.array([not _follows(rules, cell) for cell in cells], dtype=np.bool_)
        held[:, symbol] += steps.shares[:, symbol]
        cash = cash - steps.shares[:, symbol] * fills[:, symbol] - steps.costs[:, symbol]
    return odd


def digit_of(action: Int64, symbol: int, symbols: int) -> Int64:
    """Return the digit of one symbol: base 3, first symbol highest."""
    digits: Int64 = action // 3 ** (symbols - 1 - symbol) % 3
    return digits


def _follows(rules: TradingRules, cell: tuple[int, ...]) -> bool:
    """Tell whether shares, cost, lots and clipping are what the rules make of an order."""
    digit, position, lots, price, close, tradable, equity, gross, worth, *recorded = cell
    quote = Quote(price, lot_size(equity, close, rules), bool(tradable))
    made = order(digit, Holding(position, lots), quote, Books(gross, worth), rules)
    return [made.shares, made.cost, made.lots, made.clipped] == recorded
