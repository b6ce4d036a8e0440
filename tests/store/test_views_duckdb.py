"""DuckDB reads a log itself: every view on both databases, with its types and exact values."""

import importlib.util
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from stairways import cli, codec
from stairways.store.asking import Bounds, ask_sql
from stairways.store.contract import Context, Encoded
from stairways.store.event_views import EVENT_VIEWS
from stairways.store.opening import open_sql_store
from stairways.store.view import Kind
from stairways.store.views import all_views, columns_of, names
from tests import made_up
from tests.conftest import KINDS, NewDatabase
from tests.store.test_views import fill, plain

SCANNERS = {"sqlite": "sqlite_scanner", "postgres": "postgres_scanner"}
TYPES: dict[Kind, str] = {
    "whole": "BIGINT",
    "micros": "BIGINT",
    "real": "DOUBLE",
    "text": "VARCHAR",
    "flag": "BOOLEAN",
    "time": "TIMESTAMP WITH TIME ZONE",
    "json": "VARCHAR",
}


def scanner(kind: str) -> Path:
    """The extension as its package from PyPI brings it; DuckDB would download the same file."""
    name = SCANNERS[kind]
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    assert found is not None, "pip install '.[test]'"
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / "extensions" / f"v{duckdb.__version__}"
    return folder / f"{name}.duckdb_extension"


@pytest.fixture(scope="module")
def sqlite_log(tmp_path_factory: pytest.TempPathFactory) -> str:
    return filled(f"sqlite:///{tmp_path_factory.mktemp('duckdb')}/log.db")


@pytest.fixture(scope="module")
def postgres_log(module_log: str) -> str:
    return filled(module_log)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(request: pytest.FixtureRequest, kind: str) -> str:
    return str(request.getfixturevalue(f"{kind}_log"))


@pytest.fixture
def duck(kind: str, url: str) -> Iterator[duckdb.DuckDBPyConnection]:
    yield from attached(kind, url)


def attached(kind: str, url: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB to which the log is attached as an auditor would, to be read only."""
    place = url.removeprefix("sqlite:///").replace("+psycopg", "")
    connection = duckdb.connect()
    connection.execute(f"LOAD '{scanner(kind)}'")
    connection.execute(f"ATTACH '{place}' AS log (TYPE {kind}, READ_ONLY)")
    connection.execute("SET TimeZone = 'UTC'")
    yield connection
    connection.close()


def filled(url: str) -> str:
    """Every type of event, and an order that was filled."""
    fill(url)
    store = open_sql_store(url)
    sold = codec.encode(made_up.step(901)).replace(b'"shares":[0,0]', b'"shares":[0,-7]')
    context = Context(actor="a", correlation="c", append_id="sold")
    stream = store.streams("run-r1")[0]
    store.append(stream, None, [Encoded("StepTaken", 1, sold)], context)
    store.close()
    return url


def script() -> str:
    done = CliRunner().invoke(cli.main, ["audit", "views", "--duckdb"])
    assert done.exit_code == 0, done.output
    return done.stdout


def types_of(duck: duckdb.DuckDBPyConnection, view: str) -> dict[str, str]:
    described = duck.execute(f"DESCRIBE SELECT * FROM {view}").fetchall()
    return {name: type_ for name, type_, *_ in described}


def test_every_view_made_in_duckdb_has_its_types_and_the_values_of_the_log(
    duck: duckdb.DuckDBPyConnection, url: str
) -> None:
    duck.execute(script())
    store = open_sql_store(url, read_only=True)
    for view in all_views():
        wanted = {column.name: TYPES[column.kind] for column in columns_of(view)}
        assert types_of(duck, view.name) == wanted
        question = f"SELECT * FROM {view.name} ORDER BY 1, 2, 3"
        theirs = duck.execute(question).fetchall()
        ours = ask_sql(store.driver, question, Bounds()).rows
        assert [list(map(told, row)) for row in theirs] == [list(map(told, row)) for row in ours]
        assert theirs
    store.close()


def told(cell: object) -> object:
    """A cell as either database says it; where JSON has a zero, views of a log say U+FFFD."""
    found = plain(cell)
    return found.replace("\x00", "\ufffd") if isinstance(found, str) else found


def test_reals_are_exact_where_duckdb_makes_the_view(duck: duckdb.DuckDBPyConnection) -> None:
    duck.execute(script())

    found = duck.execute("SELECT sharpe_low, sharpe, sharpe_high FROM audit_skill").fetchone()

    assert found is not None
    assert found[:2] == (5e-324, 1e300)
    assert math.copysign(1, found[2]) == -1.0  # the minus of -0.0 is there


def test_postgresql_tells_duckdb_the_types_itself(postgres_log: str) -> None:
    for duck in attached("postgres", postgres_log):
        for view in all_views():
            wanted = {column.name: TYPES[column.kind] for column in columns_of(view)}
            assert types_of(duck, f"log.{view.name}") == wanted
            assert duck.execute(f"SELECT * FROM log.{view.name}").fetchall()


def test_sqlite_gives_duckdb_the_same_as_text_or_refuses_loudly(sqlite_log: str) -> None:
    for duck in attached("sqlite", sqlite_log):
        store = open_sql_store(sqlite_log, read_only=True)
        for name in sorted({*names()} - {"audit_fills"}):
            question = "SELECT count(*) FROM {}"
            theirs = duck.execute(question.format(f"log.{name}")).fetchall()
            assert theirs == ask_sql(store.driver, question.format(name), Bounds()).rows
        values = duck.execute("SELECT value FROM log.audit_settings WHERE run = 'r1'").fetchall()
        assert values == [("2",)]
        with pytest.raises(duckdb.Error, match="UNION"):
            duck.execute("SELECT * FROM log.audit_fills")
        store.close()


def test_a_payload_that_is_not_in_the_table_fails_in_duckdb_too(new_log: NewDatabase) -> None:
    url = new_log("sqlite")
    store = open_sql_store(url)
    made_up.write(store, [made_up.registration()], "data")
    made_up.write(store, made_up.appends("r1"), "r1")
    store.close()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as behind:
        behind.execute("DROP TRIGGER events_refuse_update")
        behind.execute("UPDATE events SET payload = NULL WHERE type = 'StepTaken'")
        behind.commit()
    for duck in attached("sqlite", url):
        duck.execute(script())
        assert duck.execute("SELECT count(*) FROM audit_gates").fetchone() == (4,)
        with pytest.raises(duckdb.Error, match="Malformed JSON"):
            duck.execute("SELECT sum(equity) FROM audit_steps").fetchall()


def test_the_list_of_views_names_each_and_says_what_it_holds() -> None:
    listed = CliRunner().invoke(cli.main, ["audit", "views"])
    every = CliRunner().invoke(cli.main, ["audit", "views", "--csv"])

    assert listed.exit_code == every.exit_code == 0
    for view in EVENT_VIEWS:
        assert f"{view.name} " in listed.stdout
        assert f"{view.name},actor,text" in every.stdout
