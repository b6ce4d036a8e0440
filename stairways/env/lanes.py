"""The trading environment: many lanes on one tape, one controller, every fact kept in arrays."""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stairways.core.controller import (
    HIGHEST_TARGET,
    LOWEST_TARGET,
    Controller,
    ControllerRules,
    clip,
)
from stairways.core.ledger import TradingRules
from stairways.env import kernel
from stairways.env.chance import generator_from, generator_state, restore_generator
from stairways.env.records import (
    CONTROL,
    HOLDING,
    LANE,
    ORDER,
    STEP,
    Records,
    control_record,
    trading_record,
)
from stairways.env.tape import Tape
from stairways.errors import BarsRefusedError, SettingsError, SpaceMismatchError

SHORTEST_WINDOW = 2
State = dict[str, npt.NDArray[Any]]


class Outcome(NamedTuple):
    """What one step of all lanes gave; the arrays are the environment's own, copy to keep.

    ``observations`` ``(L, 13 N)`` float32 are those to act on next: a lane whose episode
    ended already shows its next one, and its row of ``final_observations`` the end of the
    last; other rows of that array mean nothing. ``rewards`` ``(L,)`` are basis points.
    """

    observations: npt.NDArray[np.float32]
    rewards: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    final_observations: npt.NDArray[np.float32]


class Trace(NamedTuple):
    """The facts of the steps since the trace was cleared; views, gone when it is cleared.

    ``steps`` ``(taken, L)`` are records of ``records.STEP``, ``orders`` ``(taken, L, N)``
    of ``records.ORDER``; a column is ``steps["cash"]``. They state each step before any
    new episode of its lane.
    """

    steps: Records
    orders: Records


