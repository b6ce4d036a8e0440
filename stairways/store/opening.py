"""Opening a log by its URL: bring the schema to its newest version, or say why that cannot be.

A SQLite file is made and upgraded on first use. A PostgreSQL database is upgraded only by
``upgrade``, which ``stairways init`` calls, because the service's role may not change tables.
"""

import contextlib
import functools
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, Connection, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

import stairways
from stairways.core.values import without_password
from stairways.errors import LogUnavailableError, SchemaMismatchError, StairwaysError
from stairways.store import catalog
from stairways.store.contract import EventStore
from stairways.store.database import Clock
from stairways.store.driver import Driver
from stairways.store.guards import QUERIES, missing_guards
from stairways.store.memory import MemoryStore
from stairways.store.postgres import postgres_driver
from stairways.store.sql import SqlStore
from stairways.store.sqlite import file_of, sqlite_driver

PATIENCE = 30.0
"""Seconds to wait for another writer, or for a database that went away."""


def system_clock() -> datetime:
    """Return the time of the machine in UTC."""
    return datetime.now(UTC)


def open_store(url: str, *, clock: Clock = system_clock, patience: float = PATIENCE) -> EventStore:
    """Return the log at ``url``: ``sqlite:///file``, ``postgresql://…`` or ``memory:``.

    Raises ``LogUnavailableError`` if the database does not open and ``SchemaMismatchError``
    if what is there is not a log this version can use.
    """
    if url.startswith("memory:"):
        return MemoryStore(clock)
    return open_sql_store(url, clock=clock, patience=patience)


def open_sql_store(
    url: str,
    *,
    clock: Clock = system_clock,
    patience: float = PATIENCE,
    read_only: bool = False,
) -> SqlStore:
    """Return the log in the SQL database at ``url``; see ``open_store``.

    With ``read_only`` nothing is changed or upgraded, so that a reader who may not write can
    look; appending to it fails.
    """
    _look(url, patience)
    if not read_only:
        _make_private(url)
    driver = driver_for(url, patience, read_only=read_only, guarded=True)
    try:
        revision = _revision(driver)
        if revision != newest_revision():
            _settle(driver, revision, read_only=read_only)
        _check_guards(driver)
    except StairwaysError:
        driver.engine.dispose()
        raise
    return SqlStore(driver, clock, patience)


def upgrade(url: str) -> None:
    """Make the tables of the log at ``url``, or bring them to the newest version."""
    _look(url, PATIENCE)
    _make_private(url)
    driver = driver_for(url, PATIENCE)
    try:
        _check_origin(driver, _revision(driver))
        _check_letters(driver)
        _migrate(driver)
    finally:
        driver.engine.dispose()


def refuse_newer(url: str) -> None:
    """Raise ``SchemaMismatchError`` if what is at ``url`` is no log, or a newer program's."""
    driver = driver_for(url, read_only=True)
    try:
        _check_origin(driver, _revision(driver))
    finally:
        driver.engine.dispose()


