"""A subscription: a reader of the log that fills tables of its own, from its own position.

Rows and position are written in one transaction, so every event is taken exactly once, however
often the reader is stopped, or run twice at a time. Rows belong to a *generation*. A rebuild
fills the next generation beside the one that is served, and when it has caught up one
transaction serves it instead and removes the old one: whoever asks meanwhile is answered from
the old rows, then from the new ones, never from half of them.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from stairways.core.values import Position
from stairways.errors import LogUnavailableError, SchemaMismatchError
from stairways.readmodels import queries, tables
from stairways.readmodels.queries import Standing
from stairways.store.contract import START, Record
from stairways.store.records import collector_off
from stairways.store.sql import SqlStore

RECORDS_A_BATCH = 50_000

Write = Callable[[Connection], None]
OnProgress = Callable[[int], object]
"""Told how many more records were taken."""

_FORBIDDEN = ("42501", "25006")  # PostgreSQL: insufficient_privilege, read_only_sql_transaction
_TABLE = tables.subscriptions
_BEGIN = text(
    "INSERT INTO subscriptions (name, generation, version, position, live)"
    " VALUES (:name, :generation, :version, :position, 0) ON CONFLICT DO NOTHING"
)


class Projection(Protocol):
    """What a subscription makes of records: rows in tables that have a column ``generation``.

    ``version`` is raised whenever rows are made in another way; they are then built anew. One
    that ``skims`` is not shown the steps inside an append, which say nothing that the last one
    does not say.
    """

    name: str
    version: int
    skims: bool

    def fold(self, generation: int, records: Sequence[Record]) -> Write:
        """Return what to write for ``records``, which follow on what the generation holds."""
        ...

    def clear(self, connection: Connection, generation: int) -> None:
        """Remove every row of a generation."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far a generation of a subscription is behind the log."""

    name: str
    generation: int
    version: int
    served: bool  # or being built
    position: Position
    events: int  # behind
    seconds: float  # since the first event it has not taken was recorded; 0 without one


