"""What an order costs, how many shares it moves and what an account is worth.

This is the only arithmetic on money. The rules are functions over plain numbers, so that
the environment can run the very same functions, compiled, over many lanes; ``Account``
puts names round them. Money is whole micros. Only ``+ - * /``, square root and rounding
half to even occur, because these give the same bits on every processor.

Every amount stays below 2**53 micros (nine billion dollars): up to there whole numbers
turn into floats and back without loss, and every reader of the log keeps them exactly.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from stairways.core.values import LARGEST_WHOLE_NUMBER, MICROS_PER_DOLLAR, Micros, Shares
from stairways.errors import SettingsError

SELL, HOLD, BUY = 0, 1, 2
"""The digits of an action, one for each symbol, first symbol highest in base 3."""

BASIS_POINTS = 1e4
YEAR_IN_NANOSECONDS = 365 * 86_400 * 1_000_000_000
MOST_LOTS = 100
STARTING_CAPITAL = Micros(100_000 * MICROS_PER_DOLLAR)
TICKET = Micros(MICROS_PER_DOLLAR // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingRules:
    """The rules of trading; a run records the value of each.

    Rates are shares of the amount a year (of 365 days), costs are basis points of traded
    value, limits are shares of equity.
    """

    starting_capital: Micros = STARTING_CAPITAL
    lot_fraction: float = 0.25  # of equity at the decision, in one lot
    max_lots: int = 1
    allow_short: bool = True
    max_gross: float = 1.0  # of equity; an opening order is cut to stay within
    commission_bp: float = 1.0
    ticket: Micros = TICKET  # on every fill
    impact_bp: float = 0.0  # times the root of traded value / starting capital
    borrow_rate: float = 0.0  # a year, on the value of shorts
    risk_free_rate: float = 0.05  # a year, on cash
    fill: Literal["next_open", "close"] = "next_open"
    soft_limit: float = 0.02  # drawdown from which the penalty grows
    hard_stop: float = 0.20  # drawdown that terminates the episode
    drawdown_weight: float = 0.1  # basis points of penalty for one of drawdown beyond the limit
    episode_length: int = 1_000  # steps at most, and at most half of the window

    def __post_init__(self) -> None:
        for complaint in _complaints(self):
            raise SettingsError(complaint)

    def steps_within(self, bars: int) -> int:
        """Return the steps of an episode that begins anywhere in a window of ``bars`` bars.

        At most half of the window: lanes that all had to begin at the same few bars would see
        the same bars, and never some others.
        """
        return min(self.episode_length, bars // 2)


def _complaints(rules: TradingRules) -> Iterator[str]:
    """Say what is wrong with ``rules``, in the words of the setting."""
    for name, least, most in _RANGES:
        value = getattr(rules, name)
        if not least <= value <= most:  # NaN is in no range
            yield f"trading.{name} is {value}; it must be from {least} to {most}"
    if rules.fill not in {"next_open", "close"}:
        yield f"trading.fill is {rules.fill!r}; it must be 'next_open' or 'close'"


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("starting_capital", 1, LARGEST_WHOLE_NUMBER),
    ("lot_fraction", 0.0, 10.0),
    ("max_lots", 1, MOST_LOTS),
    ("max_gross", 0.0, 10.0),
    ("commission_bp", 0.0, BASIS_POINTS),
    ("ticket", 0, LARGEST_WHOLE_NUMBER),
    ("impact_bp", 0.0, BASIS_POINTS),
    ("borrow_rate", 0.0, 1_000.0),
    ("risk_free_rate", -1.0, 1_000.0),
    ("soft_limit", 0.0, 1.0),
    ("hard_stop", 0.0, 1.0),
    ("drawdown_weight", 0.0, BASIS_POINTS),
    ("episode_length", 1, 10**9),
)


def accrual(amount: int, rate: float) -> int:
    """Return what ``amount`` earns, or owes, at ``rate`` for the time of one bar."""
    return round(amount * rate)


def rate_between(rate: float, start: int, end: int) -> float:
    """Return the share of a yearly ``rate`` that falls between two times in nanoseconds."""
    return rate * ((end - start) / YEAR_IN_NANOSECONDS)


def short_value(position: int, price: int) -> int:
    """Return what the borrowed shares are worth; 0 unless the position is short."""
    return -position * price if position < 0 else 0


def wanted_lots(lots: int, digit: int, rules: TradingRules) -> int:
    """Return the lots that selling, holding or buying one lot leads to, within the limits."""
    asked = lots + digit - HOLD
    least = -rules.max_lots if rules.allow_short else 0
    if asked < least:
        return least
    if asked > rules.max_lots:
        return rules.max_lots
    return asked


def lot_size(equity: int, close: int, rules: TradingRules) -> int:
    """Return the whole shares in one lot, sized at the equity and price of the decision."""
    shares = math.floor(equity * rules.lot_fraction / close)
    return max(0, shares)


def reduction(position: int, lots: int, wanted: int) -> int:
    """Return the signed shares that take ``position`` from ``lots`` to fewer of them."""
    sold = held = abs(position)
    if wanted != 0:
        sold -= held * abs(wanted) // abs(lots)
    return -sold if position > 0 else sold


def cost(shares: int, price: int, rules: TradingRules) -> int:
    """Return commission, square-root impact and ticket of a fill; 0 when nothing moves."""
    if shares == 0:
        return 0
    value = abs(shares) * price
    points = rules.commission_bp
    if rules.impact_bp > 0.0:
        points += rules.impact_bp * math.sqrt(value / rules.starting_capital)
    return round(value * points / BASIS_POINTS) + rules.ticket


class Quote(NamedTuple):
    """What the market offers one symbol: fill price in micros, shares in one lot, any trade."""

    price: int
    lot: int  # sized at the decision, see ``lot_size``
    tradable: bool


class Holding(NamedTuple):
    """What an account has of one symbol."""

    position: int
    lots: int


class Books(NamedTuple):
    """Exposure and equity before an order, both at fill prices, in micros."""

    gross: int
    worth: int


class Execution(NamedTuple):
    """What became of an order; ``clipped`` when it met a limit and was cut."""

    shares: int
    cost: int
    lots: int  # held afterwards
    clipped: bool


def fits(shares: int, price: int, books: Books, rules: TradingRules) -> bool:
    """Say whether exposure stays within the equity that is left after the fill's cost."""
    left = books.worth - cost(shares, price, rules)
    return books.gross + shares * price <= rules.max_gross * left


