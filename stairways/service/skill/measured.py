"""Measuring what a candidate's result is worth, and recording it: never blocking, always said."""

from dataclasses import asdict, dataclass

import numpy as np

from stairways.core import events as e
from stairways.core.baselines import ALWAYS_HOLD, BUY_AND_HOLD, RANDOM, Baselines, Int64, paths
from stairways.core.skill import Passed, trials_among, weigh
from stairways.core.statistics import bars_a_year
from stairways.core.values import Position
from stairways.env.lanes import Lanes
from stairways.service.skill import chance
from stairways.service.skill.trials import known_trials
from stairways.service.stairway.climb import Climber
from stairways.training.evaluator import Course

VALIDATE, TEST = "validate", "test"
"""Names of the windows whose results are weighed."""

NO_ATTEMPT = 0
"""Stands for the attempt where a served model is tested."""

CHUNK = 256
"""Steps of all baselines whose facts are kept at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One evaluation that has just ended: its lane, its result, and where the log has them."""

    lanes: Lanes
    result: e.EvaluationFinished | e.FoldTestFinished
    attempt: int
    started: Position
    finished: Position
    window: tuple[int, int]
    name: str  # of the window
    draws: int  # the cycle, or what stands for it, that chance is drawn for


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What a result is worth, and where the log says so."""

    judged: Judged
    baselines: e.BaselinesMeasured
    skill: e.SkillMeasured
    baselines_at: Position
    skill_at: Position

    @property
    def evidence(self) -> dict[str, tuple[Position, ...]]:
        """Return by gate what it rests on, where that is not the steps themselves."""
        simple = dict.fromkeys(AGAINST_BASELINES, (self.baselines_at,))
        return {**simple, **dict.fromkeys(AGAINST_CHANCE, (self.skill_at,))}


AGAINST_BASELINES = ("against_buy_and_hold", "against_always_hold", "against_random")
AGAINST_CHANCE = ("deflated_sharpe", "random_beaten", "skill")
"""Advisory gates, by what they rest on."""


def measure_skill(climber: Climber, course: Course, judged: Judged) -> Weighed:
    """Play the baselines on the candidate's window, weigh its result, and record both."""
    played = _play(climber, course, judged)
    measured = _baselines_event(played, judged)
    place = climber.note(climber.run_stream, measured).last
    first, last = judged.window[0], judged.window[1] - 1
    store, data = climber.journal.store, climber.bars.digest
    known = known_trials(store, data, judged.started)
    rules, count = climber.plan.statistics, judged.lanes.taken
    weighed = e.SkillMeasured(
        cycle=judged.result.cycle,
        attempt=judged.attempt,
        window=judged.name,
        data=data,
        first_bar=first,
        last_bar=last,
        **asdict(
            weigh(
                _passed(judged.lanes, course),
                played.until(count),
                trials_among(known, (first, last), judged.started),
                chance.of_blocks(climber.plan.seed, judged.draws, count, rules),
                rules,
            )
        ),
        evidence=(judged.finished, place),
    )
    return Weighed(
        judged=judged,
        baselines=measured,
        skill=weighed,
        baselines_at=place,
        skill_at=climber.note(climber.run_stream, weighed).last,
    )


def _baselines_event(played: Baselines, judged: Judged) -> e.BaselinesMeasured:
    """Return the event about what simple strategies earned on a candidate's bars."""
    profits = played.profits
    return e.BaselinesMeasured(
        cycle=judged.result.cycle,
        attempt=judged.attempt,
        window=judged.name,
        buy_and_hold=float(profits[BUY_AND_HOLD]),
        always_hold=float(profits[ALWAYS_HOLD]),
        random=tuple(sorted(profits[RANDOM:].tolist())),
        evidence=judged.result.evidence,
    )


def _play(climber: Climber, course: Course, judged: Judged) -> Baselines:
    """Let the lanes play every simple strategy on the window, and keep what each was worth."""
    steps = judged.window[1] - judged.window[0] - 1
    draws = chance.of_policies(climber.plan.seed, judged.draws, steps, climber.plan.statistics)
    trading, symbols = climber.plan.trading, len(climber.bars.symbols)
    actions = paths(symbols, trading.max_lots, judged.result.hold_rate, draws)
    lanes = course.lanes(judged.window, count=actions.shape[1], capacity=min(CHUNK, steps))
    equity = np.empty((steps + 1, actions.shape[1]), np.int64)
    equity[0] = trading.starting_capital
    for start in range(0, steps, CHUNK):
        lanes.clear_trace()
        for row in actions[start : start + CHUNK]:
            lanes.step(row)
        equity[start + 1 : start + 1 + lanes.taken] = lanes.trace.steps["equity"]
    return Baselines(_stopped(equity))


def _stopped(equity: Int64) -> Int64:
    """Return balances in which an account that is ruined stays as it was."""
    ruined = equity <= 0
    for strategy in np.flatnonzero(ruined.any(axis=0)).tolist():
        first = int(np.argmax(ruined[:, strategy]))
        equity[first:, strategy] = equity[first, strategy]
    return equity


def _passed(lanes: Lanes, course: Course) -> Passed:
    """Return a finished pass as its balances, its risk-free returns, and its bars a year."""
    steps = lanes.trace.steps[: lanes.taken, 0]
    first, count = int(steps["row"][0]), lanes.taken
    times = course.bars.times
    seconds = float(times[first + count] - times[first]) / 1e9
    return Passed(
        equity=np.concatenate(([course.trading.starting_capital], steps["equity"])),
        rates=course.tape.rates["interest"][first : first + count],
        a_year=bars_a_year(count, seconds),
    )
