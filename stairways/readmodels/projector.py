"""Keeps the read models in step with the log: the subscription of that name."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Table, delete, insert

from stairways.core.projections import ModelState, RunSummary
from stairways.readmodels import queries, tables
from stairways.readmodels.batch import Batch
from stairways.readmodels.rows import Row, Span, cycle_rows, model_row, run_row
from stairways.readmodels.subscription import RECORDS_A_BATCH, Subscription, Write
from stairways.store.contract import Record
from stairways.store.sql import SqlStore


class ReadModels:
    """The rows of the tables ``rm_…``; see ``Projection``."""

    name = "readmodels"
    version = 1

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def fold(self, generation: int, records: Sequence[Record]) -> Write:
        """Return what to write for ``records``."""
        batch = Batch(_Tables(self._store, generation))
        batch.take(records)
        return lambda connection: _write(connection, generation, batch)

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


def _write(connection: Connection, generation: int, batch: Batch) -> None:
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
        _remove(connection, table, generation, key, names)
        _add(connection, table, generation, rows)
    for table, points in (
        (tables.gate, batch.gates),
        (tables.pnl, batch.pnl),
        (tables.controller, batch.controller),
        (tables.data, batch.data),
    ):
        _add(connection, table, generation, points)


def _remove(
    connection: Connection, table: Table, generation: int, key: str, names: Iterable[str]
) -> None:
    connection.execute(
        delete(table).where(table.c.generation == generation, table.c[key].in_(list(names)))
    )


def _add(connection: Connection, table: Table, generation: int, rows: list[Row]) -> None:
    if rows:
        connection.execute(insert(table), [{**row, "generation": generation} for row in rows])
