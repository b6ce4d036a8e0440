"""The views: the same names, columns and values on both databases, and what they promise."""

import dataclasses
import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import inspect

from ops.view_dictionary import dictionary
from stairways import codec
from stairways.codec import CLASSES
from stairways.core import events as e
from stairways.core.values import Position, StreamName
from stairways.errors import QueryRefusedError
from stairways.service.folding import folded_cycles, folded_runs
from stairways.store.asking import Answer, Bounds, ask_sql
from stairways.store.contract import Context, Encoded
from stairways.store.event_views import EVENT_VIEWS
from stairways.store.opening import driver_for, open_sql_store
from stairways.store.roles import make_roles
from stairways.store.sql import SqlStore
from stairways.store.view import TYPES, EventView
from stairways.store.views import all_views, columns_of, names
from tests import made_up
from tests.conftest import KINDS, NewDatabase

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture(scope="module")
def sqlite_log(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('views')}/log.db"
    fill(url)
    return url


@pytest.fixture(scope="module")
def postgres_log(module_log: str) -> str:
    fill(module_log)
    return module_log


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_log")
    return found


@pytest.fixture
def log(url: str) -> Iterator[SqlStore]:
    store = open_sql_store(url, read_only=True)
    yield store
    store.close()


def fill(url: str) -> None:
    """Write two runs, others failed and stopped, and every other type of event there is."""
    store = open_sql_store(url)
    made_up.write(store, [made_up.registration()], "data")
    for run in ("r1", "r2"):
        made_up.write(store, made_up.appends(run), run)
    started: list[e.Event] = [made_up.started(), e.RunFailed(reason="no\x00bars", cycle=1, step=0)]
    made_up.write(store, [(StreamName("run-r3"), started)], "r3")
    made_up.write(store, [(StreamName("run-r4"), [made_up.started()])], "r4")
    verdict = max(one.position for one in store.read(types=("CycleVerdict",)))
    overridden = e.GateOverridden(
        run="r2", cycle=2, who="bob", why="'; --", promoted=True, verdict=Position(verdict)
    )
    made_up.write(store, [(StreamName("model-pair"), [overridden])], "o1")
    asked = e.AuditAsked(question="audit runs", arguments={"run": "r1"}, size=9, root=made_up.DATA)
    made_up.write(store, [(StreamName("operator"), [asked])], "o2")
    written = {record.type for record in store.read()}
    for type_, schema in sorted(set(codec.SCHEMAS.values())):
        if type_ not in written:
            payload = (GOLDEN / f"{type_}.{schema}.json").read_bytes()
            context = Context(actor="ann", correlation="c", append_id=f"golden-{type_}")
            store.append(StreamName("run-r4"), None, [Encoded(type_, schema, payload)], context)
    store.close()


def ask(log: SqlStore, statement: str, rows: int = 10_000, seconds: float = 20) -> Answer:
    return ask_sql(log.driver, statement, Bounds(rows, seconds))


def test_the_database_has_exactly_the_columns_of_the_dictionary(log: SqlStore) -> None:
    found = inspect(log.driver.engine)
    place = KINDS.index("sqlite" if log.driver.name == "sqlite" else "postgres")

    views = {view for view in found.get_view_names() if not view.startswith("rm_")}
    assert views - {"records"} == set(names())
    for view in all_views():
        columns = [
            (c["name"], str(c["type"]).lower().removesuffix(' collate "c"'))
            for c in found.get_columns(view.name)
        ]
        wanted = [(c.name, TYPES[c.kind][place].lower()) for c in columns_of(view)]
        if log.driver.name == "postgresql":
            wanted = [(n, t.replace("timestamp with time zone", "timestamp")) for n, t in wanted]
            assert columns == wanted, view.name
        else:  # before 3.41 SQLite does not say the types of expressions
            assert [name for name, _ in columns] == [name for name, _ in wanted], view.name


def test_the_dictionary_of_views_is_up_to_date() -> None:
    written = (ROOT / "docs" / "views.md").read_text(encoding="utf-8")

    assert written == dictionary(), "run: python -m ops.view_dictionary > docs/views.md"


def test_every_column_is_explained() -> None:
    empty = [line for line in dictionary().splitlines() if line.endswith("|  |")]

    assert empty == []


def test_every_type_of_event_has_a_view() -> None:
    assert sorted(view.type for view in EVENT_VIEWS) == sorted(CLASSES)


@pytest.mark.parametrize("view", EVENT_VIEWS, ids=lambda view: str(view.name))
def test_every_field_of_an_event_is_a_column_of_its_view(view: EventView) -> None:
    fields = {field.name for field in dataclasses.fields(CLASSES[view.type])}

    assert {column.field for column in view.columns} | {"run"} == fields | {"run"}