class Lanes:
    """``count`` accounts that trade rows ``window[0]`` to ``window[1] - 1`` of a tape.

    An episode starts flat, with the starting capital, at a row drawn from ``seed`` such
    that it fits into the window, and lasts ``TradingRules.steps_within`` it. With ``start``
    every episode begins there and lasts until the window ends. The controller sees the
    decisions of all lanes in order and outlives episodes.
    ``capacity`` is the number of steps the trace can hold before it must be cleared.
    """

    def __init__(
        self,
        tape: Tape,
        trading: TradingRules,
        control: ControllerRules,
        *,
        window: tuple[int, int],
        count: int,
        capacity: int,
        seed: int | np.random.Generator,
        start: int | None = None,
    ) -> None:
        self.tape, self.trading, self.control = tape, trading, control
        self.window, self.count, self.capacity, self.start = window, count, capacity, start
        self.taken = 0
        self.episode_length = _episode_length(tape, trading, window, start)
        if count < 1 or capacity < 1:
            raise SettingsError(f"{count} lanes with room for {capacity} steps: both must be 1 up")
        self._generator = generator_from(seed)
        self._make_arrays(len(tape.symbols))
        self._control["target"] = self._control["aim"] = HIGHEST_TARGET
        self.reset()

    def _make_arrays(self, symbols: int) -> None:
        self._lanes = np.zeros(self.count, LANE)
        self._holdings = np.zeros((self.count, symbols), HOLDING)
        self._control = np.zeros(1, CONTROL)
        self._decisions = np.zeros(self.control.window, np.uint8)
        self._steps = np.zeros((self.capacity, self.count), STEP)
        self._orders = np.zeros((self.capacity, self.count, symbols), ORDER)
        seen = np.zeros((self.count, self.tape.features.shape[1] + symbols), np.float32)
        flags = np.zeros((2, self.count), np.bool_)
        self._outcome = Outcome(seen, np.zeros(self.count), flags[0], flags[1], seen.copy())
        self._arguments = (
            *(self.tape.rates, self.tape.quotes, self.tape.features),
            *(self._lanes, self._holdings, self._control, self._decisions),
            *(self._steps, self._orders, *self._rules()),
            *self._outcome[:4],
        )
        self._run = kernel.entry_for(self._arguments)

    def _rules(self) -> tuple[Records, Records]:
        last, length = self.window[1] - 1, self.episode_length
        rules = trading_record(self.trading, last_row=last, episode_length=length)
        return rules, control_record(self.control)

    @property
    def observations(self) -> npt.NDArray[np.float32]:
        """Return what every lane sees now, ``(L, 13 N)``; overwritten by the next step."""
        return self._outcome.observations

    @property
    def trace(self) -> Trace:
        """Return the facts of the steps taken since the trace was cleared."""
        return Trace(self._steps[: self.taken], self._orders[: self.taken])

    @property
    def output(self) -> float:
        """Return u, the output of the controller, as the last decision left it."""
        control = self._control[0]
        return float(control["fast"] + control["slow"])

    @property
    def controller(self) -> Controller:
        """Return the controller as the last decision left it, as plain values."""
        now = {name: self._control[name][0].item() for name in _columns(self._control)}
        now |= {"target": now["aim"], "decisions": self._recent()}
        return Controller(**{field.name: now[field.name] for field in fields(Controller)})

    @property
    def decided(self) -> int:
        """Return how many decisions, over all lanes, the controller has seen."""
        return int(self._control["steps"][0])

    @property
    def margin(self) -> float:
        """Return the margin in force, see ``set_margin``."""
        return float(self._control["margin"][0])

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Return the row of the tape on which each lane decides next, ``(L,)``."""
        return self._lanes["row"].copy()

    @property
    def is_fresh(self) -> bool:
        """Say whether every lane stands at the beginning of an episode."""
        return not self._lanes["age"].any()

    def _recent(self) -> tuple[bool, ...]:
        window, steps = self.control.window, self.decided
        if steps < window:
            return tuple(self._decisions[:steps].astype(bool).tolist())
        return tuple(np.roll(self._decisions, -(steps % window)).astype(bool).tolist())

    def set_target(self, target: float) -> None:
        """Set the hold rate to steer to from the next decision on, clamped to [0.40, 0.75]."""
        if not math.isfinite(target):
            raise SettingsError(f"the target hold rate is {target}; it must be a number")
        self._control["target"] = clip(target, LOWEST_TARGET, HIGHEST_TARGET)

    def set_margin(self, margin: float) -> None:
        """Note the margin in force, which is recorded with every decision from now on."""
        if not math.isfinite(margin):
            raise SettingsError(f"the decision margin is {margin}; it must be a number")
        self._control["margin"] = margin

    def reset(self) -> npt.NDArray[np.float32]:
        """Start a new episode in every lane and return the observations; the controller stays."""
        self._begin(np.arange(self.count))
        return self.observations

    def step(self, actions: npt.NDArray[np.int64]) -> Outcome:
        """Take one step in every lane: ``actions`` ``(L,)``, base 3, first symbol highest.

        Raises ``SpaceMismatchError`` for an action that does not exist, ``SettingsError``
        when the trace is full, ``BarsRefusedError`` when prices drive an account beyond
        2**53 micros; the lanes cannot go on after that.
        """
        if self.taken == self.capacity:
            raise SettingsError(f"the trace holds {self.capacity} steps; clear it to go on")
        chosen = np.ascontiguousarray(actions, np.int64)
        if chosen.shape != self._lanes.shape:
            raise SpaceMismatchError(f"{chosen.shape} actions for {self.count} lanes")
        answer = self._run(chosen, self.taken, *self._arguments)
        if answer < 0:
            raise self._refused(answer, chosen)
        self.taken += 1
        if answer > 0:
            self._begin_again()
        return self._outcome

    def _begin_again(self) -> None:
        """Start new episodes where they ended, and keep what was seen last."""
        ended = np.flatnonzero(self._outcome.terminated | self._outcome.truncated)
        self._outcome.final_observations[ended] = self.observations[ended]
        self._begin(ended)

    def _begin(self, lanes: npt.NDArray[np.intp]) -> None:
        self._lanes["row"][lanes] = self._drawn(len(lanes))
        self._lanes["age"][lanes] = 0
        for amount in ("cash", "equity", "peak"):
            self._lanes[amount][lanes] = self.trading.starting_capital
        self._holdings[lanes] = np.zeros((), HOLDING)
        self._look(lanes)

    def _drawn(self, lanes: int) -> npt.NDArray[np.int64]:
        """Return a first row for each lane such that its episode fits into the window."""
        if self.start is not None:
            return np.full(lanes, self.start)
        first, last = self.window
        return self._generator.integers(first, last - self.episode_length, size=lanes)

    def _look(self, lanes: npt.NDArray[np.intp]) -> None:
        """Make the observations of ``lanes`` those of the lanes as they stand."""
        columns = self.tape.features.shape[1]
        self.observations[lanes, :columns] = self.tape.features[self._lanes["row"][lanes]]
        self.observations[lanes, columns:] = self._holdings["lots"][lanes] / self.trading.max_lots

    def _refused(self, answer: int, actions: npt.NDArray[np.int64]) -> Exception:
        lane, reason = kernel.refusal(answer)
        if reason == kernel.NO_SUCH_ACTION:
            most = 3 ** len(self.tape.symbols) - 1
            return SpaceMismatchError(
                f"lane {lane}: there is no action {actions[lane]}; they are 0 to {most}"
            )
        return BarsRefusedError(
            f"lane {lane}: the account outgrew 2**53 micros near row {self._lanes['row'][lane]};"
            " look for a false price there, or start with less capital"
        )

    def clear_trace(self) -> None:
        """Forget the facts of all steps; the lanes go on."""
        self.taken = 0

    def state(self) -> State:
        """Return everything that decides what comes next, as plain arrays of numbers.

        The trace is not part of it: ask at a boundary, when its facts are recorded.
        """
        state: State = {"generator": generator_state(self._generator)}
        for name, records in self._stateful().items():
            state |= {f"{name}.{column}": records[column].copy() for column in _columns(records)}
        state["decisions"] = self._decisions.copy()
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become as ``state`` says, and clear the trace.

        Raises ``SettingsError`` for the state of other lanes: another number of lanes,
        symbols or decisions in the window.
        """
        mine = self.state()
        for name, values in mine.items():
            if name not in state or state[name].shape != values.shape:
                raise SettingsError(
                    f"{name!r} of the state is missing or has another shape than {values.shape};"
                    " restore it into lanes of the same settings"
                )
        restore_generator(self._generator, state["generator"])
        for name, records in self._stateful().items():
            for column in _columns(records):
                records[column] = state[f"{name}.{column}"]
        self._decisions[:] = state["decisions"]
        self.clear_trace()
        self._look(np.arange(self.count))

    def _stateful(self) -> dict[str, Records]:
        return {"lanes": self._lanes, "holdings": self._holdings, "control": self._control}


def _columns(records: Records) -> tuple[str, ...]:
    return records.dtype.names or ()


def _episode_length(
    tape: Tape, rules: TradingRules, window: tuple[int, int], start: int | None
) -> int:
    """Return how many steps an episode has, or say why there can be none."""
    first, last = window
    if not tape.warm_up <= first <= last <= len(tape):
        raise SettingsError(
            f"the window {window} leaves the bars that can be traded,"
            f" {tape.warm_up} to {len(tape)}: the first {tape.warm_up} warm the features up"
        )
    if last - first < SHORTEST_WINDOW:
        raise SettingsError(
            f"the window {window} has {last - first} bars, too short for an episode of"
            f" {rules.episode_length} steps: one step needs {SHORTEST_WINDOW} bars"
        )
    if start is None:
        return rules.steps_within(last - first)
    if not first <= start < last - 1:
        raise SettingsError(f"the start {start} leaves no step in the window {window}")
    return last - 1 - start
