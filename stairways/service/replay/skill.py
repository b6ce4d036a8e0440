"""What a replay expects of events that weigh a result: made again from steps, bars and seed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from stairways.core import events as e
from stairways.core.baselines import (
    ALWAYS_HOLD,
    BUY_AND_HOLD,
    RANDOM,
    Baselines,
    Float64,
    Int64,
    fold,
    paths,
)
from stairways.core.events import Event
from stairways.core.replay.books import Part
from stairways.core.replay.claims import held_steps
from stairways.core.replay.part import Checked
from stairways.core.skill import Passed, Skill, SkillRules, Trial, trials_among, weigh
from stairways.core.statistics import annual_sharpe, bars_a_year
from stairways.core.values import Micros, Position
from stairways.service.replay.setup import Setup
from stairways.service.skill import chance
from stairways.service.skill.trials import by_bar
from stairways.store.contract import Record


@dataclass(frozen=True, eq=False)
class SkillClaims:
    """What the events about one evaluation must say besides its balances.

    ``events`` are those of its section, in order. Only for evaluations all of whose steps are
    known; the baselines are played again by rules and bars, without the environment.
    """

    setup: Setup
    part: Part
    checked: Checked
    started: e.EvaluationStarted | e.FoldTestStarted
    events: Sequence[tuple[Record, Event | None]]

    @cached_property
    def pace(self) -> dict[str, object]:
        """Return what ``EvaluationFinished`` must say that takes time into account."""
        steps, first, last = self.checked.believed, *self._rows
        sessions = int(self.setup.sessions[last] - self.setup.sessions[first])
        trades = int((steps.shares != 0).sum())
        equity = [Micros(balance) for balance in self._equity.tolist()]
        return {
            "sharpe": annual_sharpe(equity, self._rates.tolist(), self._seconds),
            "trades_per_day": trades / max(1, sessions),
        }

    def of_baselines(self) -> dict[str, object]:
        """Return what ``BaselinesMeasured`` must say."""
        if self.setup.statistics is None:
            return {}
        steps, profits = self.checked.believed, self._baselines.profits
        return {
            "cycle": self.part.cycle,
            "attempt": self.part.attempt,
            "window": "test" if self._tested else "validate",
            "buy_and_hold": float(profits[BUY_AND_HOLD]),
            "always_hold": float(profits[ALWAYS_HOLD]),
            "random": tuple(sorted(profits[RANDOM:].tolist())),
            "evidence": (int(steps.at[0]), int(steps.at[-1])),
        }

    def of_skill(self) -> dict[str, object]:
        """Return what ``SkillMeasured`` must say; its ratio is the one later trials count."""
        if self.setup.statistics is None:
            return {}
        bars = (self.part.window[0], self.part.window[1] - 1)
        skill = self._skill
        known = self._at("SkillMeasured")
        ratio = by_bar(skill.sharpe[1], skill.a_year)
        self.setup.trials[known] = Trial(known, ratio, *bars)
        return {
            "cycle": self.part.cycle,
            "attempt": self.part.attempt,
            "window": "test" if self._tested else "validate",
            "data": self.setup.start.data,
            "first_bar": bars[0],
            "last_bar": bars[1],
            **asdict(skill),
            **self._evidence,
        }

    @property
    def _evidence(self) -> dict[str, object]:
        """Return what the weighing rests on, unless it is missing, which is named elsewhere."""
        result = "FoldTestFinished" if self._tested else "EvaluationFinished"
        places = self._at(result), self._at("BaselinesMeasured")
        return {"evidence": places} if all(places) else {}

    @cached_property
    def _skill(self) -> Skill:
        bars = (self.part.window[0], self.part.window[1] - 1)
        known = self.setup.trials.values()
        count = len(self.checked.believed)
        seconds = self._seconds
        return weigh(
            Passed(equity=self._equity, rates=self._rates, a_year=bars_a_year(count, seconds)),
            self._baselines.until(count),
            trials_among(known, bars, self.part.position),
            chance.of_blocks(self.setup.start.seed, self._draws, count, self._rules),
            self._rules,
        )

    @cached_property
    def _baselines(self) -> Baselines:
        """Return the books of every simple strategy on the bars of the evaluation."""
        steps, rules = self.checked.believed, self.setup.rules
        first, count = self.part.window[0], self.part.episode_length
        rate = held_steps(steps) / len(steps)
        draws = chance.of_policies(self.setup.start.seed, self._draws, count, self._rules)
        symbols = len(self.setup.market.symbols)
        actions = paths(symbols, rules.max_lots, rate, draws)
        return fold(actions, first, self.setup.market, rules)

    @property
    def _tested(self) -> bool:
        """Whether this is the test of a fold, and not the validation of a candidate."""
        return isinstance(self.started, e.FoldTestStarted)

    @property
    def _draws(self) -> int:
        """Return the cycle that chance was drawn for."""
        return chance.OF_TEST if self._tested else self.part.cycle

    @property
    def _rules(self) -> SkillRules:
        assert self.setup.statistics is not None  # noqa: S101 - the callers asked
        return self.setup.statistics

    @property
    def _rows(self) -> tuple[int, int]:
        """Return the first bar that was decided on and the last that was reached."""
        first = int(np.clip(self.checked.believed.bar[0], 0, len(self.setup.market) - 1))
        return first, min(first + len(self.checked.believed), len(self.setup.times) - 1)

    @cached_property
    def _equity(self) -> Int64:
        capital = self.setup.rules.starting_capital
        return np.concatenate(([capital], self.checked.believed.equity))

    @property
    def _rates(self) -> Float64:
        first, last = self._rows
        return self.setup.market.interest[first:last]

    @property
    def _seconds(self) -> float:
        first, last = self._rows
        return float(self.setup.times[last] - self.setup.times[first]) / 1e9

    def _at(self, kind: str) -> Position:
        """Return where the section has its event of a type, 0 if it has none."""
        found = [record.position for record, _ in self.events if record.type == kind]
        return Position(found[0] if found else 0)
