"""What a database keeps beside the rows of a log: views, indexes, triggers, rules, row security.

Rows can be sound and readers still be shown others: by a view or an index that somebody made anew,
by a trigger that drops what is written. ``service.verify`` holds what is there against this.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Index, PrimaryKeyConstraint, UniqueConstraint

from stairways.store.guards import GUARDS
from stairways.store.tables import NOT_BULK, metadata

_ON_POSTGRESQL = {
    "BigInteger": "bigint",
    "Integer": "integer",
    "Text": "text",
    "LargeBinary": "bytea",
}
TABLES = tuple(metadata.tables)
_NAMES = ", ".join(f"'{name}'" for name in TABLES)

ON_SQLITE = (
    "SELECT type, name, tbl_name, sql FROM sqlite_master"
    " WHERE type IN ('table', 'index', 'view') ORDER BY type, name"
)
"""What a file of SQLite holds, with the statement that made it (NULL for indexes of keys)."""

FOREIGN = {
    "sqlite": (
        "SELECT 'trigger', name FROM sqlite_master"  # noqa: S608 - names of ours
        f" WHERE type = 'trigger' AND tbl_name IN ({_NAMES}) ORDER BY name"
    ),
    "postgresql": (
        "SELECT kind, name FROM ("  # noqa: S608 - names of ours
        "SELECT 'trigger' AS kind, tgname::text AS name, tgrelid AS place"
        " FROM pg_trigger WHERE NOT tgisinternal"
        " UNION ALL SELECT 'rule', rulename, ev_class FROM pg_rewrite WHERE rulename <> '_RETURN'"
        " UNION ALL SELECT 'row security of', relname, oid FROM pg_class"
        " WHERE relrowsecurity OR relforcerowsecurity"
        # Rows of a table below are read as rows of the log, and who changes the one above changes
        # the log's own without the triggers that guard its statements.
        " UNION ALL SELECT 'table below', inhrelid::regclass::text, inhparent FROM pg_inherits"
        " UNION ALL SELECT 'table above', inhparent::regclass::text, inhrelid FROM pg_inherits"
        " UNION ALL SELECT 'no write-ahead log of', relname, oid FROM pg_class"
        " WHERE relpersistence <> 'p'"
        ") found JOIN pg_class c ON c.oid = found.place"
        f" WHERE c.relnamespace = 'public'::regnamespace AND c.relname IN ({_NAMES})"
        " ORDER BY kind, name"
    ),
}
"""Queries for what acts on the log's tables, by kind of database: what it is, and its name."""

POSTGRES_COLUMNS = (
    "SELECT c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod)"  # noqa: S608 - as above
    " || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END"
    " || CASE WHEN a.attcollation NOT IN (0, 'pg_catalog.default'::regcollation)"
    " THEN ' collate ' || a.attcollation::regcollation ELSE '' END"
    " || CASE WHEN a.atthasdef OR a.attidentity <> '' THEN ' filled by itself' ELSE '' END"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
    " WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'r'"
    f" AND c.relnamespace = 'public'::regnamespace AND c.relname IN ({_NAMES})"
)
"""Every column of the log's tables, and what it takes."""

POSTGRES_INDEXES = (
    "SELECT i.relname, t.relname, array_to_string(ARRAY(SELECT a.attname FROM"  # noqa: S608 - as above
    " unnest(x.indkey::int2[]) WITH ORDINALITY AS k(number, place)"
    " JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number ORDER BY k.place), ', '),"
    " x.indisunique, coalesce(pg_get_expr(x.indpred, t.oid), ''),"
    " x.indisvalid AND x.indisready AND x.indislive AND x.indexprs IS NULL"
    " FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid"
    f" WHERE t.relnamespace = 'public'::regnamespace AND t.relname IN ({_NAMES})"
)
"""Name, table, columns, uniqueness, condition of every index, and whether all of it is in use."""


class OnColumns(NamedTuple):
    """An index, by what it does; its name decides nothing."""

    table: str
    columns: str
    is_unique: bool
    condition: str = ""

    def __str__(self) -> str:
        return f"index of {self.table} by {self.columns}"


def foreign(kind: str, rows: Iterable[Sequence[object]]) -> list[str]:
    """Return what acts on the log's tables and was not made by a migration, of ``FOREIGN``."""
    ours = GUARDS[kind]
    return [f"{what} {name}" for what, name in rows if what != "trigger" or name not in ours]


def expected_columns() -> dict[str, str]:
    """Return every column of the log's tables and what it takes, as ``POSTGRES_COLUMNS`` says."""
    return {
        f"{table.name}.{column.name}": _taken_by(column)
        for table in metadata.tables.values()
        for column in table.columns
    }


def _taken_by(column: Column[Any]) -> str:
    type_ = _ON_POSTGRESQL[type(column.type).__name__]
    return type_ if column.nullable else f"{type_} not null"


def expected_indexes() -> list[OnColumns]:
    """Return every index of the log's tables, those of keys too."""
    return [index for table in metadata.tables.values() for index in _indexes_of(table)]


def index_of(row: Sequence[Any]) -> OnColumns:
    """Return the index that a row of ``POSTGRES_INDEXES`` tells of."""
    _, table, columns, is_unique, condition, _ = row
    plain = condition.replace("::text", "").replace("(", "").replace(")", "")
    return OnColumns(table, columns, is_unique, plain)


def _indexes_of(table: Any) -> Iterator[OnColumns]:  # noqa: ANN401 - a Table or FromClause
    for key in table.constraints:
        if isinstance(key, PrimaryKeyConstraint | UniqueConstraint):
            yield OnColumns(table.name, _listed(key.columns), is_unique=True)
    for index in table.indexes:
        yield _of(table.name, index)


def _of(table: str, index: Index) -> OnColumns:
    condition = NOT_BULK if index.dialect_options["postgresql"]["where"] is not None else ""
    return OnColumns(table, _listed(index.columns), bool(index.unique), condition)


def _listed(columns: Iterable[Any]) -> str:
    return ", ".join(column.name for column in columns)
