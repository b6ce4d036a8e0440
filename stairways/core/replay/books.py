"""The recorded books as columns, the market they were kept against, and their order.

Rows of ``Steps`` are in log order at first. ``chained`` puts them lane by lane, so that the
row before is what the lane's books said before; everything that compares works on that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stairways.core.ledger import TradingRules, rate_between
from stairways.core.replay.report import Finding, Plain
from stairways.core.values import Position

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]
Array = npt.NDArray[Any]
Cell = tuple[int, str, int | None]
"""A stored value: row, field, and the number of the symbol where there is one for each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """Registered bars as decisions meet them: row t belongs to a decision made at bar t.

    ``before`` and ``after`` are the closes of bars t and t+1, ``fills`` the price an order
    decided at t is filled at, all in micros and ``(T-1, N)``; ``tradable`` whether shares
    changed hands at the filling bar; ``interest`` and ``borrow`` the rates of the time from
    t to t+1, ``(T-1,)``. ``times`` are those of all T bars, as they are recorded.
    """

    symbols: tuple[str, ...]
    times: Texts
    before: Int64
    after: Int64
    fills: Int64
    tradable: Flags
    interest: Float64
    borrow: Float64

    def __len__(self) -> int:
        """Return T-1, the number of bars a decision can be made at."""
        return len(self.before)


