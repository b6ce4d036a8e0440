"""Questions to the read models. Reading takes no lock that a writer of the log would wait for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Table

from stairways.core.projections import ModelState, RunSummary
from stairways.core.values import Position
from stairways.readmodels import tables
from stairways.readmodels.rows import Row, Span, model_from, read, summary_from


class Reader(Protocol):
    """Something that answers queries written with ``?`` placeholders."""

    def rows(self, statement: str, parameters: Sequence[object]) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        ...


class Standing(NamedTuple):
    """How far the tables are, and which version of the program filled them."""

    position: Position
    projection: int


def standing(reader: Reader) -> Standing | None:
    """Return how far the tables are; None before they were filled for the first time."""
    for row in _select(reader, tables.position):
        return Standing(Position(row["position"]), row["projection"])
    return None


def runs(reader: Reader) -> list[Row]:
    """Return the row of every run, oldest first."""
    return list(_select(reader, tables.run, order=("first_position",)))


def run_with_span(reader: Reader, run: str) -> tuple[RunSummary, Span] | None:
    """Return the summary of a run and where in the log it stands; None if there is none."""
    for row in _select(reader, tables.run, {"run": run}):
        return summary_from(row, cycles(reader, run))
    return None


def cycles(reader: Reader, run: str) -> list[Row]:
    """Return the row of every attempt at a cycle of a run, in order."""
    return list(_select(reader, tables.cycle, {"run": run}, ("cycle", "attempt")))


def gates(reader: Reader, run: str) -> list[Row]:
    """Return the row of every gate decision of a run, in order."""
    return list(_select(reader, tables.gate, {"run": run}, ("position",)))


def pnl(reader: Reader, run: str) -> list[Row]:
    """Return the profit-and-loss curve of a run, in order."""
    return list(_select(reader, tables.pnl, {"run": run}, ("position",)))


def controller(reader: Reader, run: str) -> list[Row]:
    """Return the controller trace of a run, in order."""
    return list(_select(reader, tables.controller, {"run": run}, ("position",)))


def models(reader: Reader) -> list[Row]:
    """Return the row of every model, by name."""
    return list(_select(reader, tables.model, order=("model",)))


def model(reader: Reader, name: str) -> ModelState | None:
    """Return the state of a model; None if there is none of that name."""
    for row in _select(reader, tables.model, {"model": name}):
        return model_from(row)
    return None


def data_sets(reader: Reader) -> list[Row]:
    """Return the row of every registration of bars, oldest first."""
    return list(_select(reader, tables.data, order=("position",)))


def everything(reader: Reader) -> Mapping[str, list[Row]]:
    """Return all rows of all derived tables, in a fixed order."""
    return {
        table.name: list(_select(reader, table, order=[key.name for key in table.primary_key]))
        for table in tables.DERIVED
    }


def _select(
    reader: Reader,
    table: Table,
    where: Mapping[str, object] | None = None,
    order: Sequence[str] = (),
) -> Iterator[Row]:
    """Yield rows of a table; names come from this program, values go as parameters."""
    wanted = where or {}
    columns = ", ".join(column.name for column in table.columns)
    statement = f"SELECT {columns} FROM {table.name}"  # noqa: S608 - names of our own tables
    if wanted:
        statement += " WHERE " + " AND ".join(f"{name} = ?" for name in wanted)
    if order:
        statement += " ORDER BY " + ", ".join(order)
    return (read(table, row) for row in reader.rows(statement, list(wanted.values())))
