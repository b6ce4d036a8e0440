"""Hold what a database keeps beside the rows of a log against what the migrations make of it."""

from collections.abc import Iterator, Mapping

from stairways.errors import SchemaMismatchError
from stairways.service.verify.findings import Finding, shown
from stairways.store.catalog import (
    ON_SQLITE,
    POSTGRES_COLUMNS,
    POSTGRES_INDEXES,
    TABLES,
    OnColumns,
    expected_columns,
    expected_indexes,
    index_of,
)
from stairways.store.opening import known_revisions, made_on_sqlite, newest_revision
from stairways.store.raw import RawLog
from stairways.store.views import RECORDS, asked_columns, queries

_TRIES = 3
"""How often two plans are asked for: a table that grows meanwhile may change one of them."""


def check_surroundings(log: RawLog) -> Iterator[Finding]:
    """Yield which guards, views and indexes are not the migrations', and what acts beside them.

    Raises ``SchemaMismatchError`` if the log is of an older schema, whose views were others.
    """
    for name in log.missing_guards():
        yield Finding(None, f"trigger {name}", "present", "missing")
    for thing in log.foreign():
        yield Finding(None, thing, "nothing of this name", "present")
    others = list(_on_sqlite(log) if log.driver.name == "sqlite" else _on_postgres(log))
    yield from _wrong_schema(log, is_newest=not others)
    yield from others


def _wrong_schema(log: RawLog, *, is_newest: bool) -> Iterator[Finding]:
    """Yield that the log does not say its schema, or one that it does not have."""
    newest, found = newest_revision(), log.revisions()
    if found == [newest]:
        return
    if len(found) == 1 and found[0] in known_revisions() and not is_newest:
        raise SchemaMismatchError(
            f"The log is of an older schema ({found[0]}, this program's is {newest}). Bring it up "
            "to date with `stairways init`, then verify it."
        )
    yield Finding(None, "alembic_version", newest, ", ".join(map(shown, found)) or "missing")


def _on_sqlite(log: RawLog) -> Iterator[Finding]:
    """Compare the statements that made tables, views and indexes."""
    made = made_on_sqlite()
    present = {(row[0], row[1]): (row[2], row[3]) for row in log.rows(ON_SQLITE)}
    for (kind, name), wanted in made.items():
        if name.startswith("rm_"):
            continue  # derived from the log, and built anew whenever they are not there
        if (kind, name) not in present:
            yield Finding(None, f"{kind} {name}", "present", "missing")
        elif present[kind, name] != wanted:
            yield Finding(None, f"{kind} {name}", "as migrations make it", "something else")
    for (kind, name), (table, _) in present.items():
        if kind == "index" and table in TABLES and (kind, name) not in made:
            yield Finding(None, f"index {name}", "nothing of this name", "present")


def _on_postgres(log: RawLog) -> Iterator[Finding]:
    """Compare how views are answered, and what indexes are there."""
    columns = asked_columns()
    for name, query in (("records", RECORDS), *queries("postgresql")):
        if not _answers_alike(log, name, columns[name], query):
            yield Finding(None, f"view {name}", "as migrations make it", "something else")
    yield from _odd_columns(dict(log.rows(POSTGRES_COLUMNS)))
    rows = log.rows(POSTGRES_INDEXES)
    wanted = set(expected_indexes())
    present = {index_of(row): str(row[0]) for row in rows if row[5]}
    for index in sorted(wanted - present.keys()):
        yield Finding(None, str(index), "in use", "missing, or not")
    for index in sorted(present.keys() - wanted):
        yield _odd(index, present[index])


def _odd_columns(present: Mapping[str, str]) -> Iterator[Finding]:
    wanted = expected_columns()
    for name in sorted(wanted.keys() | present.keys()):
        expected, actual = wanted.get(name, "no such column"), present.get(name, "missing")
        if expected != actual:
            yield Finding(None, f"column {name}", expected, actual)


def _answers_alike(log: RawLog, name: str, columns: str, query: str) -> bool:
    """Say whether PostgreSQL plans a view as it plans the view's own query.

    The text of a view is not kept as it was given and is told otherwise by other versions; what
    the planner makes of it is the same for the same question.
    """
    for _ in range(_TRIES):
        viewed = log.plan(columns, f"public.{name}")
        if viewed == log.plan(columns, f"({query})"):
            return True
    return False


def _odd(index: OnColumns, name: str) -> Finding:
    return Finding(None, f"index {name} of {index.table}", "nothing of this name", "present")
