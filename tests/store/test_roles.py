"""Each role on PostgreSQL can do what it is for, and nothing else."""

from collections.abc import Callable

import psycopg
import pytest

from stairways.core.events import SegmentSealed
from stairways.core.values import NEW, Position, StreamName, digest_of
from stairways.errors import LogUnavailableError
from stairways.service.verify.log import verify_log
from stairways.store import archiving
from stairways.store.contract import Context, Encoded
from stairways.store.opening import open_sql_store
from stairways.store.roles import ARCHIVIST, AUDITOR, OWNER, WRITER, make_roles
from stairways.store.segments import pack_segment
from stairways.store.tables import APPEND_ONLY

RUN = StreamName("run-1")
STEP = Encoded("StepTaken", 1, b'{"step":1}')
LOG = (*APPEND_ONLY, "head")


@pytest.fixture
def url(new_log: Callable[[str], str]) -> str:
    """A log with roles and one event."""
    made = new_log("postgres")
    make_roles(made)
    make_roles(made)
    store = open_sql_store(made)
    store.append(RUN, NEW, [STEP], Context(actor="a", correlation="c", append_id="1"))
    store.put_blob(b"weights")
    store.add_checkpoint(b"note")
    store.close()
    return made


def as_role(url: str, role: str) -> str:
    """Return a URL whose sessions have only the rights of ``role``."""
    return f"{url}&options=-c%20role%3D{role}"


FORBIDDEN = [
    *[f"UPDATE {table} SET {column} = {column}" for table, column in (
        ("events", "leaf"), ("appends", "actor"), ("streams", "name"), ("segments", "digest"),
        ("blobs", "content"), ("checkpoints", "note"), ("head", "id"),
    )],
    "INSERT INTO blobs VALUES ('x', 1, 'no', 'x') ON CONFLICT (digest) DO UPDATE SET size = 2",
    "MERGE INTO events e USING events f ON e.position = f.position WHEN MATCHED THEN DELETE",
    *[f"DELETE FROM {table}" for table in LOG],
    *[f"TRUNCATE {table} CASCADE" for table in LOG],
    *[f"DROP TABLE {table} CASCADE" for table in LOG],
    "DROP VIEW records",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "DROP TRIGGER events_refuse_change ON events",
    "CREATE OR REPLACE FUNCTION stairways_refuse() RETURNS trigger LANGUAGE sql AS 'SELECT NEW'",
    "SET session_replication_role = replica",
    "ALTER TABLE events OWNER TO CURRENT_USER",
    "GRANT ALL ON events TO CURRENT_USER; UPDATE events SET leaf = leaf",
    "INSERT INTO head VALUES (2, 0, '', '')",
    "CREATE TABLE public.mine (id int)",
    "INSERT INTO alembic_version VALUES ('9999')",
]  # fmt: skip
ONLY_ARCHIVING = [
    "UPDATE events SET payload = payload",
    "INSERT INTO segments VALUES (1, 1, 'StepTaken', 1, 1, 1, 1, 'x')",
]
ONLY_READING = [
    "INSERT INTO streams VALUES (7, 'mine')",
    "INSERT INTO blobs VALUES ('x', 1, 'identity', 'x')",
    "INSERT INTO checkpoints VALUES (7, 'x')",
    "UPDATE head SET size = size + 1",
    "SELECT * FROM head FOR UPDATE",
    "DELETE FROM rm_run",
]


def refused(url: str, role: str, statement: str) -> str:
    """Return why the server refuses ``statement`` to ``role``."""
    with (
        psycopg.connect(as_role(url, role).replace("+psycopg", "")) as connection,
        pytest.raises(psycopg.Error) as caught,
    ):
        connection.execute(statement)
    return str(caught.value)


@pytest.mark.parametrize("role", [WRITER, ARCHIVIST, AUDITOR])
def test_nobody_but_the_owner_can_touch_what_is_written(url: str, role: str) -> None:
    for statement in [*FORBIDDEN, *(ONLY_ARCHIVING if role != ARCHIVIST else ())]:
        said = refused(url, role, statement)
        assert "permission denied" in said or "must be owner" in said, (statement, said)