def market_of(
    symbols: tuple[str, ...],
    rules: TradingRules,
    *,
    times: Int64,
    opens: Int64,
    closes: Int64,
    volumes: Int64,
) -> Market:
    """Return the market that bars make under ``rules``; ``times`` are nanoseconds UTC."""
    at_open = rules.fill == "next_open"
    spans = list(zip(times[:-1].tolist(), times[1:].tolist(), strict=True))
    texts = np.datetime_as_string(times.astype("M8[ns]").astype("M8[us]"), unit="us")
    return Market(
        symbols=symbols,
        times=np.array([f"{text}Z" for text in texts.tolist()], dtype=object),
        before=closes[:-1],
        after=closes[1:],
        fills=opens[1:] if at_open else closes[:-1],
        tradable=(volumes[1:] if at_open else volumes[:-1]) > 0,
        interest=np.array([rate_between(rules.risk_free_rate, *span) for span in spans]),
        borrow=np.array([rate_between(rules.borrow_rate, *span) for span in spans]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a run whose books are kept on their own: an attempt, or an evaluation.

    ``window`` are the bars ``[first, last)`` its episodes move in, ``episode_length`` the
    steps an episode has unless it is terminated. ``first_step`` is the number of the first
    step. ``hard_stop`` is the drawdown that terminates.
    """

    name: str
    cycle: int
    attempt: int
    position: Position
    type: str  # of its step events
    window: tuple[int, int]
    first_step: int
    lanes: int
    episode_length: int
    hard_stop: float

    @property
    def last_start(self) -> int:
        """The last bar at which an episode of full length can start."""
        return self.window[1] - 1 - self.episode_length


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """Recorded steps of one part, one row each: ``(n,)``, or ``(n, N)`` by symbol.

    Where a cell could not be read it holds zero and is named in ``damaged``; rows that could
    not be read at all are not ``readable``. ``at`` is the position in the log.
    """

    at: Int64
    readable: Flags
    damaged: frozenset[Cell]
    step: Int64
    lane: Int64
    bar: Int64
    bar_time: Texts
    action: Int64
    shares: Int64
    prices: Int64
    costs: Int64
    clipped: Flags
    interest: Int64
    borrow: Int64
    cash: Int64
    positions: Int64
    lots: Int64
    equity: Int64
    terminated: Flags
    truncated: Flags

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.at)

    def take(self, order: Int64) -> Self:
        """Return a copy whose row i is row ``order[i]`` of these."""
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        cells = frozenset((int(place[row]), name, symbol) for row, name, symbol in self.damaged)
        columns = {name: getattr(self, name)[order] for name in COLUMNS}
        return replace(self, damaged=cells, **columns)

    def sound(self, row: int, name: str, symbol: int | None = None) -> bool:
        """Tell whether a stored value could be read."""
        if not self.damaged:
            return True
        return (row, name, symbol) not in self.damaged and (row, name, None) not in self.damaged


ALL_AGREE = 3
"""Bar, positions and cash all go on from the row before."""

COLUMNS = tuple(field.name for field in fields(Steps) if field.name != "damaged")


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Collects what is found in one part."""

    part: Part
    symbols: Sequence[str]
    found: list[Finding]

    def add(  # noqa: PLR0917 - a finding is one line of a table
        self,
        at: int,
        name: str,
        expected: Plain,
        recorded: Plain,
        why: str,
        symbol: int | None = None,
    ) -> None:
        """Note that the value ``name`` of the step at position ``at`` is not as expected."""
        whose = "" if symbol is None else self.symbols[symbol]
        shown = f"{name} of {whose}" if whose else name
        self.found.append(
            Finding(
                position=Position(int(at)),
                type=self.part.type,
                field=name,
                symbol=whose,
                expected=expected,
                recorded=recorded,
                message=f"{shown} is {recorded}, should be {expected}: {why}.",
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Steps lane by lane, in order within each lane.

    ``numbers`` and ``lanes`` are what step number and lane should be. ``starts`` marks the
    first step of an episode, ``unknown`` a step whose predecessor is not in the log or not
    readable: what the books said before it cannot be known.
    """

    steps: Steps
    numbers: Int64
    lanes: Int64
    starts: Flags
    unknown: Flags

    @property
    def episodes(self) -> list[slice]:
        """The rows of each episode, or of what is left of one."""
        lane_begins = np.concatenate([[True], np.diff(self.lanes) != 0])[: len(self.lanes)]
        begins = np.flatnonzero(self.starts | lane_begins).tolist()
        return [slice(*rows) for rows in pairwise([*begins, len(self.lanes)])]

    def first(self, row: int) -> bool:
        """Tell whether the row before is not what the books said before ``row``."""
        return bool(self.starts[row] or self.unknown[row])

    def continues(self, row: int) -> bool:
        """Tell whether the row after goes on with the books of ``row``."""
        return row + 1 < len(self.steps) and not self.first(row + 1)

    def before(self, name: str, opening: int) -> Array:
        """Return what a balance was before each step; ``opening`` where an episode starts."""
        now: Array = getattr(self.steps, name)
        earlier = np.concatenate([np.full_like(now[:1], opening), now[:-1]])
        earlier[self.starts] = opening
        return earlier


def chained(steps: Steps, market: Market, rules: TradingRules, findings: Findings) -> Chain:
    """Return the steps lane by lane; numbers and lanes that do not count on are findings."""
    part = findings.part
    numbers = _true_steps(steps, part, findings)
    lanes = _true_lanes(steps, part, numbers, findings)
    order = np.lexsort((np.arange(len(steps)), lanes))
    ordered = steps.take(order)
    lanes, numbers = lanes[order], numbers[order]
    new_lane = np.concatenate([[True], lanes[1:] != lanes[:-1]])[: len(steps)]
    hole = np.concatenate([[False], np.diff(numbers) != part.lanes])[: len(steps)] & ~new_lane
    hole |= new_lane & (numbers != part.first_step + lanes)
    hole |= ~ordered.readable
    hole[1:] |= ~ordered.readable[:-1]
    last = _at_last_bar(ordered, market, part)
    starts = _Starts(ordered, new_lane, hole, last, part, rules.starting_capital).find()
    return Chain(ordered, numbers, lanes, starts, hole)


def _true_steps(steps: Steps, part: Part, findings: Findings) -> Int64:
    """Return the number each step should have; one that stands alone does not move the rest."""
    expected = part.first_step + np.arange(len(steps))
    if steps.readable.all() and np.array_equal(steps.step, expected):
        return expected
    numbers, due = expected.copy(), part.first_step
    for row in range(len(steps)):
        number = int(steps.step[row])
        if steps.readable[row] and number != due and steps.sound(row, "step"):
            findings.add(steps.at[row], "step", due, number, "steps count without a gap")
            due = number if number > due and _skipped(steps, row, part, due) else due
        numbers[row] = due
        due += 1
    return numbers


def _skipped(steps: Steps, row: int, part: Part, due: int) -> bool:
    """Tell whether steps before ``row`` are lost, rather than its number changed."""
    number = int(steps.step[row])
    if row + 1 < len(steps):
        return int(steps.step[row + 1]) == number + 1
    lane = int(steps.lane[row])
    return (number - part.first_step) % part.lanes == lane != (due - part.first_step) % part.lanes


def _true_lanes(steps: Steps, part: Part, numbers: Int64, findings: Findings) -> Int64:
    """Return the lane of each step: lanes take turns, lane 0 first."""
    expected = (numbers - part.first_step) % part.lanes
    wrong = steps.readable & (steps.lane != expected)
    for row in np.flatnonzero(wrong).tolist():
        if steps.sound(row, "lane"):
            why = f"{part.lanes} lanes take turns"
            findings.add(steps.at[row], "lane", int(expected[row]), int(steps.lane[row]), why)
    return expected


@dataclass(frozen=True, slots=True)
class _Starts:
    """Finds the first row of every episode.

    ``new_lane`` marks the first row of each lane, ``hole`` rows that the row before says
    nothing of, ``last`` rows decided on the last bar that can be.
    """

    steps: Steps
    new_lane: Flags
    hole: Flags
    last: Flags
    part: Part
    capital: int

    def find(self) -> Flags:
        """Tell which rows start an episode.

        The flags of the row before say so, unless bar, positions and cash contradict them.
        Where these allow both, as they do while nothing is earned, the length of the
        episode decides.
        """
        steps = self.steps
        said = (steps.terminated | steps.truncated)[:-1]
        paid = (steps.shares * steps.prices + steps.costs).sum(axis=1)
        booked = (steps.interest - steps.borrow - paid)[1:]
        held = (steps.positions - steps.shares)[1:]
        agree = (
            (steps.bar[1:] == steps.bar[:-1] + 1).astype(np.int64)
            + (held == steps.positions[:-1]).all(axis=1)
            + (steps.cash[1:] == steps.cash[:-1] + booked)
        )
        anew = (held == 0).all(axis=1) & (steps.cash[1:] == self.capital + booked)
        starts = self.new_lane | self.hole
        ties = anew & (agree >= ALL_AGREE - 1) & ~starts[1:]
        starts[1:] |= np.where((agree == ALL_AGREE) == anew, said, anew)
        for row in np.flatnonzero(ties).tolist():
            begin = row - int(np.argmax(starts[row::-1]))
            if not self.hole[begin]:
                full = row - begin + 1 == self.part.episode_length
                stopped = steps.terminated[row] and self._has_lost(begin, row)
                starts[row + 1] = self.last[row] or full or stopped
        return starts & ~self.hole

    def _has_lost(self, begin: int, row: int) -> bool:
        """Tell whether losses end an episode."""
        rows = [i for i in range(begin, row + 1) if self.steps.sound(i, "equity")]
        equity = [self.capital, *self.steps.equity[rows].tolist()]
        return bool(1.0 - equity[-1] / max(equity) >= self.part.hard_stop)


def _at_last_bar(steps: Steps, market: Market, part: Part) -> Flags:
    """Tell which rows were decided on the last bar of the window, by bar and by time."""
    bar = part.window[1] - 2
    last: Flags = (steps.bar == bar) & (steps.bar_time == market.times[bar])
    return last
