"""Opening a log: what is there, what is refused, and what the database itself forbids."""

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from stairways.core.values import NEW, StreamName
from stairways.errors import LogBusyError, LogUnavailableError, SchemaMismatchError
from stairways.service.verify.log import verify_log
from stairways.store.contract import Context, Encoded, EventStore
from stairways.store.memory import MemoryStore
from stairways.store.opening import (
    driver_for,
    newest_revision,
    open_sql_store,
    open_store,
    upgrade,
)
from stairways.store.sql import SqlStore
from stairways.store.tables import APPEND_ONLY, metadata

RUN = StreamName("run-1")
STEP = Encoded("StepTaken", 1, b'{"step":1}')


def by(append_id: str) -> Context:
    return Context(actor="train", correlation="run-1", append_id=append_id)


def run_sql(url: str, *statements: str) -> None:
    engine = driver_for(url).engine
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()


def test_the_migrations_make_exactly_the_tables(database_url: str) -> None:
    engine = driver_for(database_url).engine
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _is_of_the_log})
        differences = compare_metadata(context, metadata)
        assert context.get_current_revision() == newest_revision()
    engine.dispose()
    assert differences == []


def _is_of_the_log(name: str | None, kind: str, parents: Mapping[str, object]) -> bool:
    return (name if kind == "table" else parents.get("table_name")) in (None, *metadata.tables)


