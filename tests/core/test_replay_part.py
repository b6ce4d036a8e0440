"""Replay is clean on correct books and names whatever single value was changed in them."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stairways.core.ledger import TradingRules
from stairways.core.replay.books import COLUMNS, Steps
from stairways.core.replay.part import Checked, check_part
from stairways.core.replay.report import Finding, Threshold
from stairways.core.values import Micros
from tests.plain_books import BY_SYMBOL, Bookkeeper, random_tape

MONEY = ("shares", "prices", "costs", "interest", "borrow", "cash", "positions", "equity")
RULES = st.builds(
    TradingRules,
    lot_fraction=st.floats(0.01, 1.2),
    max_lots=st.integers(1, 4),
    allow_short=st.booleans(),
    max_gross=st.floats(0.3, 1.5),
    commission_bp=st.floats(0, 20),
    ticket=st.integers(0, 10**6).map(Micros),
    impact_bp=st.floats(0, 20),
    borrow_rate=st.floats(0, 0.2),
    risk_free_rate=st.floats(-0.01, 0.1),
    fill=st.sampled_from(["next_open", "close"]),
    hard_stop=st.floats(0.02, 0.5),
)


@st.composite
def keepers(draw: st.DrawFn) -> Bookkeeper:
    """Books of some lanes over random bars under random rules."""
    chance = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311 - no secret
    tape = random_tape(chance, draw(st.integers(4, 40)), draw(st.integers(1, 3)))
    length = draw(st.integers(1, len(tape.times) - 1))
    keeper = Bookkeeper(tape, draw(RULES), chance, draw(st.integers(1, 4)), length)
    for _ in range(draw(st.integers(1, 3))):
        keeper.rollout(draw(st.integers(1, 20)), draw(st.floats(0, 1)))
    return keeper


def checked(
    keeper: Bookkeeper, steps: Steps | None = None, threshold: Threshold | None = None
) -> Checked:
    market = keeper.tape.market(keeper.rules)
    return check_part(
        keeper.steps(market) if steps is None else steps,
        keeper.assertions(),
        market=market,
        rules=keeper.rules,
        part=keeper.part,
        threshold=threshold or Threshold(),
    )


@given(keepers())
def test_correct_books_have_no_findings_and_the_same_profit_by_the_other_sum(
    keeper: Bookkeeper,
) -> None:
    seen = checked(keeper)

    assert seen.findings == []
    assert seen.profit.recorded == seen.profit.replayed


@given(keepers())
def test_the_other_sum_gives_what_every_episode_left_beyond_the_starting_capital(
    keeper: Bookkeeper,
) -> None:
    last = {}
    for row in keeper.rows:
        ended = row["terminated"] or row["truncated"]
        last[row["lane"]] = 0 if ended else row["equity"] - keeper.rules.starting_capital
    done = [r["equity"] for r in keeper.rows if r["terminated"] or r["truncated"]]
    earned = sum(done) - len(done) * keeper.rules.starting_capital + sum(last.values())

    assert checked(keeper).profit.replayed == earned


def changed(keeper: Bookkeeper, field: str, data: st.DataObject) -> tuple[Steps, int, str]:
    """Return books with one value changed, the position of the change, and whose it is."""
    steps = keeper.steps(keeper.tape.market(keeper.rules))
    row = data.draw(st.integers(0, len(steps) - 1), "row")
    column = getattr(steps, field).copy()
    place: tuple[int, ...] = (row,)
    symbol = ""
    if field in BY_SYMBOL:
        number = data.draw(st.integers(0, keeper.tape.symbols - 1), "symbol")
        place, symbol = (row, number), "ABCDE"[number]
    if column.dtype == np.bool_:
        column[place] = not column[place]
    else:
        near = st.integers(-3, 3) | st.integers(-(10**6), 10**6) | st.integers(-(10**12), 10**12)
        column[place] += data.draw(near.filter(bool), "by")
    return replace(steps, **{field: column}), int(steps.at[row]), symbol


def where(finding: Finding) -> tuple[int, str, str]:
    return finding.position, finding.field, finding.symbol


@pytest.mark.parametrize("field", [*MONEY, "lots", "clipped", "terminated", "truncated", "bar"])
@settings(max_examples=40)
@given(keeper=keepers(), data=st.data())
def test_one_changed_value_is_one_finding_that_names_it(
    field: str, keeper: Bookkeeper, data: st.DataObject
) -> None:
    steps, position, symbol = changed(keeper, field, data)

    findings = checked(keeper, steps).findings

    assert [where(finding) for finding in findings] == [(position, field, symbol)]


@settings(max_examples=40)
@given(keeper=keepers(), data=st.data())
def test_a_changed_action_is_named_or_the_clipping_it_contradicts(
    keeper: Bookkeeper, data: st.DataObject
) -> None:
    steps = keeper.steps(keeper.tape.market(keeper.rules))
    row = data.draw(st.integers(0, len(steps) - 1))
    codes = st.integers(-1, 3**keeper.tape.symbols).filter(lambda code: code != steps.action[row])
    action = steps.action.copy()
    action[row] = data.draw(codes)

    findings = checked(keeper, replace(steps, action=action)).findings

    if not findings:  # sold or bought, the limit left it the same: beyond the ledger
        assert steps.clipped[row].any()
    assert {finding.position for finding in findings} <= {steps.at[row]}
    assert {finding.field for finding in findings} <= {"action", "clipped", "lots"}


@given(keeper=keepers(), data=st.data())
def test_a_wrong_lane_or_time_or_number_is_named(keeper: Bookkeeper, data: st.DataObject) -> None:
    steps = keeper.steps(keeper.tape.market(keeper.rules))
    row = data.draw(st.integers(0, len(steps) - 1))
    field = data.draw(st.sampled_from(["lane", "bar_time", "step"]))
    column = getattr(steps, field).copy()
    column[row] = "2001-01-01T00:00:00.000000Z" if field == "bar_time" else column[row] + 1000

    findings = checked(keeper, replace(steps, **{field: column})).findings

    assert [where(finding) for finding in findings] == [(steps.at[row], field, "")]


@given(keeper=keepers(), data=st.data())
def test_a_changed_assertion_is_named(keeper: Bookkeeper, data: st.DataObject) -> None:
    claim = data.draw(st.sampled_from(keeper.claims))
    field = data.draw(st.sampled_from(["lane", "bar", "cash", "equity", "positions"]))
    by = data.draw(st.integers(-(10**9), 10**9).filter(bool))
    symbol = ""
    if field == "positions":
        number = data.draw(st.integers(0, keeper.tape.symbols - 1))
        claim["positions"] = [*claim["positions"]]
        claim["positions"][number] += by
        symbol = "ABCDE"[number]
    else:
        claim[field] += by

    findings = checked(keeper).findings

    assert [where(finding) for finding in findings] == [(claim["at"], field, symbol)]
    assert findings[0].type == "BalanceAsserted"


@given(keeper=keepers(), data=st.data())
def test_balances_shifted_from_some_step_on_are_named_where_the_shift_begins(
    keeper: Bookkeeper, data: st.DataObject
) -> None:
    steps = keeper.steps(keeper.tape.market(keeper.rules))
    row = data.draw(st.integers(0, len(steps) - 1))
    cash, equity = steps.cash.copy(), steps.equity.copy()
    cash[row:] += 10**9
    equity[row:] += 10**9

    seen = checked(keeper, replace(steps, cash=cash, equity=equity))

    assert where(seen.findings[0])[:2] == (steps.at[row], "cash")
    assert seen.profit.recorded > seen.profit.replayed


@given(keeper=keepers(), data=st.data())
def test_two_changed_values_are_both_named(keeper: Bookkeeper, data: st.DataObject) -> None:
    first, *_ = changed(keeper, "costs", data)
    second, position, _ = changed(keeper, "equity", data)
    steps = replace(first, equity=second.equity)

    found = {where(finding)[:2] for finding in checked(keeper, steps).findings}

    assert (position, "equity") in found
    assert "costs" in {field for _, field in found}


@given(keeper=keepers(), data=st.data())
def test_a_step_that_is_gone_is_missed_and_the_rest_still_compared(
    keeper: Bookkeeper, data: st.DataObject
) -> None:
    steps = keeper.steps(keeper.tape.market(keeper.rules))
    assume(len(steps) > 2)
    gone = data.draw(st.integers(0, len(steps) - 3))
    left = np.delete(np.arange(len(steps)), gone)
    columns = {name: getattr(steps, name)[left] for name in COLUMNS}

    findings = checked(keeper, replace(steps, **columns)).findings

    of_steps = [where(finding) for finding in findings if finding.type == "StepTaken"]
    assert of_steps == [(steps.at[gone + 1], "step", "")]


@given(keeper=keepers(), data=st.data())
def test_a_value_that_could_not_be_read_spoils_no_other(
    keeper: Bookkeeper, data: st.DataObject
) -> None:
    steps = keeper.steps(keeper.tape.market(keeper.rules))
    row = data.draw(st.integers(0, len(steps) - 1))
    field = data.draw(st.sampled_from([*MONEY, "lots", "bar", "action"]))
    column = getattr(steps, field).copy()
    column[row] = 0
    symbol = 0 if field in BY_SYMBOL else None
    if symbol is not None:
        column[row] = getattr(steps, field)[row]
        column[row, 0] = 0
    damaged = replace(steps, damaged=frozenset({(row, field, symbol)}), **{field: column})

    seen = checked(keeper, damaged)

    assert seen.findings == []
    assert seen.profit.recorded == seen.profit.replayed


def test_a_tolerance_lets_balances_differ_by_a_share_of_the_profit() -> None:
    chance = random.Random(3)  # noqa: S311 - no secret
    keeper = Bookkeeper(random_tape(chance, 40, 2), TradingRules(), chance, 1, 39)
    keeper.rollout(30, 0.5)
    steps = keeper.steps(keeper.tape.market(keeper.rules))
    equity = steps.equity.copy()
    profit = abs(int(equity[20]) - keeper.rules.starting_capital)
    equity[20] += profit // 1000
    off = replace(steps, equity=equity)
    loose = Threshold(exact=False)

    assert [f.field for f in checked(keeper, off).findings] == ["equity"]
    assert checked(keeper, off, loose).findings == []
    equity[20] += 2
    assert [f.field for f in checked(keeper, off, loose).findings] == ["equity"]
