"""What gates need beyond the evaluation: replay, look-ahead, and the model served so far."""

from dataclasses import replace

from stairways.core import events as e
from stairways.core.values import Position
from stairways.env.lanes import Lanes
from stairways.env.tape import tape_of
from stairways.market.bars import Bars
from stairways.service.replay.run import evaluation_findings
from stairways.service.runs import run_stream
from stairways.service.stairway.climb import Climber
from stairways.service.stairway.journal import decoded
from stairways.training.calibration import Calibration
from stairways.training.evaluator import Course, act

TAMPERING = 3
"""Factor on every price after the row that must not know of them; volume turns around."""


def look_ahead_findings(climber: Climber, course: Course, calibration: Calibration) -> int:
    """Return how many rows of the validation window change when later bars are invented.

    Features, regime scores, actions, fills and balances up to the middle of the window are
    made again from bars that are wrong from there on.
    """
    first, last = climber.windows.validate
    middle = (first + last) // 2
    other = tape_of(invented_after(climber.bars, middle), climber.plan.trading)
    seen = (course.tape.features[: middle + 1] != other.features[: middle + 1]).any(axis=1)
    scored = course.tape.rates["regime"][: middle + 1] != other.rates["regime"][: middle + 1]
    window = (first, middle + 1)
    policy = climber.learner.policy
    here, _ = act(policy, course, window, calibration)
    there, _ = act(policy, replace(course, tape=other), window, calibration)
    return int((seen | scored).sum()) + _differing_steps(here, there)


def invented_after(bars: Bars, row: int) -> Bars:
    """Return bars whose rows after ``row`` never happened."""
    changed = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for prices in changed.values():
        prices[row + 1 :] *= TAMPERING
    volume = bars.volume.copy()
    volume[row + 1 :] = volume[row + 1 :][::-1]
    return replace(bars, **changed, volume=volume)


def _differing_steps(here: Lanes, there: Lanes) -> int:
    """Return how many steps differ in anything decided or booked."""
    count = min(here.taken, there.taken)
    steps = here.trace.steps[:count] != there.trace.steps[:count]
    orders = here.trace.orders[:count] != there.trace.orders[:count]
    return int((steps | orders.any(axis=-1)).sum()) + abs(here.taken - there.taken)


def replay_findings(climber: Climber, steps: tuple[Position, Position]) -> int:
    """Return the findings of a ledger replay of an evaluation, from its first and last step."""
    return evaluation_findings(climber.journal.store, climber.run, *steps)


def served_evidence(climber: Climber, before: Position) -> tuple[Position, ...]:
    """Return what the profit of the model served so far rests on, as the log had it ``before``.

    That is its promotion, and the first and last step it was judged by; nothing where no model
    is served yet.
    """
    served, store = climber.progress.served, climber.journal.store
    promotion = None
    for record in store.read(stream=climber.model_stream, types=("ModelPromoted",), until=before):
        event = decoded(record)
        if served and isinstance(event, e.ModelPromoted) and event.parameters == served.parameters:
            promotion = record.position, event
    if promotion is None:
        return ()
    place, promoted = promotion
    steps: tuple[Position, ...] = ()
    own = run_stream(promoted.run)
    for record in store.read(stream=own, types=("EvaluationFinished",), until=place):
        judged = decoded(record)
        if isinstance(judged, e.EvaluationFinished) and judged.cycle == promoted.cycle:
            steps = judged.evidence
    return place, *steps
