"""What somebody set for a role or a database of PostgreSQL takes no promise from the log."""

import os
import time
from collections.abc import Callable
from threading import Thread

import psycopg
import pytest
import structlog
from sqlalchemy import make_url

from stairways.core.values import StreamName
from stairways.errors import LogUnavailableError
from stairways.service.verify.log import verify_log
from stairways.store.contract import Appended, Context, Encoded
from stairways.store.driver import Connection
from stairways.store.opening import open_sql_store, upgrade

RUN = StreamName("run-1")
STEP = Encoded("StepTaken", 1, b'{"step":1}')


@pytest.fixture
def url(new_log: Callable[[str], str]) -> str:
    return new_log("postgres")


def by(append_id: str, actor: str = "ada") -> Context:
    return Context(actor=actor, correlation="run-1", append_id=append_id)


def administer(url: str, *statements: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        for statement in statements:
            server.execute(statement.encode())


def let(url: str, setting: str) -> None:
    """Set something for every session of the database to come, as its owner may."""
    name = make_url(url).database
    administer(url, f'ALTER DATABASE "{name}" SET {setting}')


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
def test_writers_take_turns_whatever_the_isolation_of_the_database(url: str, level: str) -> None:
    let(url, f"default_transaction_isolation = '{level}'")
    store = open_sql_store(url)

    def write(writer: int) -> None:
        for number in range(20):
            store.append(RUN, None, [STEP], by(f"{writer}-{number}"))

    writers = [Thread(target=write, args=(number,)) for number in range(3)]
    with structlog.testing.capture_logs() as lines:
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(30)
    assert lines == []
    assert store.head().size == 60
    store.close()


@pytest.mark.parametrize(("said", "kept"), [("off", "on"), ("remote_apply", "remote_apply")])
def test_what_is_acknowledged_is_on_disk_and_where_more_was_asked_for_more(
    url: str, said: str, kept: str
) -> None:
    let(url, f"synchronous_commit = {said}")
    store = open_sql_store(url)
    assert store.rows("SHOW synchronous_commit", ()) == [(kept,)]
    store.close()


def test_names_are_kept_whatever_letters_the_database_speaks(url: str) -> None:
    let(url, "client_encoding = 'LATIN1'")
    store = open_sql_store(url)
    store.append(StreamName("läuft/日本"), None, [STEP], by("a", "Łukasz"))
    assert [(one.stream, one.actor) for one in store.read()] == [("läuft/日本", "Łukasz")]
    store.close()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_no_log_is_made_where_letters_are_counted_by_bytes_or_lacking(
    url: str, encoding: str
) -> None:
    name = f"in_{encoding.lower()}_{os.getpid()}"
    options = f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    administer(url, f"CREATE DATABASE {name} {options}")
    try:
        other = make_url(url).set(database=name).render_as_string(hide_password=False)
        with pytest.raises(LogUnavailableError, match=f"is in {encoding}; a log needs UTF8"):
            upgrade(other)
    finally:
        administer(url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("schema", ["elsewhere", "pg_temp"])
def test_a_table_of_the_same_name_elsewhere_is_not_the_log(url: str, schema: str) -> None:
    store = open_sql_store(url)
    copies = [
        f"CREATE TABLE {schema}.{table} AS SELECT * FROM public.{table}"
        for table in ("head", "events", "appends", "streams")
    ]
    if schema == "pg_temp":
        store.run(lambda connection: [connection.execute(one) for one in copies])
    else:
        administer(url, f"CREATE SCHEMA {schema}", *copies)
        let(url, f"search_path = {schema}, public")
        store.close()
        store = open_sql_store(url)
    store.append(RUN, None, [STEP], by("a"))
    [(public,)] = store.rows("SELECT count(*) FROM public.events", ())
    assert public == 1
    store.close()
    assert verify_log(url, processes=1).size == 1


def test_an_append_whose_session_the_server_ended_for_idling_is_repeated(url: str) -> None:
    let(url, "idle_in_transaction_session_timeout = '100ms'")
    store = open_sql_store(url)
    pauses = [0.5, 0.0]

    def be_slow_once(connection: Connection, _: Appended) -> None:
        connection.execute("SELECT 1")  # behind a pipeline alone the server counts no time
        time.sleep(pauses.pop(0))

    assert store.append(RUN, None, [STEP], by("a"), also=be_slow_once).last == 1
    assert pauses == []
    assert store.head().size == 1
    store.close()


def test_a_statement_that_was_cut_off_while_the_log_opens_is_said(url: str) -> None:
    let(url, "statement_timeout = '300ms'")
    with psycopg.connect(url.replace("+psycopg", "")) as holder:
        holder.execute("LOCK TABLE pg_trigger IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(LogUnavailableError, match="statement timeout"):
            open_sql_store(url)
