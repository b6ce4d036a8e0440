"""The competitor of the log benchmarks: an ``eventsourcing`` application (pip install it)."""

from uuid import UUID

from eventsourcing.application import Application  # type: ignore[import-not-found,unused-ignore]
from eventsourcing.domain import Aggregate, event  # type: ignore[import-not-found,unused-ignore]


class Controller(Aggregate):  # type: ignore[misc,unused-ignore]  # untyped where absent
    """An aggregate that keeps the values of its last event."""

    @event("Updated")  # type: ignore[untyped-decorator,unused-ignore]  # as above
    def update(self, values: dict[str, object]) -> None:
        """Take the values of a controller event."""
        self.values = values


def open_application(environment: dict[str, str]) -> Application[UUID]:
    """Return an application on the database that ``environment`` names."""
    return Application(env=environment)