def test_figures_between_their_bounds_are_columns_of_their_own(log: SqlStore) -> None:
    [row] = ask(log, "SELECT sharpe_low, sharpe, sharpe_high, run, judged_on FROM audit_skill").rows

    assert row == (5e-324, 1e300, -0.0, "r4", 'window "ä☃"')


@pytest.mark.parametrize("view", names())
def test_both_databases_answer_the_same(sqlite_log: str, postgres_log: str, view: str) -> None:
    found = []
    for one in (sqlite_log, postgres_log):
        store = open_sql_store(one, read_only=True)
        answer = ask(store, f"SELECT * FROM {view} ORDER BY 1, 2, 3")
        store.close()
        passing = {"recorded_at", "started_at", "leaf"}  # when it was written
        found.append(
            [
                {n: plain(c) for n, c in zip(answer.names, row, strict=True) if n not in passing}
                for row in answer.rows
            ]
        )

    assert found[0] == found[1]
    assert bool(found[0]) is (view != "audit_fills")


def plain(cell: object) -> object:
    """Return a cell as the other database has it: truth as 0 and 1, time and JSON as text."""
    if hasattr(cell, "isoformat"):
        return cell.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(cell, bool):
        return int(cell)
    if isinstance(cell, str) and cell.startswith(("[", "{")):
        return json.loads(cell)
    return cell


def test_runs_and_cycles_are_what_the_fold_of_events_says(log: SqlStore) -> None:
    runs = ask(log, "SELECT run, status, steps, promoted, reason FROM audit_runs ORDER BY run").rows
    told = [
        (r["run"], r["status"], r["steps"], r["promoted"], r["reason"] or None)
        for r in folded_runs(log)
    ]
    cycles = ask(
        log,
        "SELECT cycle, attempt, verdict, hold_rate, profit, overridden_by FROM audit_cycles"
        " WHERE run = 'r2' ORDER BY cycle, attempt",
    ).rows
    folded = [
        (
            c["cycle"],
            c["attempt"],
            c["verdict"],
            c["hold_rate"],
            c["profit"],
            c["overridden_by"] or None,
        )
        for c in folded_cycles(log, "r2")
    ]

    assert [(*row[:4], row[4] and row[4].replace("\ufffd", "\x00")) for row in runs] == told
    assert cycles == folded
    assert cycles[-1][2::3] == ("promoted", "bob")


def test_steps_of_an_attempt_are_joined_by_position(log: SqlStore) -> None:
    answer = ask(
        log,
        "SELECT c.cycle, c.attempt, count(*) FROM audit_cycles c JOIN audit_steps s"
        " ON s.run = c.run AND s.position BETWEEN c.first_position"
        " AND coalesce(c.last_position, 9999999)"
        " WHERE c.run = 'r1' GROUP BY c.cycle, c.attempt ORDER BY 1, 2",
    )

    assert answer.rows == [(1, 1, 300), (2, 1, 300), (2, 2, 300)]


def test_fills_name_the_symbol(new_log: NewDatabase) -> None:
    for kind in KINDS:
        url = new_log(kind)
        store = open_sql_store(url)
        made_up.write(store, [made_up.registration()], "data")
        step = made_up.step(1)
        sold = Encoded(
            "StepTaken", 1, codec.encode(step).replace(b'"shares":[0,0]', b'"shares":[0,-7]')
        )
        made_up.write(store, [(StreamName("run-r1"), [made_up.started()])], "r1")
        context = Context(actor="a", correlation="c", append_id="s")
        store.append(StreamName("run-r1"), None, [sold], context)
        answer = ask(store, "SELECT symbol, symbol_number, shares, price, kind FROM audit_fills")
        store.close()

        assert answer.rows == [("MSFT", 2, -7, 50_000_000, "training")]


def test_a_payload_that_is_not_in_the_table_fails_the_question(new_log: NewDatabase) -> None:
    for kind in KINDS:
        url = new_log(kind)
        fill(url)
        engine = driver_for(url).engine
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "DROP TRIGGER events_refuse_update"
                if kind == "sqlite"
                else "ALTER TABLE events DISABLE TRIGGER USER"
            )
            connection.exec_driver_sql(
                "UPDATE events SET payload = NULL WHERE position ="
                " (SELECT max(position) FROM events WHERE type = 'StepTaken')"
            )
        driver = driver_for(url, read_only=True)
        with pytest.raises(QueryRefusedError, match="sealed segment, or damaged"):
            ask_sql(driver, "SELECT sum(equity) FROM audit_steps", Bounds())
        for view in ("audit_gates", "audit_steps"):  # nothing of the payload is asked for
            assert ask_sql(driver, f"SELECT count(*) FROM {view}", Bounds()).rows
        driver.engine.dispose()
        engine.dispose()


