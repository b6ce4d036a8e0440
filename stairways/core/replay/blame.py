"""Which stored value is to blame when a step does not follow from the one before.

Every quantity of a step is written down more than once: shares are also the difference of
two positions and the outcome of an order, a bar is also a time and a price. Where the
accounts disagree the majority is believed and the odd one named, and the next step is
examined against what is believed, so that one changed value is one finding.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from stairways.core.ledger import TradingRules
from stairways.core.replay.books import COLUMNS, Chain, Findings, Market, Part, Steps
from stairways.core.replay.report import Threshold
from stairways.core.replay.screen import suspects
from stairways.core.replay.step import Prior, StepBooks


def settle(
    chain: Chain, market: Market, rules: TradingRules, threshold: Threshold, findings: Findings
) -> Steps:
    """Find what is wrong with the steps; return them as they are believed to have been."""
    believed = replace(chain.steps, **{name: getattr(chain.steps, name).copy() for name in COLUMNS})
    examiner = _Examiner(chain, market, rules, threshold, findings, believed)
    for row in np.flatnonzero(suspects(chain, market, rules, findings.part)).tolist():
        examiner.examine(row)
    return believed


@dataclass(frozen=True, slots=True, eq=False)
class _Examiner:
    """Looks at single steps; what it believes is written into ``believed``."""

    chain: Chain
    market: Market
    rules: TradingRules
    threshold: Threshold
    findings: Findings
    believed: Steps

    @property
    def part(self) -> Part:
        return self.findings.part

    def examine(self, row: int) -> None:
        """Compare every value of a step and name the ones that are wrong."""
        if not self.chain.steps.readable[row]:
            self._carry(row)
            return
        bar = self._bar(row)
        if bar is None:
            return
        books = self._books(row, bar)
        if self.chain.unknown[row]:
            books.alone()
        else:
            books.compare(self.prior(row))

    def _books(self, row: int, bar: int) -> StepBooks:
        return StepBooks(
            self.chain,
            self.market,
            self.rules,
            self.threshold,
            self.findings,
            self.believed,
            row,
            bar,
        )

    def prior(self, row: int) -> Prior:
        """Return what is believed about the books before ``row``."""
        capital, idle = self.rules.starting_capital, [0] * len(self.market.symbols)
        if self.chain.starts[row]:
            return Prior(capital, capital, idle, idle)
        books, before = self.believed, row - 1
        return Prior(
            cash=int(books.cash[before]),
            equity=int(books.equity[before]),
            positions=books.positions[before].tolist(),
            lots=books.lots[before].tolist(),
        )

    def _carry(self, row: int) -> None:
        """Believe that nothing moved in a step that cannot be read."""
        carried = self.prior(row) if row and not self.chain.starts[row] else None
        if carried is not None and self.chain.lanes[row] == self.chain.lanes[row - 1]:
            books = self.believed
            books.cash[row], books.equity[row] = carried.cash, carried.equity
            books.positions[row], books.lots[row] = carried.positions, carried.lots
            books.bar[row] = books.bar[row - 1] + 1

    def _bar(self, row: int) -> int | None:
        """Return the bar the step was taken at; ``None`` when nothing says so."""
        steps, due = self.chain.steps, self._due(row)
        recorded = int(steps.bar[row])
        votes = Counter(self._witnesses(row, due))
        if not votes:
            self.findings.add(steps.at[row], "bar", due, recorded, "there is no such bar")
            return None
        bar = max(votes, key=lambda candidate: (votes[candidate], candidate == due))
        self.believed.bar[row] = bar
        self._compare_bar(row, bar, due)
        text = self.market.times[bar]
        if steps.sound(row, "bar_time") and steps.bar_time[row] != text:
            why = f"bar {bar} of the registered bars"
            self.findings.add(steps.at[row], "bar_time", text, steps.bar_time[row], why)
        return bar

    def _compare_bar(self, row: int, bar: int, due: int | None) -> None:
        steps, first, last = self.chain.steps, self.part.window[0], self.part.last_start
        recorded, sound = int(steps.bar[row]), self.chain.steps.sound(row, "bar")
        if sound and recorded != bar:
            why = "its time, its prices or the bars around it say so"
            self.findings.add(steps.at[row], "bar", bar, recorded, why)
        elif due is not None and bar != due:
            why = "the bars of an episode follow one another"
            self.findings.add(steps.at[row], "bar", due, recorded, why)
        elif due is None and self.chain.starts[row] and not first <= bar <= last:
            why = f"episodes start within bars {first} to {last}"
            self.findings.add(steps.at[row], "bar", first, recorded, why)

    def _due(self, row: int) -> int | None:
        """Return the bar that must follow the one before, if that is known."""
        if self.chain.starts[row]:
            return self.part.window[0] if self.part.window[0] == self.part.last_start else None
        return None if self.chain.unknown[row] else int(self.believed.bar[row - 1]) + 1

    def _witnesses(self, row: int, due: int | None) -> Iterator[int]:
        """Yield the bar according to each record that has something to say about it."""
        steps, said = self.chain.steps, list[int]()
        if steps.sound(row, "bar"):
            said.append(int(steps.bar[row]))
        if due is not None:
            said.append(due)
        if self.chain.continues(row) and steps.sound(row + 1, "bar"):
            said.append(int(steps.bar[row + 1]) - 1)
        said.extend(np.flatnonzero(self.market.times == steps.bar_time[row])[:1].tolist())
        said = [bar for bar in said if 0 <= bar < len(self.market)]
        yield from said
        yield from (
            bar for bar in set(said) if np.array_equal(self.market.fills[bar], steps.prices[row])
        )
