"""A SQL database and the connections to it: made anew where one is lost."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from stairways.errors import LogUnavailableError
from stairways.store.driver import Connection, Driver, Row

Clock = Callable[[], datetime]
T = TypeVar("T")
_LOG = structlog.get_logger("log")


class Database:
    """A database that is asked and written by its driver's own connections.

    Threads may share it. A connection that is lost is made again for up to ``patience`` seconds.
    """

    def __init__(self, driver: Driver, clock: Clock, patience: float) -> None:
        self.driver = driver
        self.clock = clock
        self._patience = patience
        self._is_away = False

    def rows(self, statement: str, parameters: Sequence[object]) -> list[Row]:
        """Return the rows of a query written with ``?`` placeholders."""
        ready = self.driver.sql(statement)
        return self.run(lambda connection: self.driver.fetch(connection, ready, parameters))

    def run(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` returns; on a lost connection do it again with another.

        Whatever ``work`` did not commit is undone.
        """
        deadline = time.monotonic() + self._patience
        pause = 0.05
        while True:
            try:
                done = self._once(work)
            except self.driver.error as error:
                if not self.driver.is_lost(error) or time.monotonic() + pause > deadline:
                    raise self.driver.explain(error) from error
                self._tell_away(error)
            else:
                self._tell_back()
                return done
            self.driver.engine.dispose()
            time.sleep(pause)
            pause = min(1.0, pause * 2)

    def _tell_away(self, error: Exception) -> None:
        """Say once that the database went away and is waited for."""
        if not self._is_away:
            self._is_away = True
            reason = str(self.driver.explain(error))
            _LOG.warning("the log went away; waiting", seconds=self._patience, reason=reason)

    def _tell_back(self) -> None:
        """Say once that the database is there again."""
        if self._is_away:
            self._is_away = False
            _LOG.warning("the log is back")

    def _once(self, work: Callable[[Connection], T]) -> T:
        try:
            connection = self.driver.engine.raw_connection()
        except SQLAlchemyError as error:
            raise LogUnavailableError(f"The log gives no connection: {error}") from error
        try:
            return work(connection.driver_connection)  # type: ignore[arg-type]  # it is the driver's
        except self.driver.error:
            connection.invalidate()
            raise
        finally:
            connection.close()

    def close(self) -> None:
        """Give back every connection."""
        self.driver.engine.dispose()