NOT_FOR_READERS = (
    "DELETE FROM events",
    "UPDATE head SET size = 0",
    "INSERT INTO streams VALUES (99, 'x')",
    "DROP VIEW audit_runs",
    "CREATE TABLE x (y INT)",
    "PRAGMA query_only = OFF",
    "ATTACH 'x.db' AS x",
    "VACUUM INTO '/tmp/x.db'",
    "COPY events TO '/tmp/x'",
    "SET ROLE postgres",
    "BEGIN",
    "EXPLAIN SELECT 1",
    "",
    ";",
    "SELECT 1; DELETE FROM events",
    "SELECT 1;;",
    "SELECT * FROM rm_run",
    "WITH audit_runs AS (SELECT * FROM rm_run) SELECT run FROM audit_runs",
    "SELECT name FROM sqlite_master",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_catalog.pg_shadow",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_settings",
    "SELECT * FROM (TABLE pg_authid) x",
    "SELECT * FROM leases",
    "SELECT load_extension('x')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_catalog.pg_read_file('/etc/passwd')",
    "SELECT \"pg_read_file\"('/etc/passwd')",
    "SELECT pg_read_file /**/ ('/etc/passwd')",
    "SELECT pg_sleep(100)",
    "SELECT (1) pg_sleep(100)",
    "SELECT 1 AS pg_sleep(100)",
    "SELECT * FROM (SELECT 1) x, pg_sleep(100)",
    "SELECT * FROM audit_runs x JOIN pg_sleep(100) AS y ON true",
    "WITH pg_sleep(100) AS (SELECT 1) SELECT 1",
    "SELECT set_config('transaction_read_only', 'off', true)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT query_to_xml('SELECT 1', true, true, '')",
    "SELECT U&'\\0041'",
    "SELECT E'\\'' , pg_read_file('/etc/passwd') , ''",
    "SELECT $$x$$",
    "SELECT 1 -- x",
    "SELECT randomblob(1000000000)",
    "SELECT repeat('x', 1000000000)",
    "SELECT 1 INTO x",
    "WITH x AS (DELETE FROM events RETURNING *) SELECT * FROM x",
    "SELECT * FROM head FOR UPDATE",
    "SELECT * FROM nothing",
    "SELECT nonsense FROM audit_runs",
    "SELECT run FROM audit_runs WHERE",
    "SELECT '",
    "SELECT 1\x00",
    "SELECT \ud800",
    "SELECT " + "x" * 200_000,
)


@pytest.mark.parametrize(
    "statement",
    [
        "WITH a(x) AS (SELECT 1) SELECT x FROM a",
        "WITH RECURSIVE a(x) AS (SELECT 1) SELECT x FROM a",
    ],
)
def test_what_with_names_may_name_its_columns(log: SqlStore, statement: str) -> None:
    assert ask(log, statement).rows == [(1,)]


def test_a_refused_function_says_where_the_others_are_listed(log: SqlStore) -> None:
    with pytest.raises(QueryRefusedError, match="md lists those that can"):
        ask(log, "SELECT group_concat(run) FROM audit_runs")


@pytest.mark.parametrize("statement", NOT_FOR_READERS, ids=lambda text: str(text)[:40])
def test_nothing_but_reading_the_log_is_asked(log: SqlStore, statement: str) -> None:
    head = log.head()

    with pytest.raises(QueryRefusedError) as refused:
        ask(log, statement)

    said = str(refused.value)
    assert len(said) < 400
    assert "root:" not in said
    assert log.head() == head


def test_an_answer_is_never_cut(log: SqlStore) -> None:
    assert len(ask(log, "SELECT position FROM audit_events LIMIT 100", rows=100).rows) == 100

    with pytest.raises(QueryRefusedError, match="more than 99 rows"):
        ask(log, "SELECT position FROM audit_events LIMIT 100", rows=99)


def test_a_question_that_takes_too_long_is_given_up(log: SqlStore) -> None:
    with pytest.raises(QueryRefusedError, match=r"more than 0\.3 seconds"):
        ask(
            log,
            "WITH RECURSIVE t AS (SELECT 1 n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
            seconds=0.3,
        )


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1;",
        "  values (1) ",
        "WITH t AS (SELECT run FROM audit_gates) SELECT count(*) FROM t",
        "SELECT ';', '--', 'it''s' FROM audit_runs",
        "SELECT \"run\" FROM audit_runs WHERE run IN ('r1', 'r2')",
        "SELECT run, rank() OVER (ORDER BY run) FROM audit_runs",
        "SELECT count(*) FILTER (WHERE passed) FROM audit_gates",
        "SELECT max(position) FROM events",
        "SELECT position, first, time, key FROM (SELECT 1 position, 2 first, 3 time, 4 key) t",
    ],
)
def test_questions_of_every_honest_kind_are_answered(log: SqlStore, statement: str) -> None:
    assert ask(log, statement).rows


