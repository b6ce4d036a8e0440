"""Walk-forward: which runs are its folds, which comes next, and what they came to together.

Every fold is a run of its own, named after the walk and its number, under a model of its own,
so that what is served otherwise stays as it is. Nothing but the runs records a walk: how far it
is and what it found is read from them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from stairways.core import events as e
from stairways.core.skill import NO_EVIDENCE, SkillRules, pooled
from stairways.core.values import Position
from stairways.errors import NoSuchRunError
from stairways.service.replay.setup import statistics_from
from stairways.service.runs import run_names, run_stream
from stairways.service.skill.weighing import TEST, Result, results
from stairways.service.stairway.journal import decoded
from stairways.service.stairway.unfinished import start_of, summary_of
from stairways.store.contract import EventStore

NO_MODEL = f"{NO_EVIDENCE}: no fold served a model"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands in a walk-forward: the walk's name, its fold, and how many there are."""

    walk: str
    fold: int
    folds: int

    @property
    def next_run(self) -> str:
        """Return the name of the run of the next fold."""
        return fold_run(self.walk, self.fold + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """What one fold came to on its test window; without a served model nothing was tested."""

    fold: int
    run: str
    status: str
    first: datetime | None = None  # bar of the test window
    last: datetime | None = None
    cycle: int | None = None
    target: float | None = None
    setpoint: float | None = None  # the hold rate steered to
    hold_rate: float | None = None
    saturated: float | None = None  # share of decisions with an actuator at its limit
    profit: float | None = None
    drawdown: float | None = None
    trades: int | None = None
    sharpe: float | None = None
    buy_and_hold: float | None = None
    always_hold: float | None = None
    random_median: float | None = None
    beaten: float | None = None
    deflated: float | None = None
    tried: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """All folds of a walk-forward and what their test windows say together."""

    walk: str
    folds: Sequence[Fold]
    profit: float  # of the served models, one window after the other; a fold without one earns 0
    buy_and_hold: float
    skill: bool
    reason: str


def fold_run(walk: str, fold: int) -> str:
    """Return the name of the run of a fold."""
    return f"{walk}-fold-{fold}"


def place_of(store: EventStore, run: str) -> Place | None:
    """Return where a run stands in a walk-forward; None if it is no fold of one."""
    settings = start_of(store, run).settings
    folds, fold = (int(settings.get(f"stairway.{name}", "0")) for name in ("folds", "fold"))
    walk = re.sub(r"-fold-\d+$", "", run)
    return Place(walk, fold, folds) if fold and walk != run else None


def fold_to_come(store: EventStore, run: str) -> Place | None:
    """Return the place of ``run`` if it has ended and a fold is to come after it, else None."""
    place = place_of(store, run)
    if place is None or place.fold == place.folds:
        return None
    if place.next_run in run_names(store):
        return None
    return place if summary_of(store, run).status in ("finished", "failed") else None


def walk_of(store: EventStore, run: str) -> Walk:
    """Return the walk-forward that ``run`` is a fold of, as far as it has come.

    Raises ``NoSuchRunError`` if it is no fold.
    """
    place = place_of(store, run)
    if place is None:
        raise NoSuchRunError(
            f"Run {run} is no fold of a walk-forward; `stairways train --walk-forward K` makes one."
        )
    runs = [name for name in run_names(store) if _belongs(store, name, place.walk)]
    tested = {name: _tested(store, name) for name in runs}
    folds = [_fold(store, name, tested[name]) for name in runs]
    rules = statistics_from(start_of(store, run).settings) or SkillRules()
    known = [one for one in tested.values() if one is not None]
    tried = max((one.trials_now for one in known), default=0)
    said = pooled([one.measured for one in known], tried, rules)
    return Walk(
        walk=place.walk,
        folds=folds,
        profit=_compounded(one.profit for one in folds),
        buy_and_hold=_compounded(one.buy_and_hold for one in folds),
        skill=not said.startswith(NO_EVIDENCE),
        reason=said,
    )


def _belongs(store: EventStore, run: str, walk: str) -> bool:
    place = place_of(store, run) if run.startswith(walk) else None
    return place is not None and place.walk == walk


def _tested(store: EventStore, run: str) -> Result | None:
    """Return what the test of a fold was worth."""
    return next((one for one in results(store, run) if one.measured.window == TEST), None)


def _fold(store: EventStore, run: str, tested: Result | None) -> Fold:
    place, status = place_of(store, run), summary_of(store, run).status
    assert place is not None  # noqa: S101 - the caller asked
    finished = store.read(stream=run_stream(run), types=("FoldTestFinished",), limit=1)
    result = next((decoded(record) for record in finished), None)
    if tested is None or not isinstance(result, e.FoldTestFinished):
        reason = "" if status == "running" else "no model was promoted"
        return Fold(fold=place.fold, run=run, status=status, reason=reason)
    measured, simple, started = tested.measured, tested.baselines, _test_start(store, run)
    first, last = (_bar_time(store, position) for position in result.evidence)
    return Fold(
        fold=place.fold,
        run=run,
        status=status,
        first=first,
        last=last,
        cycle=result.cycle,
        target=started.target if started else None,
        setpoint=started.setpoint if started else None,
        hold_rate=result.hold_rate,
        saturated=result.saturated,
        profit=result.profit,
        drawdown=result.drawdown,
        trades=result.trades,
        sharpe=result.sharpe,
        buy_and_hold=simple.buy_and_hold if simple else None,
        always_hold=simple.always_hold if simple else None,
        random_median=median(simple.random) if simple else None,
        beaten=measured.beaten,
        deflated=tested.deflated_now,
        tried=tested.trials_now,
        reason=tested.reason_now,
    )


def _test_start(store: EventStore, run: str) -> e.FoldTestStarted | None:
    started = store.read(stream=run_stream(run), types=("FoldTestStarted",), limit=1)
    event = next((decoded(record) for record in started), None)
    return event if isinstance(event, e.FoldTestStarted) else None


def _bar_time(store: EventStore, position: Position) -> datetime | None:
    before = Position(position - 1)
    event = next((decoded(r) for r in store.read(after=before, until=position)), None)
    return event.bar_time if isinstance(event, e.EvaluationStepTaken) else None


def _compounded(profits: Iterator[float | None]) -> float:
    total = 1.0
    for profit in profits:
        total *= 1.0 + (profit or 0.0)
    return total - 1.0
