"""The arithmetic on money."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from stairways.core.ledger import (
    Account,
    Books,
    Fill,
    Holding,
    Quote,
    TradingRules,
    accrual,
    affordable,
    cost,
    drawdown,
    fits,
    is_stopped,
    lot_size,
    order,
    rate_between,
    reduction,
    short_value,
    trade,
    wanted_lots,
)
from stairways.core.values import Micros, Shares
from stairways.errors import SettingsError

SELL, HOLD, BUY = 0, 1, 2
DOLLAR = 1_000_000
RULES = TradingRules()
FREE = replace(RULES, commission_bp=0.0, ticket=Micros(0))

prices = st.integers(1, 10**9)
digits = st.sampled_from([SELL, HOLD, BUY])
rules = st.builds(
    TradingRules,
    lot_fraction=st.floats(0.01, 1.5),
    max_lots=st.integers(1, 5),
    allow_short=st.booleans(),
    max_gross=st.floats(0.1, 2.0),
    commission_bp=st.floats(0, 100),
    ticket=st.integers(0, 10 * DOLLAR).map(Micros),
    impact_bp=st.floats(0, 100),
)
orders = st.lists(
    st.tuples(st.lists(digits, min_size=2, max_size=2), st.lists(prices, min_size=2, max_size=2)),
    min_size=1,
    max_size=30,
)


def traded(
    account: Account, chosen: list[int], at: list[int], rule: TradingRules
) -> tuple[Account, tuple[Fill, ...]]:
    quotes = [
        Quote(price, lot_size(account.equity(at), price, rule), tradable=True) for price in at
    ]
    account, fills, _ = trade(account, chosen, quotes, rule)
    return account, fills


@given(rules, orders)
def test_money_moves_only_with_prices_and_costs(
    rule: TradingRules, path: list[tuple[list[int], list[int]]]
) -> None:
    start = account = Account.opened(Micros(10**11), 2)
    earned, last = 0, path[0][1]
    for chosen, at in path:
        moves = [now - before for now, before in zip(at, last, strict=True)]
        earned += sum(held * move for held, move in zip(account.positions, moves, strict=True))
        assume(start.cash + earned > 0)
        account, fills = traded(account, chosen, at, rule)
        earned -= sum(fill.cost for fill in fills)
        last = at

    assert account.equity(last) - start.cash == earned


@given(rules, orders)
def test_closing_everything_leaves_cash_of_start_plus_profit(
    rule: TradingRules, path: list[tuple[list[int], list[int]]]
) -> None:
    account, booked, last = Account.opened(Micros(10**11), 2), 0, path[0][1]
    for chosen, at in path:
        assume(account.equity(at) > 0)
        account, fills = traded(account, chosen, at, rule)
        booked -= sum(fill.shares * fill.price + fill.cost for fill in fills)
        last = at
    for _ in range(rule.max_lots):
        chosen = [BUY if lots < 0 else SELL if lots > 0 else HOLD for lots in account.lots]
        account, fills = traded(account, chosen, last, rule)
        booked -= sum(fill.shares * fill.price + fill.cost for fill in fills)

    assert account.positions == (0, 0)
    assert account.lots == (0, 0)
    assert account.cash == account.equity(last) == 10**11 + booked


@given(rules, orders)
def test_lots_stay_within_their_limits_and_on_the_side_of_the_position(
    rule: TradingRules, path: list[tuple[list[int], list[int]]]
) -> None:
    account = Account.opened(Micros(10**11), 2)
    for chosen, at in path:
        assume(account.equity(at) > 0)
        account, _ = traded(account, chosen, at, rule)
        for lots, position in zip(account.lots, account.positions, strict=True):
            assert -rule.max_lots * rule.allow_short <= lots <= rule.max_lots
            assert lots * position >= 0
            assert position == 0 or lots != 0


@given(rules, prices, st.integers(0, 10**9), st.integers(0, 10**12), st.integers(1, 10**12))
def test_an_opening_order_is_cut_to_the_most_shares_that_are_affordable(
    rule: TradingRules, price: int, wanted: int, gross: int, worth: int
) -> None:
    books = Books(gross, worth)
    shares = affordable(wanted, price, books, rule)

    assert 0 <= shares <= wanted
    assert shares == 0 or fits(shares, price, books, rule)
    assert shares == wanted or not fits(shares + 1, price, books, rule)


@given(rules, orders)
@example(
    replace(RULES, lot_fraction=1.0, max_gross=0.5, commission_bp=0.0, ticket=Micros(4_000_000)),
    [([1, 2], [4, 38_330]), ([2, 0], [92, 1])],
)
def test_no_opening_fill_borrows_to_go_beyond_the_gross_limit(
    rule: TradingRules, path: list[tuple[list[int], list[int]]]
) -> None:
    account = Account.opened(Micros(10**11), 2)
    for chosen, at in path:
        assume(account.equity(at) > 0)
        afterwards, fills = traded(account, chosen, at, rule)
        for fill in fills:  # what a closing fill costs may leave less than was opened before it
            before, account = account.lots[fill.symbol], account.after(fill)
            if abs(account.lots[fill.symbol]) > abs(before):
                assert account.gross(at) <= rule.max_gross * account.equity(at)
        assert account == afterwards


def test_costs_are_paid_from_what_the_order_may_spend() -> None:
    everything = replace(RULES, lot_fraction=1.0, allow_short=False)
    account, fills = traded(
        Account.opened(Micros(100_000 * DOLLAR), 1), [BUY], [DOLLAR], everything
    )

    assert fills[0].shares == 99_989  # 100,000 - 0.50 - 1 bp of it, in whole shares
    assert account.cash >= 0


def test_a_long_only_sale_never_opens_a_short() -> None:
    long_only = replace(RULES, allow_short=False)
    account = Account.opened(Micros(10**11), 1)
    assert traded(account, [SELL], [DOLLAR], long_only) == (account, ())
    account, _ = traded(account, [BUY], [DOLLAR], long_only)
    account, fills = traded(account, [SELL], [2 * DOLLAR], long_only)
    assert account.positions == (0,)
    assert fills[0].shares == -25_000


def test_selling_from_flat_opens_a_short() -> None:
    account, fills = traded(Account.opened(Micros(10**11), 1), [SELL], [DOLLAR], RULES)
    assert account.positions == (-25_000,)
    assert fills[0].lots == -1


@pytest.mark.parametrize("price", [1, DOLLAR, 10**10])
def test_the_price_itself_never_disables_buying(price: int) -> None:
    account, _ = traded(Account.opened(Micros(10**11), 1), [BUY], [price], FREE)
    assert account.positions == (10**11 // 4 // price,)


def test_a_cost_is_commission_impact_and_ticket_and_always_paid() -> None:
    assert cost(1_000, 100 * DOLLAR, RULES) == 10 * DOLLAR + DOLLAR // 2
    assert cost(-1_000, 100 * DOLLAR, RULES) == cost(1_000, 100 * DOLLAR, RULES)
    assert cost(0, 100 * DOLLAR, RULES) == 0
    # a quarter of the capital: the root is one half
    impact = replace(FREE, impact_bp=8.0)
    assert cost(250, 100 * DOLLAR, impact) == 250 * 100 * DOLLAR * 4 // 10_000


@given(st.integers(-(10**6), 10**6), prices, rules)
def test_a_cost_is_never_negative(shares: int, price: int, rule: TradingRules) -> None:
    assert cost(shares, price, rule) >= 0


def test_a_hundred_round_trips_at_a_flat_price_cost_their_commission() -> None:
    """All in, a purchase of v costs v (1 + f) and its sale brings v (1 - f)."""
    rule = replace(FREE, commission_bp=10.0, lot_fraction=1.0, allow_short=False)
    account, paid = Account.opened(Micros(10**14), 1), 0
    for chosen in [BUY, SELL] * 100:
        account, fills = traded(account, [chosen], [1_000], rule)
        paid += sum(fill.cost for fill in fills)

    assert account.cash == 10**14 - paid
    assert math.isclose(account.cash / 10**14, (0.999 / 1.001) ** 100, rel_tol=1e-8)


def test_a_symbol_that_did_not_trade_fills_nothing_on_either_side() -> None:
    for digit, lots in [(BUY, 0), (SELL, 0), (SELL, 1), (BUY, -1)]:
        done = order(
            digit,
            Holding(5 * lots, lots),
            Quote(DOLLAR, 100, tradable=False),
            Books(0, 10**11),
            RULES,
        )
        assert done == (0, 0, lots, True)


def test_holding_is_neither_an_order_nor_clipped() -> None:
    for lots in (-1, 0, 1):
        for tradable in (True, False):
            quote = Quote(DOLLAR, 100, tradable=tradable)
            done = order(HOLD, Holding(7 * lots, lots), quote, Books(0, 10**11), RULES)
            assert done == (0, 0, lots, False)


def test_an_order_beyond_the_limit_is_clipped_and_moves_nothing() -> None:
    quote, books = Quote(DOLLAR, 100, tradable=True), Books(0, 10**11)
    assert order(BUY, Holding(100, 1), quote, books, RULES) == (0, 0, 1, True)
    assert order(SELL, Holding(-100, -1), quote, books, RULES) == (0, 0, -1, True)


def test_an_order_cut_by_the_gross_limit_is_filled_in_part_and_says_so() -> None:
    done = order(BUY, Holding(0, 0), Quote(DOLLAR, 100, tradable=True), Books(0, 40 * DOLLAR), FREE)
    assert done == (40, 0, 1, True)


def test_an_account_without_equity_opens_nothing() -> None:
    for worth in (0, -DOLLAR):
        quote = Quote(DOLLAR, 100, tradable=True)
        assert order(BUY, Holding(0, 0), quote, Books(0, worth), FREE) == (0, 0, 0, True)


@given(st.integers(-(10**9), 10**9), st.integers(1, 100), st.data())
def test_a_reduction_keeps_the_share_of_the_lots_that_stay(
    position: int, lots: int, data: st.DataObject
) -> None:
    kept = data.draw(st.integers(0, lots - 1))
    left = position + reduction(position, lots, kept)

    assert left * position >= 0
    assert abs(left) == abs(position) * kept // lots


def test_wanted_lots_follow_the_digit_within_the_limits() -> None:
    two = replace(RULES, max_lots=2)
    assert [wanted_lots(lots, BUY, two) for lots in (-2, -1, 0, 1, 2)] == [-1, 0, 1, 2, 2]
    assert [wanted_lots(lots, SELL, two) for lots in (-2, -1, 0, 1, 2)] == [-2, -2, -1, 0, 1]
    assert wanted_lots(0, SELL, replace(two, allow_short=False)) == 0


def test_a_lot_is_a_fraction_of_equity_in_whole_shares() -> None:
    assert lot_size(100_000 * DOLLAR, 333 * DOLLAR, RULES) == 75
    assert lot_size(100 * DOLLAR, 333 * DOLLAR, RULES) == 0
    assert lot_size(-100_000 * DOLLAR, DOLLAR, RULES) == 0


def test_interest_is_the_yearly_rate_for_the_days_that_passed() -> None:
    day = 86_400 * 10**9
    rate = rate_between(0.05, 0, 3 * day)
    assert math.isclose(rate, 0.05 * 3 / 365)
    assert accrual(100_000 * DOLLAR, rate) == 41_095_890
    assert rate_between(0.05, 0, 365 * day) == 0.05


def test_borrow_is_owed_on_shorts_only() -> None:
    assert short_value(-10, 7) == 70
    assert short_value(10, 7) == 0
    account = Account(cash=Micros(5), positions=(Shares(-10), Shares(3)), lots=(-1, 1))
    assert account.shorts([7, 100]) == 70
    assert account.accrued(Micros(9), Micros(4)).cash == 10


def test_losses_beyond_zero_stay_on_the_books() -> None:
    account = Account(cash=Micros(300), positions=(Shares(-100),), lots=(-1,))
    assert account.equity([10]) == -700
    assert drawdown(-700, 100) == 8.0
    assert is_stopped(-700, 100, replace(RULES, hard_stop=1.0))


def test_the_hard_stop_is_reached_at_its_share_of_the_peak() -> None:
    assert is_stopped(80, 100, replace(RULES, hard_stop=0.2))
    assert not is_stopped(81, 100, RULES)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda: TradingRules(lot_fraction=float("nan")), "lot_fraction"),
        (lambda: TradingRules(max_lots=0), "max_lots"),
        (lambda: TradingRules(starting_capital=Micros(0)), "starting_capital"),
        (lambda: TradingRules(starting_capital=Micros(2**53)), "starting_capital"),
        (lambda: TradingRules(commission_bp=-1.0), "commission_bp"),
        (lambda: TradingRules(hard_stop=1.5), "hard_stop"),
        (lambda: TradingRules(episode_length=0), "episode_length"),
        (lambda: TradingRules(fill="yesterday"), "fill"),  # type: ignore[arg-type]
    ],
)
def test_rules_out_of_range_are_refused_by_name(
    change: Callable[[], TradingRules], name: str
) -> None:
    with pytest.raises(SettingsError, match=rf"trading\.{name}"):
        change()
