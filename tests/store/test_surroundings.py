"""Whoever changes what readers look through, and no row, is found by ``verify`` all the same."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import psycopg
import pytest

from stairways.core.values import StreamName
from stairways.errors import SchemaMismatchError
from stairways.service.verify.log import verify_log
from stairways.store.contract import Context, Encoded
from stairways.store.opening import newest_revision, open_sql_store

RUN = StreamName("run-1")
Change = Callable[..., None]


def write(url: str, append_id: str, *types: str) -> None:
    store = open_sql_store(url, clock=lambda: datetime(2026, 1, 5, tzinfo=UTC))
    context = Context(actor="ada", correlation="run-1", append_id=append_id)
    store.append(RUN, None, [Encoded(one, 1, b'{"step":1}') for one in types], context)
    store.close()


@pytest.fixture
def url(database_url: str) -> str:
    write(database_url, "a", "StepTaken", "ModelPromoted", "StepTaken")
    return database_url


def change(url: str, *statements: str) -> None:
    """Do what only the owner of a database can."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            connection.execute(statement)
        connection.close()
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        for statement in statements:
            server.execute(statement.encode())


def found(url: str) -> list[str]:
    return [one.field for one in verify_log(url, processes=1).findings]


def test_a_log_that_nobody_touched_is_clean(url: str) -> None:
    assert found(url) == []


def let_miss(url: str, index: str, unseen: Callable[[], None]) -> None:
    """Keep an index from learning what is written meanwhile, then put it back."""
    if url.startswith("sqlite"):
        name = f"WHERE name = '{index}'"
        narrow = "sql || CASE WHEN sql LIKE '%WHERE%' THEN ' AND ' ELSE ' WHERE ' END || '0'"
        change(
            url,
            "CREATE TABLE kept AS SELECT sql FROM sqlite_master " + name,
            f"UPDATE sqlite_master SET sql = {narrow} {name}",
        )
        change(url, "REINDEX")
        unseen()
        restored = f"UPDATE sqlite_master SET sql = (SELECT sql FROM kept) {name}"
        change(url, restored, "DROP TABLE kept")
        return
    ready = f"UPDATE pg_index SET indisready = {{}} WHERE indexrelid = '{index}'::regclass"
    change(url, ready.format("false"))
    unseen()
    change(url, ready.format("true"))


@pytest.mark.parametrize(
    ("index", "named"),
    [
        ("events_by_type", "index of events by type, position"),
        ("appends_of_stream", "appends"),
    ],
)
def test_an_index_that_hides_rows_is_found(url: str, index: str, named: str) -> None:
    let_miss(url, index, lambda: write(url, "b", "ModelPromoted", "TrainingHalted"))

    [field] = set(found(url))
    assert named in field


def test_a_view_that_shows_less_is_found(url: str) -> None:
    change(
        url,
        "DROP VIEW IF EXISTS audit_decisions",
        *remade(url, "audit_promotions", lambda text: text + " AND e.position < 2"),
    )
    assert "view audit_promotions" in found(url)


def remade(url: str, view: str, text_of: Callable[[str], str]) -> Sequence[str]:
    """Return what makes a view anew from its own text, changed."""
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            query = f"SELECT sql FROM sqlite_master WHERE name = '{view}'"
            [text] = connection.execute(query).fetchone()
        connection.close()
        return [f"DROP VIEW {view}", text_of(text)]
    with psycopg.connect(url.replace("+psycopg", "")) as server:
        row = server.execute("SELECT pg_get_viewdef(%s::regclass)", (view,)).fetchone()
        assert row is not None
    return [f"CREATE OR REPLACE VIEW {view} AS {text_of(row[0].rstrip('; '))}"]


def test_a_view_with_two_columns_exchanged_is_found(url: str) -> None:
    def exchanged(text: str) -> str:
        swapped = text.replace("a.actor,", "s.name AS actor,")
        return swapped.replace("s.name AS stream", "a.actor AS stream")

    change(url, *remade(url, "records", exchanged))
    assert found(url) == ["view records"]


