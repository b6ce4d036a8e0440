"""What evaluations went through bar by bar, as the log tells it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stairways.core import events as e
from stairways.core.bootstrap import Blocks, Float64, resampled_products, resampled_sharpes
from stairways.core.events import SkillMeasured
from stairways.core.skill import returns_of
from stairways.core.values import Position
from stairways.service.replay.setup import Setup, set_up
from stairways.service.runs import run_stream
from stairways.service.stairway.journal import decoded
from stairways.store.contract import EventStore

TELLING = ("EvaluationFinished", "SkillMeasured")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pass:
    """The returns ``(n,)`` of one evaluation, and those above the risk-free rate.

    An account that was ruined earns nothing on the bars that are left.
    """

    returns: Float64
    above_cash: Float64
    a_year: float

    def resampled(self, figure: str, blocks: Blocks) -> Float64:
        """Return ``profit`` or ``sharpe`` in each resample of the bars, ``(B,)``."""
        if figure == "profit":
            return resampled_products(self.returns + 1.0, blocks) - 1.0
        ratios: Float64 = resampled_sharpes(self.above_cash, blocks) * np.sqrt(self.a_year)
        return ratios


def passes(store: EventStore, run: str) -> dict[int, Pass]:
    """Return the last weighed evaluation of each cycle of a run; none without usable bars."""
    first = next(store.read(stream=run_stream(run), types=("RunStarted",), limit=1))
    setup = set_up(store, first)
    if not isinstance(setup, Setup):
        return {}
    return {
        measured.cycle: _pass(store, run, steps, measured, setup)
        for steps, measured in _weighed(store, run)
    }


def _weighed(
    store: EventStore, run: str
) -> Iterator[tuple[tuple[Position, Position], SkillMeasured]]:
    """Yield first and last step of every evaluation that was weighed, and its weighing."""
    steps: dict[Position, tuple[Position, Position]] = {}
    for record in store.read(stream=run_stream(run), types=TELLING):
        match decoded(record):
            case e.EvaluationFinished() as finished:
                steps[record.position] = finished.evidence
            case e.SkillMeasured() as measured if measured.evidence[0] in steps:
                yield steps[measured.evidence[0]], measured
            case _:  # the test of a fold
                continue


def _pass(
    store: EventStore,
    run: str,
    steps: tuple[Position, Position],
    measured: SkillMeasured,
    setup: Setup,
) -> Pass:
    first, count = measured.first_bar, measured.last_bar - measured.first_bar
    own = returns_of(np.array([setup.rules.starting_capital, *_equity(store, run, steps)]))
    returns = np.zeros(count)
    returns[: len(own)] = own[:count]
    rates = setup.market.interest[first : first + count]
    return Pass(returns=returns, above_cash=returns - rates, a_year=measured.a_year)


def _equity(store: EventStore, run: str, steps: tuple[Position, Position]) -> Iterator[int]:
    first, last = Position(steps[0] - 1), steps[1]
    kind = ("EvaluationStepTaken",)
    for record in store.read(stream=run_stream(run), types=kind, after=first, until=last):
        event = decoded(record)
        if isinstance(event, e.EvaluationStepTaken):
            yield event.equity
