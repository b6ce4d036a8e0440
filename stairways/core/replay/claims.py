"""What other events claim about the books: asserted balances and evaluation results."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from stairways.core.controller import effectiveness, performance
from stairways.core.ledger import TradingRules
from stairways.core.replay.books import Array, Cell, Chain, Findings, Flags, Int64, Steps
from stairways.core.replay.report import Plain
from stairways.core.statistics import closed_trades, largest_drawdown
from stairways.core.values import Micros


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assertions:
    """Recorded ``BalanceAsserted`` events of one part, one row each; see ``Steps``."""

    at: Int64
    readable: Flags
    damaged: frozenset[Cell]
    lane: Int64
    bar: Int64
    cash: Int64
    positions: Int64
    equity: Int64

    def __len__(self) -> int:
        """Return the number of assertions."""
        return len(self.at)


def compare_assertions(
    asserted: Assertions, chain: Chain, believed: Steps, ends: Flags, findings: Findings
) -> None:
    """Compare the balances asserted after each rollout with the steps they speak of.

    A rollout asserts, in log order, the books of each step that ends an episode and of the
    last step of each lane.
    """
    order = np.argsort(believed.at, kind="stable")
    begins = np.searchsorted(believed.at[order], asserted.at)
    first = 0
    for batch in _batches(begins):
        rollout = order[first : int(begins[batch.start])]
        first = int(begins[batch.start])
        last = np.arange(len(rollout)) >= len(rollout) - findings.part.lanes
        due: list[int | None] = rollout[ends[rollout] | last].tolist()
        count = batch.stop - batch.start
        if count != len(due):
            why = "one for each episode that ended and for each lane"
            findings.add(asserted.at[batch.start], "count", len(due), count, why)
            due = _matched(asserted, batch, chain, believed, due)
        for row, step in zip(range(batch.start, batch.stop), due, strict=True):
            if step is not None and asserted.readable[row]:
                _compare(asserted, row, _books(chain, believed, step), findings)


def _batches(begins: Int64) -> list[slice]:
    """Return the runs of assertions that have no step between them."""
    bounds = [0, *(np.flatnonzero(np.diff(begins)) + 1).tolist(), len(begins)]
    return [slice(a, b) for a, b in pairwise(bounds) if b > a]


def _matched(
    asserted: Assertions, batch: slice, chain: Chain, believed: Steps, due: list[int | None]
) -> list[int | None]:
    """Return for each assertion the step of its lane and bar, where one or the other lacks."""
    steps = {
        (int(chain.lanes[step]), int(believed.bar[step]) + 1): step
        for step in due
        if step is not None
    }
    keys = zip(asserted.lane[batch].tolist(), asserted.bar[batch].tolist(), strict=True)
    return [steps.get(key) for key in keys]


def _books(chain: Chain, believed: Steps, step: int) -> dict[tuple[str, int | None], int]:
    """Return what an assertion about the books after a step must say."""
    books: dict[tuple[str, int | None], int] = {
        ("lane", None): int(chain.lanes[step]),
        ("bar", None): int(believed.bar[step]) + 1,
        ("cash", None): int(believed.cash[step]),
        ("equity", None): int(believed.equity[step]),
    }
    for symbol, shares in enumerate(believed.positions[step].tolist()):
        books["positions", symbol] = shares
    return books


def _compare(
    asserted: Assertions, row: int, books: dict[tuple[str, int | None], int], findings: Findings
) -> None:
    for (name, symbol), due in books.items():
        column: Array = getattr(asserted, name)
        recorded = int(column[row] if symbol is None else column[row, symbol])
        cells: set[Cell] = {(row, name, symbol), (row, name, None)}
        if recorded != due and not cells & asserted.damaged:
            why = "the step it speaks of left the books so"
            findings.add(asserted.at[row], name, due, recorded, why, symbol)


def evaluation_claims(believed: Steps, rules: TradingRules, target: float) -> dict[str, Plain]:
    """Return what ``EvaluationFinished`` must say of an evaluation's steps, field by field."""
    equity = [rules.starting_capital, *map(Micros, believed.equity.tolist())]
    count, holds = len(believed), held_steps(believed)
    trips = [profit for column in _by_symbol(believed) for profit in closed_trades(*column)]
    return {
        "decisions": count,
        "holds": holds,
        "hold_rate": holds / count,
        "effectiveness": effectiveness(holds / count, target),
        "performance": performance(holds / count, target),
        "start_equity": equity[0],
        "final_equity": equity[-1],
        "profit": equity[-1] / equity[0] - 1.0,
        "drawdown": largest_drawdown(equity),
        "trades": int((believed.shares != 0).sum()),
        "win_rate": sum(profit > 0 for profit in trips) / len(trips) if trips else 0.0,
    }


def held_steps(believed: Steps) -> int:
    """Return how many decisions left every position alone."""
    hold = (3 ** believed.shares.shape[1] - 1) // 2
    return int((believed.action == hold).sum())


def _by_symbol(believed: Steps) -> list[tuple[list[int], list[int], list[int]]]:
    """Return shares, prices and costs of each symbol."""
    return [
        (
            believed.shares[:, i].tolist(),
            believed.prices[:, i].tolist(),
            believed.costs[:, i].tolist(),
        )
        for i in range(believed.shares.shape[1])
    ]