class Subscription:
    """Keeps the rows of a projection in step with the log in ``store``."""

    def __init__(
        self, store: SqlStore, projection: Projection, batch: int = RECORDS_A_BATCH
    ) -> None:
        self._store = store
        self._projection = projection
        self._batch = batch

    def catch_up(self) -> Position:
        """Bring what is served to the end of the log as of now, and return that position.

        Where nothing is served yet, or rows made by older rules, they are built first.
        Raises ``SchemaMismatchError`` if a newer program made them.
        """
        end = Position(self._store.head().size)
        standing = self._served()
        if standing is None:
            return self.rebuild()
        stands = self._follow(standing.generation, end)
        return self.catch_up() if stands is None else stands  # another one was switched to

    def rebuild(self, progress: OnProgress | None = None) -> Position:
        """Build the rows from the first event on, beside those that are served, and switch.

        One that was interrupted goes on from its own position.
        """
        self._served()
        generation = self._building() or self._begin()
        while True:
            end = Position(self._store.head().size)
            self._follow(generation, end, progress)
            if self._switch(generation):
                return end

    def _served(self) -> Standing | None:
        """Return what is served; None if there is nothing, or it was made by older rules."""
        standing = queries.standing(self._store, self._projection.name)
        if standing is None or standing.version < self._projection.version:
            return None
        if standing.version > self._projection.version:
            raise SchemaMismatchError(
                f"The rows of {self._projection.name} were made by version {standing.version} of "
                f"their rules; this program has {self._projection.version}. Use a newer Stairways."
            )
        return standing

    def _building(self) -> int | None:
        """Return the generation that a rebuild before this one began, if it can go on."""
        known = queries.generations(self._store, self._projection.name)
        served = max((one.generation for one in known if one.live), default=0)
        for one in known:
            if one.generation > served and one.version == self._projection.version:
                return one.generation
        return None

    def _begin(self) -> int:
        with self._writing() as connection:
            name = self._projection.name
            newest = select(func.max(_TABLE.c.generation)).where(_TABLE.c.name == name)
            generation: int = (connection.execute(newest).scalar() or 0) + 1
            row = {"name": name, "generation": generation, "version": self._projection.version}
            begun = connection.execute(_BEGIN, {**row, "position": START}).rowcount == 1
        if begun:
            return generation
        return self._building() or self._begin()  # another process began it at the same moment

    def _follow(
        self, generation: int, end: Position, progress: OnProgress | None = None
    ) -> Position | None:
        """Take records until a generation stands at ``end``; None if it was removed meanwhile."""
        while True:
            standing = self._standing(generation)
            if standing is None:
                return None
            if standing.position >= end:
                return standing.position
            taken = self._step(generation, standing.position, end)
            if progress is not None:
                progress(taken)

    def _step(self, generation: int, after: Position, end: Position) -> int:
        """Take one batch of records and return how many; if somebody was faster, change nothing."""
        to = Position(min(end, after + self._batch))
        read = self._store.skim if self._projection.skims else self._store.read
        with collector_off():
            write = self._projection.fold(generation, list(read(after=after, until=to)))
        with self._writing() as connection:
            if self._move(connection, generation, after, to):
                write(connection)
        return to - after

    def _standing(self, generation: int) -> Standing | None:
        known = queries.generations(self._store, self._projection.name)
        return next((one for one in known if one.generation == generation), None)

    def _move(self, connection: Connection, generation: int, after: Position, to: Position) -> bool:
        """Move a generation's position on from ``after``; False if it is not there any more."""
        moved = connection.execute(
            update(_TABLE)
            .where(_TABLE.c.name == self._projection.name, _TABLE.c.generation == generation)
            .where(_TABLE.c.position == after)
            .values(position=to)
        )
        return moved.rowcount == 1

    def _switch(self, generation: int) -> bool:
        """Serve a generation and remove all before it; False if it is behind what is served."""
        with self._writing() as connection:
            own = select(_TABLE).where(_TABLE.c.name == self._projection.name)
            rows = connection.execute(own.order_by(_TABLE.c.generation).with_for_update()).all()
            newer = [row for row in rows if row.generation >= generation]
            served = [row for row in rows if row.live]
            if not newer or newer[0].generation != generation or newer[0].live:
                return True  # another process switched to it, or to one after it
            if served and served[0].position > newer[0].position:
                return False
            for row in rows:
                if row.generation < generation:
                    self._remove(connection, row.generation)
            connection.execute(
                update(_TABLE)
                .where(_TABLE.c.name == self._projection.name, _TABLE.c.generation == generation)
                .values(live=1)
            )
        return True

    def _remove(self, connection: Connection, generation: int) -> None:
        self._projection.clear(connection, generation)
        connection.execute(
            delete(_TABLE).where(
                _TABLE.c.name == self._projection.name, _TABLE.c.generation == generation
            )
        )

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Give a transaction, and errors of the database as errors a caller can act on."""
        driver = self._store.driver
        try:
            with driver.engine.begin() as connection:
                yield connection
        except (DBAPIError, driver.error) as error:
            wrapped = error.orig if isinstance(error, DBAPIError) else error
            cause = wrapped if isinstance(wrapped, Exception) else error
            if _is_forbidden(cause):
                raise LogUnavailableError(
                    f"The rows of {self._projection.name} are behind the log, and this account may "
                    "not fill them. `stairways audit` answers from the log itself."
                ) from error
            raise driver.explain(cause) from error


def lags(store: SqlStore, now: datetime) -> list[Lag]:
    """Return how far every generation of every subscription is behind, by name."""
    size = store.head().size
    names = store.rows("SELECT DISTINCT name FROM subscriptions ORDER BY name", ())
    return [
        _lag(store, str(name), standing, size, now)
        for (name,) in names
        for standing in queries.generations(store, str(name))
    ]


def _lag(store: SqlStore, name: str, standing: Standing, size: int, now: datetime) -> Lag:
    waiting = next(iter(store.read(after=standing.position, limit=1)), None)
    return Lag(
        name=name,
        generation=standing.generation,
        version=standing.version,
        served=standing.live,
        position=standing.position,
        events=max(0, size - standing.position),
        seconds=(now - waiting.recorded_at).total_seconds() if waiting else 0.0,
    )


def _is_forbidden(error: Exception) -> bool:
    """Say whether the database refused a change because of who asked for it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code == sqlite3.SQLITE_READONLY or getattr(error, "sqlstate", "") in _FORBIDDEN
