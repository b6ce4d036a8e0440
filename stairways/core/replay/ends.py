"""Episodes as a whole: when they end, and what they earned."""

from dataclasses import replace

import numpy as np

from stairways.core.ledger import TradingRules
from stairways.core.replay.books import Chain, Findings, Flags, Market, Steps
from stairways.core.replay.screen import gains
from stairways.core.values import Micros


def compare_ends(chain: Chain, believed: Steps, rules: TradingRules, findings: Findings) -> Flags:
    """Compare the flags that end episodes with the truth; return which steps end one."""
    stopped, over = _ends(chain, believed, rules, findings)
    steps, known = chain.steps, ~_after_unknown(chain)
    for name, due in (("terminated", stopped), ("truncated", over)):
        recorded = getattr(steps, name)
        for row in np.flatnonzero(known & (recorded != due)).tolist():
            if steps.sound(row, name):
                why = "drawdown, window and length of the episode say so"
                findings.add(steps.at[row], name, bool(due[row]), bool(recorded[row]), why)
    ends = np.where(known, stopped | over, steps.terminated | steps.truncated)
    for row in np.flatnonzero(ends).tolist():
        if chain.continues(row):
            why = "the episode ended with the step before"
            first, recorded = findings.part.window[0], int(steps.bar[row + 1])
            findings.add(steps.at[row + 1], "bar", first, recorded, why)
    return ends


def _ends(
    chain: Chain, believed: Steps, rules: TradingRules, findings: Findings
) -> tuple[Flags, Flags]:
    """Return which steps are terminated and which truncated."""
    part, equity = findings.part, believed.equity
    peaks, ages = np.empty_like(equity), np.empty_like(equity)
    for rows in chain.episodes:
        balances = np.maximum(equity[rows], rules.starting_capital)
        peaks[rows] = np.maximum.accumulate(balances)
        ages[rows] = 1 + np.arange(rows.stop - rows.start)
    stopped = (equity <= 0) | (1.0 - equity / peaks >= part.hard_stop)
    over = (believed.bar + 1 == part.window[1] - 1) | (ages == part.episode_length)
    return stopped, over & ~stopped


def _after_unknown(chain: Chain) -> Flags:
    """Tell which steps have something before them in their episode that is not known."""
    lost = np.zeros(len(chain.steps), dtype=np.bool_)
    for rows in chain.episodes if chain.unknown.any() else ():
        lost[rows] = np.maximum.accumulate(chain.unknown[rows])
    return lost


def profits(
    chain: Chain, believed: Steps, market: Market, rules: TradingRules
) -> tuple[Micros, Micros]:
    """Return the recorded and the replayed profit of all episodes.

    Recorded: the last equity of each episode less the starting capital. Replayed: the other
    sum over the recorded fills. Where a step is lost, its profit is taken as recorded.
    """
    steps, capital = _readable(chain.steps, believed), rules.starting_capital
    rows = np.clip(believed.bar, 0, len(market) - 1)
    held = believed.positions - believed.shares
    for episode in chain.episodes:
        if not chain.unknown[episode].any():
            held[episode] = np.cumsum(steps.shares[episode], axis=0) - steps.shares[episode]
    earned = gains(steps, held, market, rows)
    recorded = 0
    for episode in chain.episodes:
        recorded += int(steps.equity[episode.stop - 1]) - capital
        for row in (np.flatnonzero(chain.unknown[episode]) + episode.start).tolist():
            before = capital if row == episode.start else int(steps.equity[row - 1])
            earned[row] = int(steps.equity[row]) - before
    return Micros(recorded), Micros(sum(earned.tolist()))


def _readable(steps: Steps, believed: Steps) -> Steps:
    """Return the recorded steps, with what is believed where they cannot be read."""
    if steps.readable.all() and not steps.damaged:
        return steps
    names = ("shares", "prices", "costs", "interest", "borrow", "equity")
    columns = {name: getattr(steps, name).copy() for name in names}
    for name, column in columns.items():
        column[~steps.readable] = getattr(believed, name)[~steps.readable]
    for row, name, symbol in steps.damaged:
        if name in columns:
            place = row if symbol is None else (row, symbol)
            columns[name][place] = getattr(believed, name)[place]
    return replace(steps, **columns)