def test_alembic_itself_finds_the_migrations(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2]
    url = f"sqlite:///{tmp_path}/log.db"
    subprocess.run(
        [sys.executable, "-m", "alembic", "-x", f"url={url}", "upgrade", "head"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    assert open_store(url).head().size == 0


def test_a_sqlite_file_is_made_on_first_use(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    store = open_store(url)
    store.append(RUN, NEW, [STEP], by("a"))
    store.close()
    assert open_store(url).head().size == 1


def test_upgrading_twice_changes_nothing(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    store = open_store(empty_database_url)
    store.append(RUN, NEW, [STEP], by("a"))
    upgrade(empty_database_url)
    assert store.head().size == 1
    store.close()


def test_memory_is_a_log_too() -> None:
    assert isinstance(open_store("memory:"), MemoryStore)


def test_a_postgres_database_without_tables_asks_for_init(
    new_database: Callable[[str], str],
) -> None:
    with pytest.raises(SchemaMismatchError, match="stairways init"):
        open_store(new_database("postgres"))


def test_a_database_of_something_else_is_refused(empty_database_url: str) -> None:
    run_sql(empty_database_url, "CREATE TABLE customers (id int)")
    for use in (open_store, upgrade):
        with pytest.raises(SchemaMismatchError, match=r"not a Stairways log.*customers"):
            use(empty_database_url)


def test_a_log_of_a_newer_schema_is_refused_with_both_versions_named(database_url: str) -> None:
    run_sql(database_url, "UPDATE alembic_version SET version_num = '9999'")
    for use in (open_store, upgrade):
        with pytest.raises(SchemaMismatchError, match=rf"9999.*{newest_revision()}.*newer"):
            use(database_url)


def test_a_log_of_a_trial_version_is_refused_and_not_called_newer(database_url: str) -> None:
    run_sql(database_url, "UPDATE alembic_version SET version_num = '0003'")
    for use in (open_store, upgrade):
        with pytest.raises(SchemaMismatchError, match=r"schema 0003;.*the trial version"):
            use(database_url)


def test_a_file_that_is_refused_keeps_every_byte(
    tmp_path: Path, new_log: Callable[[str], str]
) -> None:
    foreign, newer = tmp_path / "foreign.db", tmp_path / "newer.db"
    with sqlite3.connect(foreign) as other:
        other.execute("CREATE TABLE customers (id int)")
    other.close()
    shutil.copy(new_log("sqlite").removeprefix("sqlite:///"), newer)
    with sqlite3.connect(newer) as log:
        log.execute("PRAGMA journal_mode = DELETE")
        log.execute("UPDATE alembic_version SET version_num = '9999'")
    log.close()
    before = [hashlib.sha256(file.read_bytes()).digest() for file in (foreign, newer)]

    for file in (foreign, newer):
        for use in (open_store, upgrade):
            with pytest.raises(SchemaMismatchError, match=f"sqlite:///{file} "):
                use(f"sqlite:///{file}")

    after = [hashlib.sha256(file.read_bytes()).digest() for file in (foreign, newer)]
    assert after == before


def test_a_log_that_is_only_read_refuses_what_would_change_it(database_url: str) -> None:
    store = open_sql_store(database_url, read_only=True, patience=0.1)
    with pytest.raises(LogUnavailableError, match=r"readonly|read-only"):
        store.append(RUN, NEW, [STEP], by("a"))
    with pytest.raises(LogUnavailableError, match=r"readonly|read-only"):
        store.put_blob(b"weights")
    assert store.head().size == 0
    store.close()


def test_a_log_that_lost_a_guard_is_refused(database_url: str) -> None:
    table = " ON events" if database_url.startswith("postgresql") else ""
    name = "change" if table else "update"
    run_sql(database_url, f"DROP TRIGGER events_refuse_{name}{table}")
    with pytest.raises(SchemaMismatchError, match=f"events_refuse_{name}"):
        open_store(database_url)


@pytest.mark.parametrize(
    "instead",
    [
        "BEGIN SELECT 1; END",
        "WHEN 0 BEGIN SELECT RAISE(ABORT, 'the log is append-only: head'); END",
    ],
)
def test_a_guard_that_guards_nothing_is_no_guard(
    new_log: Callable[[str], str], instead: str
) -> None:
    url = new_log("sqlite")
    run_sql(
        url,
        "DROP TRIGGER head_refuse_shrink",
        f"CREATE TRIGGER head_refuse_shrink BEFORE UPDATE ON head {instead}",
    )
    with pytest.raises(SchemaMismatchError, match="head_refuse_shrink"):
        open_store(url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://localhost/x", "not in mysql"),
        ("no url at all", "no database URL"),
        ("sqlite:////no/such/folder/log.db", "Make it first"),
        ("postgresql://postgres@/log?host=/no/such/socket", "cannot be used"),
    ],
)
def test_a_url_that_does_not_open_says_why(url: str, says: str) -> None:
    with pytest.raises(LogUnavailableError, match=says):
        open_store(url, patience=0.1)


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(LogUnavailableError, match="not a database"):
        open_store(f"sqlite:///{tmp_path}/log.db")


def test_a_guard_on_postgres_whose_function_does_nothing_is_no_guard(
    new_log: Callable[[str], str],
) -> None:
    url = new_log("postgres")
    run_sql(
        url,
        "CREATE OR REPLACE FUNCTION stairways_refuse_unsealed() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN NEW; END $$",
    )
    with pytest.raises(SchemaMismatchError, match="events_refuse_update"):
        open_store(url)


def test_a_second_writer_is_told_who_waits_for_what(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/log.db", patience=0.05)
    other = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogBusyError, match="one writer at a time"):
        store.append(RUN, NEW, [STEP], by("a"))
    other.execute("ROLLBACK")
    other.close()
    assert store.append(RUN, NEW, [STEP], by("a")).first == 1


def test_a_second_writer_on_postgres_is_told_so_too(new_log: Callable[[str], str]) -> None:
    url = new_log("postgres")
    store = open_store(url, patience=0.05)
    engine = driver_for(url).engine
    with engine.begin() as other:
        other.execute(text("SELECT * FROM head FOR UPDATE"))
        with pytest.raises(LogBusyError, match="pg_stat_activity"):
            store.append(RUN, NEW, [STEP], by("a"))
    engine.dispose()
    assert store.append(RUN, NEW, [STEP], by("a")).first == 1
    store.close()


FORBIDDEN = [
    "UPDATE events SET payload = NULL",
    "UPDATE appends SET actor = 'nobody'",
    "UPDATE streams SET name = 'other'",
    "UPDATE blobs SET size = 0",
    "UPDATE checkpoints SET note = NULL",
    "UPDATE segments SET digest = NULL",
    "DELETE FROM segments",
    "DELETE FROM checkpoints",
    "UPDATE head SET size = 0",
    "UPDATE head SET root = edge",
    "DELETE FROM events",
    "DELETE FROM appends",
    "DELETE FROM streams",
    "DELETE FROM blobs",
    "DELETE FROM head",
]
FORBIDDEN_ON_SQLITE = [
    "REPLACE INTO events SELECT position, type, schema, x'00', leaf FROM events",
    "REPLACE INTO appends SELECT first, last, 1, 1, 0, '', '', NULL, append_id, root FROM appends",
    "REPLACE INTO head SELECT id, 0, root, edge FROM head",
    "REPLACE INTO blobs SELECT digest, 0, encoding, content FROM blobs",
]
FORBIDDEN_ON_POSTGRES = [
    *[f"TRUNCATE {table} CASCADE" for table in (*APPEND_ONLY, "head")],
    "SET session_replication_role = replica; DELETE FROM events",
    "SET session_replication_role = replica; UPDATE head SET size = 0",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_database_refuses_to_forget(
    database_url: str, sql_store: SqlStore, statement: str
) -> None:
    _refuses(database_url, sql_store, statement)


@pytest.mark.parametrize("statement", FORBIDDEN_ON_SQLITE)
def test_sqlite_refuses_to_replace(new_log: Callable[[str], str], statement: str) -> None:
    url = new_log("sqlite")
    _refuses(url, open_sql_store(url), statement)


@pytest.mark.parametrize("statement", FORBIDDEN_ON_POSTGRES)
def test_postgres_refuses_even_the_owner(new_log: Callable[[str], str], statement: str) -> None:
    url = new_log("postgres")
    store = open_sql_store(url)
    _refuses(url, store, statement)
    store.close()


SCHEMA_CHANGES = [
    *[f"DROP TABLE {table}" for table in (*APPEND_ONLY, "head", "leases", "alembic_version")],
    "DROP TRIGGER events_refuse_update",
    "DROP VIEW records",
    "DROP INDEX events_by_type",
    "ALTER TABLE events RENAME TO old",
    "ALTER TABLE events DROP COLUMN leaf",
    "CREATE TRIGGER mine BEFORE DELETE ON events BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TABLE mine (id)",
    "CREATE TEMP TABLE events (id)",
    "PRAGMA writable_schema = ON",
    "PRAGMA recursive_triggers = OFF",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "DELETE FROM sqlite_master",
]


@pytest.mark.parametrize("statement", SCHEMA_CHANGES)
def test_no_connection_of_the_service_changes_a_table_of_sqlite(
    new_log: Callable[[str], str], statement: str
) -> None:
    """SQLite has no trigger on DROP: the connection itself refuses to prepare the statement."""
    url = new_log("sqlite")
    store = open_sql_store(url)
    store.append(RUN, NEW, [STEP], by("a"))
    with pytest.raises(DBAPIError, match=r"not authorized|may not be modified"):
        _execute(store, statement)
    assert store.append(RUN, None, [STEP], by("b")).first == 2
    store.close()
    assert verify_log(url, processes=1).clean


def _execute(store: SqlStore, statement: str) -> None:
    with store.driver.engine.connect() as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize("table", [*APPEND_ONLY, "head"])
def test_a_table_that_was_dropped_behind_our_back_is_noticed(database_url: str, table: str) -> None:
    foreign = "" if database_url.startswith("postgresql") else "PRAGMA foreign_keys = OFF; "
    _drop(database_url, *f"{foreign}DROP TABLE {table}".split("; "))
    with pytest.raises(SchemaMismatchError, match=f"{table}_refuse"):
        open_store(database_url)
    report = verify_log(database_url, processes=1)
    assert [finding.sentence() for finding in report.findings] == [
        f"log: table {table} is missing, expected present"
    ]


def _drop(url: str, *statements: str) -> None:
    """Run statements outside of a transaction, as SQLite's PRAGMA wants it."""
    if url.startswith("postgresql"):
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"{statements[0]} CASCADE".encode())
        return
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def _refuses(url: str, store: EventStore, statement: str) -> None:
    store.append(RUN, NEW, [STEP], by("a"))
    digest = store.put_blob(b"weights")
    store.add_checkpoint(b"note")
    segment = f"1, 1, 'ControllerUpdated', 1, 1, 1, 1, '{digest}'"
    run_sql(url, f"INSERT INTO segments VALUES ({segment})")
    before = (store.head(), list(store.read()))
    with pytest.raises(DBAPIError, match="the log is append-only"):
        run_sql(url, *statement.split("; "))
    assert (store.head(), list(store.read())) == before
