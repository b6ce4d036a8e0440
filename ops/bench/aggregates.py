"""The competitor of the log benchmarks: an ``eventsourcing`` application (the extra ``bench``).

Written as its documentation does it: an event method with the values as named, typed arguments.
Values and durability are those of our controller events: WAL with synchronous=FULL on SQLite,
default settings on PostgreSQL, no snapshots, compression or encryption.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from eventsourcing.application import Application  # type: ignore[import-not-found,unused-ignore]
from eventsourcing.domain import Aggregate, event  # type: ignore[import-not-found,unused-ignore]
from numpy.typing import NDArray


class Controller(Aggregate):  # type: ignore[misc,unused-ignore]  # untyped where absent
    """An aggregate that keeps the values of its last event."""

    @event("Updated")  # type: ignore[untyped-decorator,unused-ignore]  # as above
    def update(
        self,
        *,
        step: int,
        hold_rate: float,
        target: float,
        error: float,
        regime: float,
        fast: float,
        slow: float,
        bonus: float,
        spread: float,
        margin: float,
        setpoint: float,
    ) -> None:
        """Take the values of a controller event."""
        self.step, self.hold_rate, self.target, self.error = step, hold_rate, target, error
        self.regime, self.fast, self.slow = regime, fast, slow
        self.bonus, self.spread, self.margin = bonus, spread, margin
        self.setpoint = setpoint


class Notebook(Aggregate):  # type: ignore[misc,unused-ignore]  # untyped where absent
    """An aggregate that keeps one mapping of ready-made texts."""

    @event("Noted")  # type: ignore[untyped-decorator,unused-ignore]  # as above
    def note(self, values: dict[str, str]) -> None:
        """Take the texts of a controller event."""
        self.values = values


def noted(texts: Sequence[dict[str, str]]) -> Notebook:
    """Return a new aggregate with an event for each mapping, the first being its creation."""
    notebook = Notebook()
    for values in texts[1:]:
        notebook.note(values)
    return notebook


def texts_of(columns: Mapping[str, NDArray[Any]]) -> list[dict[str, str]]:
    """Return each row as a mapping of texts."""
    values = [column.astype(str).tolist() for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def updated_controller(columns: Mapping[str, NDArray[Any]]) -> Controller:
    """Return a new aggregate with an event for each row, the first being its creation."""
    controller = Controller()
    values = [column.tolist() for column in columns.values()]
    for row in list(zip(*values, strict=True))[1:]:
        controller.update(**dict(zip(columns, row, strict=True)))
    return controller


def open_application(environment: dict[str, str]) -> Application[UUID]:
    """Return an application on the database that ``environment`` names."""
    return Application(env=environment)


def environment_of(url: str) -> dict[str, str]:
    """Return what an application needs to use the database at a URL."""
    if url.startswith("sqlite:///"):
        file = url.removeprefix("sqlite:///")
        return {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": file}
    head, _, host = url.partition("?host=")
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": head.rpartition("/")[2],
        "POSTGRES_HOST": host,
        "POSTGRES_PORT": "5432",
        "POSTGRES_USER": "postgres",
        "POSTGRES_PASSWORD": "unused",
    }
