"""Keeps the read models in step with the log.

It reads after its own position and writes rows and position in one transaction, so that it
may be stopped at any moment, run twice at a time, or start again from zero, and the tables
always say what the log says up to the position they name.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Table, delete, insert, update
from sqlalchemy.exc import DBAPIError

from stairways.core.projections import ModelState, RunSummary
from stairways.core.values import Position
from stairways.errors import LogUnavailableError
from stairways.readmodels import queries, tables
from stairways.readmodels.batch import Batch
from stairways.readmodels.rows import Row, Span, cycle_rows, model_row, run_row
from stairways.store.sql import SqlStore

PROJECTION = 2
"""Raised whenever the tables are filled in another way; they are then built anew."""

RECORDS_A_BATCH = 20_000

_FORBIDDEN = ("42501", "25006")  # PostgreSQL: insufficient_privilege, read_only_sql_transaction
_BEHIND = (
    "The read models are behind the log, and this account may not fill them. "
    "`stairways audit` answers from the log itself."
)


class Projector:
    """Fills the read models of the log in ``store``."""

    def __init__(self, store: SqlStore, batch: int = RECORDS_A_BATCH) -> None:
        self._store = store
        self._batch = batch

    def catch_up(self) -> Position:
        """Bring the tables to the end of the log as of now, and return that position."""
        end = Position(self._store.head().size)
        while True:
            standing = self._standing()
            if standing is None:
                self.reset()
            elif standing >= end:
                return standing
            else:
                self._step(standing, end)

    def rebuild(self) -> Position:
        """Build the tables from the first event on."""
        self.reset()
        return self.catch_up()

    def reset(self) -> None:
        """Empty the tables."""
        with self._writing() as connection:
            for table in (*tables.DERIVED, tables.position):
                connection.execute(delete(table))
            connection.execute(
                insert(tables.position).values(id=1, position=0, projection=PROJECTION)
            )

    def _standing(self) -> Position | None:
        """Return the position of the tables; None when this program did not fill them."""
        found = queries.standing(self._store)
        return found.position if found and found.projection == PROJECTION else None

    def _step(self, after: Position, end: Position) -> None:
        """Take one batch of records; if somebody else was faster, change nothing."""
        records = list(self._store.read(after=after, until=end, limit=self._batch))
        batch = Batch(_Tables(self._store))
        batch.take(records)
        with self._writing() as connection:
            if _move(connection, after, records[-1].position):
                _write(connection, batch)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Give a transaction, and errors of the database as errors a caller can act on."""
        driver = self._store.driver
        try:
            with driver.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            cause = error.orig if isinstance(error.orig, Exception) else error
            if _is_forbidden(cause):
                raise LogUnavailableError(_BEHIND) from error
            raise driver.explain(cause) from error


def _is_forbidden(error: Exception) -> bool:
    """Say whether the database refused a change because of who asked for it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code == sqlite3.SQLITE_READONLY or getattr(error, "sqlstate", "") in _FORBIDDEN


class _Tables:
    """What the tables say before a batch."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def run(self, run: str) -> tuple[RunSummary, Span] | None:
        return queries.run_with_span(self._store, run)

    def model(self, model: str) -> ModelState:
        return queries.model(self._store, model) or ModelState()


def _move(connection: Connection, after: Position, to: Position) -> bool:
    """Move the tables' position on from ``after``; False if it is not there any more."""
    moved = connection.execute(
        update(tables.position)
        .where(tables.position.c.position == after, tables.position.c.projection == PROJECTION)
        .values(position=to)
    )
    return moved.rowcount == 1


def _write(connection: Connection, batch: Batch) -> None:
    """Replace the rows of changed runs and models and add the new points."""
    runs, models = batch.runs, batch.models
    changed = [run_row(run, summary, batch.spans[run]) for run, summary in runs.items()]
    cycles = [row for run, summary in runs.items() for row in cycle_rows(run, summary)]
    _replace(connection, tables.run, "run", runs, changed)
    _replace(connection, tables.cycle, "run", runs, cycles)
    states = [model_row(model, state) for model, state in models.items()]
    _replace(connection, tables.model, "model", models, states)
    _add(connection, tables.gate, batch.gates)
    _add(connection, tables.pnl, batch.pnl)
    _add(connection, tables.controller, batch.controller)
    _add(connection, tables.data, batch.data)


def _replace(
    connection: Connection, table: Table, key: str, changed: Iterable[str], rows: list[Row]
) -> None:
    connection.execute(delete(table).where(table.c[key].in_(list(changed))))
    _add(connection, table, rows)


def _add(connection: Connection, table: Table, rows: list[Row]) -> None:
    if rows:
        connection.execute(insert(table), rows)
