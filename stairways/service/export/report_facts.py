"""What a report says, read from the log."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stairways.core import events as e
from stairways.core.baselines import ALWAYS_HOLD, BUY_AND_HOLD, fold, paths
from stairways.core.replay.report import Finding, Report
from stairways.core.values import MICROS_PER_DOLLAR
from stairways.errors import StairwaysError
from stairways.readmodels.batch import decoded
from stairways.service import audit
from stairways.service.audit.asking import Row
from stairways.service.audit.traces import Traces, Validation, traces, validation
from stairways.service.export.bundle import checkpoint_over
from stairways.service.export.story import last_of_run, records_of
from stairways.service.replay.run import replay_run
from stairways.service.replay.setup import set_up
from stairways.service.skill.weighing import Conclusion, Result, conclusion, results
from stairways.store.contract import Record
from stairways.store.sql import SqlStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a report is made of."""

    run: str
    size: int
    root: str
    start: e.RunStarted
    summary: Row
    cycles: Sequence[Row]
    gates: Sequence[Row]
    rollbacks: Sequence[Row]
    drawn: Traces
    told: Sequence[tuple[Record, e.Event]]
    replay: Report | str
    weighed: Sequence[Result]
    concluded: Conclusion
    checkpoint: str
    simple: "Simple"
    shown: Validation | None


def gather(log: SqlStore, run: str) -> Facts:
    """Read everything a report says from the log."""
    [summary] = [row for row in audit.runs(log) if row["run"] == run]
    kinds = ("StepTaken", "ControllerUpdated", "EvaluationStepTaken", "BalanceAsserted")
    told = [(r, decoded(r)) for r in records_of(log, run) if r.type not in kinds]
    start = next(event for _, event in told if isinstance(event, e.RunStarted))
    cycles = audit.cycles(log, run)
    return Facts(
        run=run,
        size=log.head().size,
        root=log.head().root,
        start=start,
        summary=summary,
        cycles=cycles,
        gates=audit.gates(log, run),
        rollbacks=audit.rollbacks(log, run),
        drawn=traces(log, run, summary["first_position"], summary["last_position"]),
        told=told,
        replay=_replayed(log, run),
        weighed=results(log, run),
        concluded=conclusion(log, run),
        checkpoint=checkpoint_over(log, last_of_run(log, run)),
        simple=_simple(log, next(r for r, event in told if event is start)),
        shown=_shown(log, cycles, [event for _, event in told]),
    )


def _shown(log: SqlStore, cycles: Sequence[Row], told: Sequence[e.Event]) -> Validation | None:
    """Return the served model's validation, or the last one that was judged."""
    promoted = {(c["cycle"], c["attempt"]) for c in cycles if c["verdict"] == "promoted"}
    judged = [event for event in told if isinstance(event, e.EvaluationFinished)]
    served = [one for one in judged if (one.cycle, one.attempt) in promoted]
    return validation(log, (served or judged)[-1]) if judged else None


@dataclass(frozen=True, slots=True)
class Simple:
    """What simple strategies were worth in dollars at ``times``, seconds since 1970 UTC."""

    times: Sequence[float] = ()
    buy_and_hold: Sequence[float] = ()
    always_hold: Sequence[float] = ()


def _simple(log: SqlStore, started: Record) -> Simple:
    """Play simple strategies on the validation bars again, by the run's own rules.

    Nothing where bars or rules cannot be had; the replay says why.
    """
    try:
        setup = set_up(log, started)
    except StairwaysError:
        return Simple()
    if isinstance(setup, Finding):
        return Simple()
    first, last = setup.start.windows["validate"]
    nobody = np.empty((2, 0, last - first - 1))  # no random policies
    actions = paths(len(setup.market.symbols), setup.rules.max_lots, 0.0, nobody)
    equity = fold(actions, first, setup.market, setup.rules).equity[1:] / MICROS_PER_DOLLAR
    return Simple(
        (setup.times[first : last - 1] / 1e9).tolist(),
        equity[:, BUY_AND_HOLD].tolist(),
        equity[:, ALWAYS_HOLD].tolist(),
    )


def _replayed(log: SqlStore, run: str) -> Report | str:
    try:
        return replay_run(log, run)
    except StairwaysError as error:
        return str(error)