def test_the_auditor_can_only_read(url: str) -> None:
    for statement in ONLY_READING:
        assert "permission denied" in refused(url, AUDITOR, statement), statement
    report = verify_log(as_role(url, AUDITOR), processes=1)
    assert report.size == 1
    assert [finding.field for finding in report.findings] == ["checkpoints.note of 1"]


def test_the_writer_can_do_its_work(url: str) -> None:
    store = open_sql_store(as_role(url, WRITER))
    context = Context(actor="a", correlation="c", append_id="2")
    assert store.append(StreamName("run-2"), NEW, [STEP], context).first == 2
    assert store.get_blob(store.put_blob(b"more")) == b"more"
    store.add_checkpoint(b"next")
    store.close()
    with psycopg.connect(as_role(url, WRITER).replace("+psycopg", "")) as connection:
        connection.execute("INSERT INTO subscriptions VALUES ('readmodels', 1, 1, 0, 0)")
        connection.execute("UPDATE subscriptions SET live = 1")
        connection.execute("DELETE FROM rm_run_generations")
        assert connection.execute("SELECT * FROM rm_run").fetchall() == []
    said = refused(url, WRITER, "UPDATE head SET size = 0")
    assert "the log is append-only" in said


def test_the_archivist_removes_no_payload_that_no_segment_holds(url: str) -> None:
    forged = "SELECT 1 AS first, 9 AS last, 'StepTaken' AS type, 1 AS schema, 1 AS stream, digest"
    for statement in (
        "UPDATE events SET payload = NULL",
        "UPDATE events SET payload = '{}'",
        f"CREATE TEMP TABLE segments AS {forged} FROM blobs; UPDATE events SET payload = NULL",
    ):
        said = refused(url, ARCHIVIST, statement)
        assert "the log is append-only" in said, (statement, said)
    said = refused(url, ARCHIVIST, ONLY_ARCHIVING[1])
    assert "foreign key" in said


def test_the_archivist_archives_and_gives_the_room_back(url: str) -> None:
    """The rest of archiving is tested with a whole run; here it is who may."""
    payloads = {1: STEP.payload}
    sealed = SegmentSealed(
        stream=RUN,
        type="StepTaken",
        schema=1,
        first=Position(1),
        last=Position(1),
        events=1,
        segment=digest_of(pack_segment(payloads)),
        size=len(pack_segment(payloads)),
    )
    store = open_sql_store(as_role(url, ARCHIVIST))
    context = Context(actor="a", correlation="c", append_id="2")
    archiving.seal(store, sealed, pack_segment(payloads), StreamName("operator"), context)
    [segment] = archiving.segments_of(store, RUN)
    archiving.clear(store, segment, Position(2))
    archiving.reclaim(store)
    assert store.rows("SELECT payload FROM events WHERE position = 1", ()) == [(None,)]
    assert [record.payload for record in store.read(stream=RUN)] == [STEP.payload]
    store.close()


def test_even_the_owner_meets_the_guards(url: str) -> None:
    for statement in (
        *[f"DELETE FROM {table}" for table in LOG],
        *[f"TRUNCATE {table} CASCADE" for table in LOG],
        "UPDATE events SET payload = NULL",
    ):
        assert "the log is append-only" in refused(url, OWNER, statement), statement


def test_sqlite_has_no_roles(new_log: Callable[[str], str]) -> None:
    with pytest.raises(LogUnavailableError, match="permissions"):
        make_roles(new_log("sqlite"))


def test_nobody_may_put_a_function_before_those_of_the_database(url: str) -> None:
    """Before PostgreSQL 15 everybody may make things in public."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        server.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        make_roles(url)
        asked = "SELECT has_schema_privilege(%s, 'public', 'CREATE')"
        allowed = {
            role
            for role in (WRITER, ARCHIVIST, AUDITOR, OWNER)
            if (server.execute(asked, (role,)).fetchone() or (None,))[0]
        }
    assert allowed == {OWNER}
