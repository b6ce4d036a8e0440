"""Everything a ledger replay compares in one part of a run: records and bars in, findings out."""

from dataclasses import dataclass, replace

import numpy as np

from stairways.core.ledger import TradingRules
from stairways.core.replay.blame import settle
from stairways.core.replay.books import Findings, Int64, Market, Part, Steps, chained
from stairways.core.replay.claims import Assertions, compare_assertions
from stairways.core.replay.ends import compare_ends, profits
from stairways.core.replay.report import Finding, Profit, Threshold
from stairways.core.values import Position

STEP_QUANTITIES = 9
"""Compared values of a step: step, lane, bar, time, interest, borrow, cash, equity, ends."""

SYMBOL_QUANTITIES = 6
"""Compared values by symbol: shares, price, cost, clipped, position, lots."""


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What the comparison of one part gave: findings in log order, and the profit.

    ``believed`` are its steps without the faults, lane by lane; ``numbers`` the step numbers
    in log order; ``quantities`` how many stored values were compared.
    """

    findings: list[Finding]
    profit: Profit
    believed: Steps
    numbers: Int64
    last_step: int
    quantities: int


def check_part(
    steps: Steps,
    asserted: Assertions,
    *,
    market: Market,
    rules: TradingRules,
    part: Part,
    threshold: Threshold,
) -> Checked:
    """Compare every recorded quantity of a part with what it should be."""
    findings = Findings(part, market.symbols, [])
    chain = chained(steps, market, rules, findings)
    believed = settle(chain, market, rules, threshold, findings)
    ends = compare_ends(chain, believed, rules, findings)
    claims = Findings(replace(part, type="BalanceAsserted"), market.symbols, findings.found)
    compare_assertions(asserted, chain, believed, ends, claims)
    recorded, replayed = profits(chain, believed, market, rules)
    profit = Profit(
        part=part.name,
        cycle=part.cycle,
        attempt=part.attempt,
        position=part.position,
        recorded=recorded,
        replayed=replayed,
    )
    by_step = STEP_QUANTITIES + SYMBOL_QUANTITIES * len(market.symbols)
    by_balance = len(asserted) * (4 + len(market.symbols))
    last_step = int(chain.numbers.max(initial=part.first_step - 1))
    quantities = len(steps) * by_step + by_balance
    numbers = chain.numbers[np.argsort(believed.at, kind="stable")]
    findings.found.sort(key=_position)
    return Checked(findings.found, profit, believed, numbers, last_step, quantities)


def _position(finding: Finding) -> Position:
    return finding.position
