"""Roles on PostgreSQL: who may do what with the log, enforced by the server.

``stairways_owner`` owns the tables and runs migrations. ``stairways_writer`` may read, and
add to, the log; of what is there it may move only the head, forward. It may also take leases.
``stairways_archivist`` may do that too, register segments, and remove payloads that one holds.
``stairways_auditor`` may read. None of them logs in: grant them to the users who do.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from stairways.errors import LogUnavailableError
from stairways.store.opening import driver_for
from stairways.store.tables import APPEND_ONLY

OWNER, WRITER, AUDITOR = "stairways_owner", "stairways_writer", "stairways_auditor"
ARCHIVIST = "stairways_archivist"
DERIVED = "rm_"
"""Tables whose names begin so, and ``subscriptions``, are derived and may be thrown away."""

_KNOWS_MAINTAIN = (17,)


def make_roles(url: str) -> None:
    """Make the four roles and give them exactly their rights on the log at ``url``.

    The caller must be allowed to make roles. Doing it again repairs rights that were changed.
    """
    driver = driver_for(url)
    if driver.name != "postgresql":
        driver.engine.dispose()
        raise LogUnavailableError("SQLite has no roles: use the file's permissions instead.")
    try:
        with driver.engine.begin() as connection:
            for statement in _statements(connection):
                connection.execute(text(statement))
    except DBAPIError as error:
        cause = error.orig if isinstance(error.orig, Exception) else error
        raise driver.explain(cause) from error
    finally:
        driver.engine.dispose()


def _statements(connection: Connection) -> Iterator[str]:
    present = set(connection.execute(text("SELECT rolname FROM pg_roles")).scalars())
    for role in (OWNER, WRITER, ARCHIVIST, AUDITOR):
        if role not in present:
            yield f"CREATE ROLE {role} NOLOGIN"
        yield f"GRANT USAGE ON SCHEMA public TO {role}"
    yield "REVOKE CREATE ON SCHEMA public FROM PUBLIC"  # anybody could, before PostgreSQL 15
    yield f"GRANT CREATE ON SCHEMA public TO {OWNER}"
    tables = inspect(connection).get_table_names()
    for table in [*tables, *inspect(connection).get_view_names()]:
        yield f'REVOKE ALL ON "{table}" FROM PUBLIC, {WRITER}, {ARCHIVIST}, {AUDITOR}'
        yield f'ALTER TABLE "{table}" OWNER TO {OWNER}'
        yield f'GRANT SELECT ON "{table}" TO {WRITER}, {AUDITOR}'
    for function in ("stairways_refuse", "stairways_refuse_unsealed"):
        yield f"ALTER FUNCTION {function}() OWNER TO {OWNER}"
    for table in APPEND_ONLY:
        yield f"GRANT INSERT ON {table} TO {ARCHIVIST if table == 'segments' else WRITER}"
    yield f"GRANT UPDATE (size, root, edge) ON head TO {WRITER}"
    yield f"GRANT INSERT, UPDATE ON leases TO {WRITER}"
    for table in tables:
        if table.startswith(DERIVED) or table == "subscriptions":
            yield f'GRANT INSERT, UPDATE, DELETE, TRUNCATE ON "{table}" TO {WRITER}'
    yield f"GRANT {WRITER} TO {ARCHIVIST}"
    yield f"GRANT UPDATE (payload) ON events TO {ARCHIVIST}"
    if (connection.dialect.server_version_info or (0,)) >= _KNOWS_MAINTAIN:
        yield f"GRANT MAINTAIN ON events TO {ARCHIVIST}"  # for VACUUM
