"""Between projections and rows: what is written to the tables reads back as the same value."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import Boolean, Column

from stairways.core import events as e
from stairways.core.curves import PnlPoint, TracePoint
from stairways.core.projections import CycleSummary, ModelState, RunSummary
from stairways.store.contract import Record
from stairways.store.records import to_microseconds

Row = dict[str, Any]
Summary = TypeVar("Summary", CycleSummary, ModelState)

_POINT_FIELDS: dict[type, Sequence[str]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in (PnlPoint, TracePoint)
}

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """The part of the log in which a run's own stream lies."""

    first_position: int
    started_at: int  # microseconds since 1970 UTC
    last_position: int
    last_at: int

    def until(self, record: Record) -> "Span":
        """Return the span stretched to ``record``."""
        last_at = to_microseconds(record.recorded_at)
        return Span(self.first_position, self.started_at, record.position, last_at)


def span_of(record: Record) -> Span:
    """Return the span that begins with ``record``."""
    moment = to_microseconds(record.recorded_at)
    return Span(record.position, moment, record.position, moment)


def run_row(run: str, summary: RunSummary, span: Span) -> Row:
    """Return the row of ``rm_run``."""
    plain = {name.name: getattr(summary, name.name) for name in fields(summary)}
    del plain["cycles"]
    return {"run": run, **plain, **asdict(span)}


def cycle_rows(run: str, summary: RunSummary) -> list[Row]:
    """Return the rows of ``rm_cycle``, one for each attempt."""
    return [{"run": run, **asdict(one), "failed": ",".join(one.failed)} for one in summary.cycles]


def model_row(model: str, state: ModelState) -> Row:
    """Return the row of ``rm_model``."""
    return {"model": model, **asdict(state)}


def gate_row(record: Record, event: e.GateDecided) -> Row:
    """Return the row of ``rm_gate``."""
    return {
        "position": record.position,
        "run": event.run,
        "cycle": event.cycle,
        "attempt": event.attempt,
        "gate": event.gate,
        "value": event.value,
        "threshold": event.threshold,
        "passed": event.passed,
        "blocking": event.blocking,
        "reason": event.reason,
        "evidence": ",".join(map(str, event.evidence)),
        "decided_at": to_microseconds(record.recorded_at),
    }


def data_row(record: Record, event: e.DataRegistered) -> Row:
    """Return the row of ``rm_data``."""
    return {
        "position": record.position,
        "digest": event.digest,
        "name": event.name,
        "symbols": ",".join(event.symbols),
        "frequency": event.frequency,
        "adjustment": event.adjustment,
        "simulated": event.simulated,
        "first": to_microseconds(event.first),
        "last": to_microseconds(event.last),
        "rows": event.rows,
        "findings": event.findings,
    }


def point_row(run: str, record: Record, point: PnlPoint | TracePoint) -> Row:
    """Return the row of ``rm_pnl`` or ``rm_controller``."""
    names = _POINT_FIELDS[type(point)]
    values = attrgetter(*names)(point)
    return {"position": record.position, "run": run, **dict(zip(names, values, strict=True))}


def summary_from(row: Row, cycles: Sequence[Row]) -> tuple[RunSummary, Span]:
    """Return what ``run_row`` and ``cycle_rows`` were made of."""
    span = Span(**{name.name: row[name.name] for name in fields(Span)})
    plain = {name.name: row[name.name] for name in fields(RunSummary) if name.name != "cycles"}
    return RunSummary(**plain, cycles=tuple(map(cycle_from, cycles))), span


def cycle_from(row: Row) -> CycleSummary:
    """Return what a row of ``rm_cycle`` was made of."""
    failed = tuple(filter(None, row["failed"].split(",")))
    return _named(CycleSummary, {**row, "failed": failed})


def model_from(row: Row) -> ModelState:
    """Return what a row of ``rm_model`` was made of."""
    return _named(ModelState, row)


def read(columns: Sequence[Column[Any]], row: Sequence[object]) -> Row:
    """Return a row by column name, its truth values as such on every database."""
    return {
        column.name: bool(cell) if isinstance(column.type, Boolean) else cell
        for column, cell in zip(columns, row, strict=True)
    }


def to_time(microseconds: int) -> datetime:
    """Return the UTC time of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=microseconds)


def _named(kind: type[Summary], row: Mapping[str, Any]) -> Summary:
    return kind(**{name.name: row[name.name] for name in fields(kind)})