def affordable(wanted: int, price: int, books: Books, rules: TradingRules) -> int:
    """Return the most whole shares, up to ``wanted``, that may be opened.

    Exposure grows and equity shrinks with every share, so halving finds the limit.
    """
    high = wanted
    if float(wanted) * price > LARGEST_WHOLE_NUMBER:  # whole numbers would overflow, compiled
        high = LARGEST_WHOLE_NUMBER // price
    if fits(high, price, books, rules):
        return high
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle, price, books, rules):
            low = middle
        else:
            high = middle
    return low


def opening(wanted: int, lots: int, quote: Quote, books: Books, rules: TradingRules) -> Execution:
    """Execute an order for one more lot on the side of ``wanted``, cut to what is affordable."""
    shares = affordable(quote.lot, quote.price, books, rules)
    if shares == 0:
        return Execution(0, 0, lots, clipped=True)
    signed = shares if wanted > lots else -shares
    return Execution(signed, cost(shares, quote.price, rules), wanted, clipped=shares < quote.lot)


def order(
    digit: int, holding: Holding, quote: Quote, books: Books, rules: TradingRules
) -> Execution:
    """Execute what an action says of one symbol.

    A symbol that did not trade at the filling bar fills nothing. Where the limit of lots
    is met nothing moves; what would not be affordable is cut to whole shares that are.
    """
    lots = holding.lots
    wanted = wanted_lots(lots, digit, rules)
    if wanted == lots:
        return Execution(0, 0, lots, clipped=digit != HOLD)
    if not quote.tradable:
        return Execution(0, 0, lots, clipped=True)
    if abs(wanted) < abs(lots):
        shares = reduction(holding.position, lots, wanted)
        return Execution(shares, cost(shares, quote.price, rules), wanted, clipped=False)
    return opening(wanted, lots, quote, books, rules)


