"""What a report says, read from the log."""

from collections.abc import Sequence
from dataclasses import dataclass

from stairways.core import events as e
from stairways.core.replay.report import Report
from stairways.errors import StairwaysError
from stairways.market.bars import Bars
from stairways.readmodels.batch import decoded
from stairways.service import audit
from stairways.service.audit.asking import Row
from stairways.service.audit.traces import Traces, traces
from stairways.service.data import load_registered
from stairways.service.export.bundle import checkpoint_over
from stairways.service.export.story import last_of_run, records_of
from stairways.service.replay.run import replay_run
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
    bars: Bars | None


def gather(log: SqlStore, run: str) -> Facts:
    """Read everything a report says from the log."""
    [summary] = [row for row in audit.runs(log) if row["run"] == run]
    kinds = ("StepTaken", "ControllerUpdated", "EvaluationStepTaken", "BalanceAsserted")
    told = [(r, decoded(r)) for r in records_of(log, run) if r.type not in kinds]
    start = next(event for _, event in told if isinstance(event, e.RunStarted))
    return Facts(
        run=run,
        size=log.head().size,
        root=log.head().root,
        start=start,
        summary=summary,
        cycles=audit.cycles(log, run),
        gates=audit.gates(log, run),
        rollbacks=audit.rollbacks(log, run),
        drawn=traces(log, run, summary["first_position"], summary["last_position"]),
        told=told,
        replay=_replayed(log, run),
        weighed=results(log, run),
        concluded=conclusion(log, run),
        checkpoint=checkpoint_over(log, last_of_run(log, run)),
        bars=_bars(log, start),
    )


def _bars(log: SqlStore, start: e.RunStarted) -> Bars | None:
    """Return a run's bars; the replay says why where they cannot be had."""
    try:
        return load_registered(log, start.data)
    except StairwaysError:
        return None


def _replayed(log: SqlStore, run: str) -> Report | str:
    try:
        return replay_run(log, run)
    except StairwaysError as error:
        return str(error)
