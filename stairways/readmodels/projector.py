"""Keeps the read models in step with the log: the subscription of that name."""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple, cast

from sqlalchemy import Connection, Table, delete

from stairways.core.projections import ModelState, RunSummary
from stairways.readmodels import queries, tables
from stairways.readmodels.batch import Batch
from stairways.readmodels.rows import Row, Span, cycle_rows, model_row, run_row
from stairways.readmodels.subscription import RECORDS_A_BATCH, Subscription, Write
from stairways.store.contract import Record
from stairways.store.driver import Connection as DriverConnection
from stairways.store.driver import Driver
from stairways.store.sql import SqlStore


class ReadModels:
    """The rows of the tables ``rm_…``; see ``Projection``."""

    name = "readmodels"
    version = 1
    skims = True

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def fold(self, generation: int, records: Sequence[Record]) -> Write:
        """Return what to write for ``records``."""
        batch = Batch(_Tables(self._store, generation))
        batch.take(records)
        driver = self._store.driver
        return lambda connection: _write(_Into(driver, connection, generation), batch)

    def clear(self, connection: Connection, generation: int) -> None:
        """Remove every row of a generation."""
        for table in tables.DERIVED:
            connection.execute(delete(table).where(table.c.generation == generation))


class Projector(Subscription):
    """Fills the read models of the log in ``store``."""

    def __init__(self, store: SqlStore, batch: int = RECORDS_A_BATCH) -> None:
        super().__init__(store, ReadModels(store), batch)


class _Tables:
    """What the tables say before a batch."""

    def __init__(self, store: SqlStore, generation: int) -> None:
        self._store = store
        self._generation = generation

    def run(self, run: str) -> tuple[RunSummary, Span] | None:
        return queries.run_with_span(self._store, run, self._generation)

    def model(self, model: str) -> ModelState:
        return queries.model(self._store, model, self._generation) or ModelState()


class _Into(NamedTuple):
    """A transaction in which rows of a generation are written, many at once."""

    driver: Driver
    connection: Connection
    generation: int


def _write(into: _Into, batch: Batch) -> None:
    """Replace the rows of changed runs and models and add the new points."""
    runs, models = batch.runs, batch.models
    changed = [run_row(run, summary, batch.spans[run]) for run, summary in runs.items()]
    cycles = [row for run, summary in runs.items() for row in cycle_rows(run, summary)]
    states = [model_row(model, state) for model, state in models.items()]
    for table, key, names, rows in (
        (tables.run, "run", runs, changed),
        (tables.cycle, "run", runs, cycles),
        (tables.model, "model", models, states),
    ):
        _remove(into, table, key, names)
        _add(into, table, rows)
    for table, points in (
        (tables.gate, batch.gates),
        (tables.pnl, batch.pnl),
        (tables.controller, batch.controller),
        (tables.data, batch.data),
    ):
        _add(into, table, points)


def _remove(into: _Into, table: Table, key: str, names: Iterable[str]) -> None:
    own = table.c.generation == into.generation
    into.connection.execute(delete(table).where(own, table.c[key].in_(list(names))))


def _add(into: _Into, table: Table, rows: list[Row]) -> None:
    if rows:
        columns = list(rows[0])
        own = ((into.generation, *row) for row in map(itemgetter(*columns), rows))
        direct = cast("DriverConnection", into.connection.connection.driver_connection)
        into.driver.load(direct, table.name, ["generation", *columns], own)
