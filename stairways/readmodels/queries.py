"""Questions to the read models. Reading takes no lock that a writer of the log would wait for.

Answers are those of the generation that is served, unless another one is named.
"""

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
    """How far a generation of a subscription is, and by which rules its rows are made."""

    generation: int
    version: int
    position: Position
    live: bool


def generations(reader: Reader, name: str) -> list[Standing]:
    """Return the generations of a subscription, oldest first."""
    rows = reader.rows(
        "SELECT generation, version, position, live FROM subscriptions WHERE name = ?"
        " ORDER BY generation",
        (name,),
    )
    return [Standing(int(g), int(v), Position(int(p)), bool(live)) for g, v, p, live in rows]  # type: ignore[call-overload]  # whole numbers by the table


def standing(reader: Reader, name: str = "readmodels") -> Standing | None:
    """Return how far the served generation is; None before there was one."""
    return next((one for one in generations(reader, name) if one.live), None)


def runs(reader: Reader) -> list[Row]:
    """Return the row of every run, oldest first."""
    return list(_select(reader, tables.run, order=("first_position",)))


def run_with_span(
    reader: Reader, run: str, generation: int | None = None
) -> tuple[RunSummary, Span] | None:
    """Return the summary of a run and where in the log it stands; None if there is none."""
    for row in _select(reader, tables.run, {"run": run}, generation=generation):
        return summary_from(row, cycles(reader, run, generation))
    return None


def cycles(reader: Reader, run: str, generation: int | None = None) -> list[Row]:
    """Return the row of every attempt at a cycle of a run, in order."""
    order = ("cycle", "attempt")
    return list(_select(reader, tables.cycle, {"run": run}, order, generation))


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


def model(reader: Reader, name: str, generation: int | None = None) -> ModelState | None:
    """Return the state of a model; None if there is none of that name."""
    for row in _select(reader, tables.model, {"model": name}, generation=generation):
        return model_from(row)
    return None


def data_sets(reader: Reader) -> list[Row]:
    """Return the row of every registration of bars, oldest first."""
    return list(_select(reader, tables.data, order=("position",)))


def everything(reader: Reader) -> Mapping[str, list[Row]]:
    """Return all rows of all derived tables, in a fixed order."""
    return {
        tables.view_of(table): list(_select(reader, table, order=_keys(table)))
        for table in tables.DERIVED
    }


def _keys(table: Table) -> list[str]:
    return [key.name for key in table.primary_key if key.name != "generation"]


def _select(
    reader: Reader,
    table: Table,
    where: Mapping[str, object] | None = None,
    order: Sequence[str] = (),
    generation: int | None = None,
) -> Iterator[Row]:
    """Yield rows of the served generation of a table, or of ``generation``.

    Names come from this program, values go as parameters.
    """
    wanted = dict(where or {})
    source = tables.view_of(table)
    if generation is not None:
        source, wanted["generation"] = table.name, generation
    columns = [column for column in table.columns if column.name != "generation"]
    names = ", ".join(column.name for column in columns)
    statement = f"SELECT {names} FROM {source}"  # noqa: S608 - names of our own tables
    if wanted:
        statement += " WHERE " + " AND ".join(f"{name} = ?" for name in wanted)
    if order:
        statement += " ORDER BY " + ", ".join(order)
    return (read(columns, row) for row in reader.rows(statement, list(wanted.values())))