def drawdown(equity: int, peak: int) -> float:
    """Return the share of ``peak`` that is lost; above 1 when there are debts."""
    return (peak - equity) / peak


def is_stopped(equity: int, peak: int, rules: TradingRules) -> bool:
    """Say whether the losses terminate the episode."""
    return equity <= 0 or drawdown(equity, peak) >= rules.hard_stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """An order that was executed: shares are negative when sold, lots are the change."""

    symbol: int
    shares: Shares
    price: Micros
    cost: Micros
    lots: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Cash, whole shares and lots of each symbol. Equity = cash + sum of position x price."""

    cash: Micros
    positions: tuple[Shares, ...]
    lots: tuple[int, ...]

    @classmethod
    def opened(cls, cash: Micros, symbols: int) -> "Account":
        """Return an account that holds cash only."""
        return cls(cash=cash, positions=(Shares(0),) * symbols, lots=(0,) * symbols)

    def after(self, fill: Fill) -> "Account":
        """Return the account once ``fill`` is booked."""
        return replace(
            self,
            cash=Micros(self.cash - fill.shares * fill.price - fill.cost),
            positions=tuple(
                Shares(held + fill.shares) if symbol == fill.symbol else held
                for symbol, held in enumerate(self.positions)
            ),
            lots=tuple(
                held + fill.lots if symbol == fill.symbol else held
                for symbol, held in enumerate(self.lots)
            ),
        )

    def accrued(self, interest: Micros, borrow: Micros) -> "Account":
        """Return the account once interest came in and the lender of shares was paid."""
        return replace(self, cash=Micros(self.cash + interest - borrow))

    def holding(self, symbol: int) -> Holding:
        """Return position and lots of one symbol."""
        return Holding(self.positions[symbol], self.lots[symbol])

    def fill_of(self, symbol: int, price: int, execution: Execution) -> Fill:
        """Return the execution of an order of this account as a fill to book."""
        return Fill(
            symbol=symbol,
            shares=Shares(execution.shares),
            price=Micros(price),
            cost=Micros(execution.cost),
            lots=execution.lots - self.lots[symbol],
        )

    def equity(self, prices: Sequence[int]) -> Micros:
        """Return what everything is worth at ``prices``, in micros by symbol."""
        return Micros(self.cash + sum(map(_product, self.positions, prices)))

    def gross(self, prices: Sequence[int]) -> Micros:
        """Return the sum of what every position is worth, long or short."""
        return Micros(sum(map(_product, map(abs, self.positions), prices)))

    def shorts(self, prices: Sequence[int]) -> Micros:
        """Return what the borrowed shares are worth."""
        return Micros(sum(map(short_value, self.positions, prices)))


def _product(shares: int, price: int) -> int:
    return shares * price


def trade(
    account: Account, digits: Sequence[int], quotes: Sequence[Quote], rules: TradingRules
) -> tuple[Account, tuple[Fill, ...], tuple[bool, ...]]:
    """Execute one decision, symbol by symbol, each in the books the one before left.

    Returns the account afterwards, the fills in order, and for each symbol whether its
    order met a limit.
    """
    prices = [quote.price for quote in quotes]
    fills, clipped = [], []
    for symbol, (digit, quote) in enumerate(zip(digits, quotes, strict=True)):
        books = Books(account.gross(prices), account.equity(prices))
        execution = order(digit, account.holding(symbol), quote, books, rules)
        clipped.append(execution.clipped)
        fill = account.fill_of(symbol, quote.price, execution)
        if fill.shares or fill.lots:
            account = account.after(fill)
            fills.append(fill)
    return account, tuple(fills), tuple(clipped)