def test_columns_of_one_name_are_told_apart(log: SqlStore) -> None:
    answer = ask(log, "SELECT 1 AS a, 2 AS a, 3 AS a_2")

    assert answer.names == ["a", "a_2", "a_2_2"]


@pytest.mark.parametrize("view", [view.name for view in EVENT_VIEWS])
def test_events_are_counted_without_reading_what_they_say(postgres_log: str, view: str) -> None:
    plan = plan_of(postgres_log, f"SELECT count(*) FROM {view}")

    assert "jsonb_to_record" not in plan
    assert "first <= " not in plan  # no search for the append of each event


def test_the_log_is_counted_by_its_rows_alone(postgres_log: str) -> None:
    for statement in ("count(*) FROM audit_events", "type, count(*) FROM audit_events GROUP BY 1"):
        assert "appends" not in plan_of(postgres_log, f"SELECT {statement}")


def test_one_run_is_read_through_its_own_appends(postgres_log: str) -> None:
    """However large PostgreSQL thinks an append, it must not search all of them for each event."""
    plan = plan_of(postgres_log, "SELECT avg(reward) FROM audit_steps WHERE run = 'r1'")

    assert re.search(r"position\"? >= a.first", plan)
    assert "first <= " not in plan


def test_a_stream_an_actor_or_a_time_is_found_without_looking_at_every_event(
    postgres_log: str,
) -> None:
    for clause in ("stream = 'operator'", "actor = 'ann'", "recorded_at > '2030-01-01'"):
        plan = plan_of(postgres_log, f"SELECT * FROM audit_stream_events WHERE {clause}")

        assert re.search(r"position\"? >= a.first", plan)
        assert "first <= " not in plan


def test_every_event_is_shown_once_by_both_ways(log: SqlStore) -> None:
    everything = "SELECT * FROM {} ORDER BY position"

    found = ask(log, everything.format("audit_stream_events")).rows

    assert found == ask(log, everything.format("audit_events")).rows
    assert len(found) == log.head().size


def plan_of(url: str, statement: str) -> str:
    """Return how PostgreSQL would answer, as text."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        rows = connection.execute(f"EXPLAIN {statement}".encode()).fetchall()
    return "\n".join(line for (line,) in rows)


def test_psql_reads_every_view_without_quotes(postgres_log: str) -> None:
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("psql is not installed")
    for view in all_views():
        columns = ", ".join(column.name for column in columns_of(view))
        done = subprocess.run(
            [
                psql,
                postgres_log.replace("+psycopg", ""),
                "-XAtc",
                f"SELECT {columns} FROM {view.name} LIMIT 1",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_sqlite_reads_every_column_without_quotes(sqlite_log: str) -> None:
    connection = sqlite3.connect(sqlite_log.removeprefix("sqlite:///"))
    for view in all_views():
        columns = ", ".join(column.name for column in columns_of(view))
        connection.execute(f"SELECT {columns} FROM {view.name} LIMIT 1").fetchall()
    connection.close()


@pytest.mark.parametrize("let", ["", "audit_events"])
def test_roles_made_for_another_log_of_the_server_stand_in_nobodys_way(
    new_log: NewDatabase, let: str
) -> None:
    make_roles(new_log("postgres"))
    url = new_log("postgres")
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM stairways_auditor")
        if let:  # as a migration that comes after them does
            connection.execute(f"GRANT SELECT ON {let} TO stairways_auditor")
    fill(url)

    store = open_sql_store(url, read_only=True)
    assert ask(store, "SELECT count(*) FROM audit_starts").rows == [(4,)]
    assert ask(store, "SELECT min(position) FROM events").rows == [(1,)]
    store.close()


def test_an_auditor_of_postgresql_may_read_the_views(new_log: NewDatabase) -> None:
    url = new_log("postgres")
    fill(url)
    make_roles(url)
    name = f"viewer_{os.getpid()}"
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN IN ROLE stairways_auditor")
    try:
        driver = driver_for(url.replace("postgres@", f"{name}@"), read_only=True)
        for view in names():
            ask_sql(driver, f"SELECT * FROM {view}", Bounds())
        driver.engine.dispose()
    finally:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"DROP ROLE {name}")