SILENT = """CREATE TRIGGER evil BEFORE INSERT ON events WHEN new.type = 'AuditAsked'
 BEGIN SELECT raise(ignore); END"""
DROPPING = """CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS
 $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER evil BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION nothing()"""


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("sqlite", SILENT),
        ("postgres", DROPPING),
        ("postgres", "CREATE RULE evil AS ON INSERT TO blobs DO INSTEAD NOTHING"),
        ("postgres", "ALTER TABLE events ENABLE ROW LEVEL SECURITY"),
        ("postgres", "CREATE TABLE evil () INHERITS (events)"),
        ("postgres", "CREATE TABLE evil (note bytea); ALTER TABLE checkpoints INHERIT evil"),
        ("postgres", "ALTER TABLE head SET UNLOGGED"),
    ],
)
def test_what_acts_on_the_log_beside_its_guards_is_found_and_nothing_is_written(
    kind: str, statement: str, new_log: Callable[[str], str]
) -> None:
    url = new_log(kind)
    write(url, "a", "StepTaken")
    change(url, statement)

    [field] = found(url)
    assert "evil" in field or field in ("row security of events", "no write-ahead log of head")
    with pytest.raises(SchemaMismatchError, match=r"acts on the log .* remove it, and run"):
        write(url, "b", "StepTaken")


NO_VIEWS = """DO $$ DECLARE name text; BEGIN
 FOR name IN SELECT viewname FROM pg_views WHERE schemaname = 'public' LOOP
 EXECUTE 'DROP VIEW IF EXISTS ' || name || ' CASCADE'; END LOOP; END $$"""


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("ALTER TABLE events ALTER payload TYPE text USING encode(payload, 'escape')", "payload"),
        ("ALTER TABLE events ADD note text", "note"),
        ("ALTER TABLE events ADD note bigint GENERATED ALWAYS AS IDENTITY", "note"),
        ("ALTER TABLE events ALTER leaf DROP NOT NULL", "leaf"),
        ('ALTER TABLE events ALTER type TYPE text COLLATE "C"', "type"),
        ("ALTER TABLE events ALTER schema SET DEFAULT 2", "schema"),
    ],
)
def test_a_table_of_postgresql_that_was_made_otherwise_is_found(
    new_log: Callable[[str], str], statement: str, named: str
) -> None:
    url = new_log("postgres")
    change(url, NO_VIEWS, statement)
    columns = [field for field in found(url) if field.startswith("column")]
    assert columns == [f"column events.{named}"]


GONE = ("index appends_of_stream", "index of appends by stream, first")
ODD = ("index once", "index once of events")


@pytest.mark.parametrize(
    ("statement", "field"),
    [
        ("DROP INDEX appends_of_stream", GONE),
        ("CREATE UNIQUE INDEX once ON events (type)", ODD),
    ],
)
def test_an_index_that_is_gone_or_foreign_is_found(
    database_url: str, statement: str, field: Sequence[str]
) -> None:
    write(database_url, "a", "StepTaken")
    change(database_url, statement)
    [named] = found(database_url)
    assert named in field


@pytest.mark.parametrize("said", ["0001", "", "0005", "0008"])
def test_an_older_schema_that_the_log_does_not_have_is_a_finding(url: str, said: str) -> None:
    change(url, f"UPDATE alembic_version SET version_num = '{said}'")
    [one] = verify_log(url, processes=1).findings
    assert (one.field, one.expected) == ("alembic_version", newest_revision())


def test_a_log_of_an_older_schema_is_to_be_brought_up_to_date(url: str) -> None:
    change(
        url,
        "UPDATE alembic_version SET version_num = '0008'",
        *remade(url, "records", lambda text: text + " WHERE 1 = 1 AND e.position > 0"),
    )
    with pytest.raises(SchemaMismatchError, match=r"older schema \(0008, .* `stairways init`"):
        verify_log(url, processes=1)