def driver_for(
    url: str, patience: float = PATIENCE, *, read_only: bool = False, guarded: bool = False
) -> Driver:
    """Return the driver for a database URL; raises ``LogUnavailableError`` for another URL.

    On SQLite the connections of a ``guarded`` one change no table; on PostgreSQL roles see to it.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        file = parsed.database
        if file and file != ":memory:" and not Path(file).absolute().parent.is_dir():
            raise LogUnavailableError(f"The folder of {file} does not exist. Make it first.")
        file_url = parsed.set(drivername="sqlite")
        return sqlite_driver(file_url, patience, read_only=read_only, guarded=guarded)
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        ours = parsed.set(drivername="postgresql+psycopg")
        return postgres_driver(ours, patience, read_only=read_only)
    raise LogUnavailableError(
        f"A log is kept in sqlite:///file or postgresql://…, not in {parsed.drivername}://."
    )


def _make_private(url: str) -> None:
    """Make a SQLite file that is not there before SQLite does, who would let everybody read it.

    Its owner may write it and its group read it, as far as the umask lets them; the files that
    SQLite keeps beside it take after it.
    """
    parsed = _parse(url)
    file = parsed.database if parsed.get_backend_name() == "sqlite" else None
    if file and file != ":memory:" and not file.startswith("file:"):
        with contextlib.suppress(OSError):  # whoever opens it then says what is wrong
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640))


def migrations_folder() -> Path:
    """Return the folder of the Alembic migrations, beside or inside the package."""
    package = Path(stairways.__file__).parent
    for folder in (package.parent / "migrations", package / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise SchemaMismatchError(
        f"The folder migrations is neither in {package.parent} nor in {package}. Install "
        "Stairways from its source folder (pip install -e)."
    )


@functools.cache
def newest_revision() -> str:
    """Return the newest migration: their file names begin with their number."""
    files = (migrations_folder() / "versions").glob("[0-9]*.py")
    return max(file.name.partition("_")[0] for file in files)


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        given = url.partition("?")[0].rpartition("@")  # what stands before or after may be secret
        raise LogUnavailableError(
            f"{'***@' if given[1] else ''}{given[2]} is no database URL. "
            "Use sqlite:///file or postgresql://user@host/database."
        ) from None


def _revision(driver: Driver) -> str | None:
    """Return the migration the database stands at, or None if it has none."""
    with _connected(driver) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version"))
        return found.scalar()


@contextlib.contextmanager
def _connected(driver: Driver) -> Iterator[Connection]:
    """Give a connection, and errors of the database as errors a caller can act on."""
    try:
        with driver.engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        cause = error.orig if isinstance(error.orig, Exception) else error
        raise driver.explain(cause) from error
    except SQLAlchemyError as error:
        raise LogUnavailableError(f"The log does not open: {error}") from error


def _look(url: str, patience: float) -> None:
    """Refuse a SQLite file that is no log of ours before a connection that writes changes it."""
    parsed = _parse(url)
    file = Path(parsed.database or "")
    if parsed.get_backend_name() != "sqlite" or not file.is_file():
        return
    driver = driver_for(url, patience, read_only=True)
    try:
        if (revision := _revision(driver)) != newest_revision():
            _check_origin(driver, revision)
    finally:
        driver.engine.dispose()


def _settle(driver: Driver, revision: str | None, *, read_only: bool) -> None:
    """Bring a database that is not at the newest revision there, or refuse it."""
    _check_origin(driver, revision)
    if driver.name != "sqlite" or read_only:
        raise SchemaMismatchError(
            f"The database {_name(driver)} has schema {revision or 'none'} where "
            f"{newest_revision()} is needed. Run `stairways init` as the owner of the tables."
        )
    _migrate(driver)


def _check_origin(driver: Driver, revision: str | None) -> None:
    """Raise ``SchemaMismatchError`` if the tables are not ours or newer than this program."""
    if revision is None:
        _refuse_foreign(driver)
    elif revision not in known_revisions():
        newer = revision > newest_revision()
        use = "a newer Stairways" if newer else "the trial version of Stairways that made it"
        raise SchemaMismatchError(
            f"The log {_name(driver)} has schema {revision}; this program knows schemas from "
            f"{min(known_revisions())} to {newest_revision()}. Use {use}."
        )


def _refuse_foreign(driver: Driver) -> None:
    with _connected(driver) as connection:
        names = inspect(connection).get_table_names()
    if {"events", "appends", "head"} <= set(names):
        raise SchemaMismatchError(
            f"The log {_name(driver)} does not say its schema: alembic_version is missing or "
            f"empty, expected {newest_revision()}. Run `stairways verify` and find out why."
        )
    if names:
        raise SchemaMismatchError(
            f"{_name(driver)} is not a Stairways log: it has tables of its own "
            f"({', '.join(sorted(names)[:3])}). Name an empty database."
        )


def _check_letters(driver: Driver) -> None:
    """Refuse a database of PostgreSQL that counts bytes for letters, or lacks some of them."""
    if driver.name != "postgresql":
        return
    with _connected(driver) as connection:
        encoding = connection.execute(text("SHOW server_encoding")).scalar()
    if encoding != "UTF8":
        raise LogUnavailableError(
            f"The database {_name(driver)} is in {encoding}; a log needs UTF8. Make another: "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
        )


def _check_guards(driver: Driver) -> None:
    """Raise ``SchemaMismatchError`` unless the log's own triggers are there, and no others."""
    with _connected(driver) as connection:
        present = connection.execute(text(QUERIES[driver.name])).all()
        acting = connection.execute(text(catalog.FOREIGN[driver.name])).all()
    if odd := catalog.foreign(driver.name, acting):
        raise SchemaMismatchError(
            f"Something that is not Stairways' acts on the log {_name(driver)}: {', '.join(odd)}. "
            "It may drop or change what is written: find out who made it, remove it, and run "
            "`stairways verify`."
        )
    if missing := missing_guards(driver.name, present):
        raise SchemaMismatchError(
            f"The log {_name(driver)} lacks the triggers that refuse changes: "
            f"{', '.join(missing)}. Somebody removed them; run `stairways verify` and find out why."
        )


def known_revisions() -> set[str]:
    """Return every migration there is."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - 0.3 s that only upgrades need

    return {
        script.revision for script in ScriptDirectory(str(migrations_folder())).walk_revisions()
    }


def _migrate(driver: Driver) -> None:
    try:
        with driver.engine.begin() as connection:
            if driver.name == "postgresql":  # SQLite's BEGIN IMMEDIATE takes turns by itself
                connection.execute(text("SELECT pg_advisory_xact_lock(7426551)"))
            else:
                _let_change(connection)
            _climb(connection)
        driver.engine.dispose()  # connections from here on are guarded again
    except DBAPIError as error:
        cause = error.orig if isinstance(error.orig, Exception) else error
        raise driver.explain(cause) from error


def _climb(connection: Connection) -> None:
    """Run the migrations that a database lacks."""
    from alembic import command  # noqa: PLC0415 - 0.3 s that only upgrades need
    from alembic.config import Config  # noqa: PLC0415 - likewise

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@functools.cache
def made_on_sqlite() -> dict[tuple[str, str], tuple[str, str | None]]:
    """Return what the migrations make on SQLite: by type and name, its table and statement."""
    driver = driver_for("sqlite:///:memory:")
    with driver.engine.begin() as connection:
        _let_change(connection)
        _climb(connection)
        rows = connection.execute(text(catalog.ON_SQLITE)).all()
    driver.engine.dispose()
    return {(type_, name): (table, sql) for type_, name, table, sql in rows}


def _let_change(connection: Connection) -> None:
    """Let this one connection of SQLite make and change tables."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - the caller looked
    raw.set_authorizer(None)


def _name(driver: Driver) -> str:
    url = driver.engine.url
    if driver.name == "sqlite":
        return f"sqlite:///{file_of(url)}"
    return without_password(url.render_as_string())
