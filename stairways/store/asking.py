"""Questions in SQL to the log: only reading, only the log's own tables and views, within bounds.

On SQLite the database itself asks an authorizer about every table and function of a statement.
On PostgreSQL the transaction only reads, has the auditor's role where there is one, and the
plan is looked at before it is executed; functions are held to a list.
"""

import json
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import psycopg

from stairways.errors import QueryRefusedError
from stairways.store.driver import Driver
from stairways.store.tables import APPEND_ONLY
from stairways.store.views import names

LONGEST_STATEMENT = 100_000
LARGEST_CELL = 10_000_000  # bytes
TABLES = frozenset({*APPEND_ONLY, "head", "records", *names()})
"""What may be asked: the log's tables and views; nothing hashes the read models."""

FUNCTIONS = frozenset({
    "abs", "avg", "ceil", "ceiling", "char_length", "coalesce", "concat", "convert_from", "corr",
    "count", "cume_dist", "date", "date_part", "date_trunc", "datetime", "dense_rank", "encode",
    "extract", "first_value", "floor", "glob", "greatest", "hex", "ifnull", "iif", "instr",
    "json_array_length", "json_each", "json_extract", "json_tree", "json_type", "json_valid",
    "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_array_length", "jsonb_each",
    "jsonb_each_text", "jsonb_to_record", "julianday", "lag", "last_value", "lead", "least",
    "left", "length", "like", "ln", "log", "lower", "ltrim", "max", "min", "mod", "nth_value",
    "ntile", "nullif", "percent_rank", "percentile_cont", "percentile_disc", "position", "pow",
    "power", "rank", "right", "round", "row_number", "rtrim", "sign", "split_part", "sqrt",
    "starts_with", "stddev", "stddev_pop", "stddev_samp", "strftime", "strpos", "substr",
    "substring", "sum", "time", "timezone", "to_char", "to_timestamp", "total", "trim", "trunc",
    "typeof", "unixepoch", "upper", "var_pop", "var_samp", "variance", "width_bucket",
})  # fmt: skip
"""Functions that neither change nor reach anything, nor make much out of little."""

_OF_VIEWS = frozenset({"likely", "printf", "replace"})
"""What the views of SQLite call besides."""

_KEYWORDS = frozenset({
    "all", "and", "any", "as", "between", "by", "case", "cast", "distinct", "else", "except",
    "exists", "filter", "from", "full", "group", "having", "in", "inner", "intersect", "interval",
    "join", "lateral", "left", "limit", "materialized", "not", "offset", "on", "or", "order",
    "ordinality", "outer", "over", "partition", "range", "recursive", "right", "rows", "select",
    "some", "then", "union", "using", "values", "when", "where", "with", "within",
})  # fmt: skip
_BEFORE_NAMES = frozenset({")", "as", "recursive", "with"})
_TOKEN = re.compile(
    r"""(?P<string>'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*")|(?P<word>[A-Za-z_\u0080-\uffff][\w$]*)"""
    r"""|(?P<number>\d[\w.]*)|(?P<space>\s+)|(?P<comment>--|/\*)|(?P<other>.)""",
    re.DOTALL,
)
_UNFOLDING = frozenset({"json_each", "json_tree"})
"""Functions of SQLite that are asked like tables."""

_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a question may take: rows of the answer, and seconds."""

    rows: int = 10_000
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The columns and rows of an answer, complete."""

    names: Sequence[str]
    rows: Sequence[tuple[Any, ...]]


def ask_sql(driver: Driver, statement: str, bounds: Bounds) -> Answer:
    """Return the whole answer to one SELECT.

    Raises ``QueryRefusedError`` if the statement does anything but read the log, is wrong, or
    would exceed the bounds; an answer is never cut.
    """
    single = statement.strip().removesuffix(";").rstrip()
    if len(single) > LONGEST_STATEMENT:
        raise QueryRefusedError(f"A question may have at most {LONGEST_STATEMENT:,} characters.")
    if not re.match(r"(?i)(select|with|values)\b", single) or not _is_text(single):
        raise QueryRefusedError("Only a SELECT can be asked; it may begin with WITH.")
    _look_at(single)
    with _connection(driver) as connection:
        if driver.name == "sqlite":
            return _ask_sqlite(cast("sqlite3.Connection", connection), single, bounds)
        return _ask_postgres(cast("psycopg.Connection", connection), single, bounds)


def _is_text(statement: str) -> bool:
    """Tell whether a database can be given the statement as text."""
    return "\x00" not in statement and statement == statement.encode(errors="replace").decode()


@contextmanager
def _connection(driver: Driver) -> Iterator[object]:
    """Yield a connection of its own, which is closed afterwards with all that was set on it."""
    pooled = driver.engine.raw_connection()
    connection = pooled.driver_connection
    pooled.detach()
    try:
        yield connection
    finally:
        pooled.close()


def _ask_sqlite(connection: sqlite3.Connection, statement: str, bounds: Bounds) -> Answer:
    deadline = time.monotonic() + bounds.seconds
    connection.set_authorizer(None)  # that of a writer's connections, which refuses pragmas
    connection.execute("PRAGMA query_only = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_CELL)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_authorizer(_authorize)
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        cursor = connection.execute(statement)
        rows = cursor.fetchmany(bounds.rows + 1)
    except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError) as error:
        if time.monotonic() > deadline:
            raise _too_slow(bounds) from error
        raise QueryRefusedError(_reason(error)) from error
    return _answer([column[0] for column in cursor.description], rows, bounds)


def _authorize(
    action: int, first: str | None, second: str | None, _: str | None, __: str | None
) -> int:
    """Say whether a statement may do something: read the log, or call a harmless function."""
    if action in _READS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in FUNCTIONS | _OF_VIEWS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_READ and (first in TABLES | _UNFOLDING or second == ""):
        return sqlite3.SQLITE_OK  # no column: rows are counted, as of what WITH names
    return sqlite3.SQLITE_DENY


def _ask_postgres(connection: psycopg.Connection, statement: str, bounds: Bounds) -> Answer:
    try:
        with connection.transaction():
            _restrict(connection, bounds)
            [(plan,)] = connection.execute(f"EXPLAIN (FORMAT JSON) {statement}").fetchall()
            _look_at_plan(plan if isinstance(plan, list) else json.loads(plan))
            with connection.cursor("stairways_audit") as cursor:
                cursor.execute(statement)
                rows = cursor.fetchmany(bounds.rows + 1)
                columns = [column.name for column in cursor.description or ()]
    except psycopg.errors.QueryCanceled as error:
        raise _too_slow(bounds) from error
    except psycopg.Error as error:
        raise QueryRefusedError(_reason(error)) from error
    return _answer(columns, rows, bounds)


def _restrict(connection: psycopg.Connection, bounds: Bounds) -> None:
    """Let the transaction only read, for so long, and as the auditor where that role is there."""
    connection.execute("SET TRANSACTION READ ONLY")
    connection.execute(f"SET LOCAL statement_timeout = {int(bounds.seconds * 1000)}")
    connection.execute("SET LOCAL standard_conforming_strings = on")
    connection.execute("SET LOCAL TimeZone = 'UTC'")
    may = connection.execute(
        "SELECT 1 FROM pg_roles WHERE rolname = 'stairways_auditor'"
        " AND pg_has_role(current_user, oid, 'MEMBER')"
        # roles are of all databases of a server, and migrations let those there are read the views
        " AND has_table_privilege(oid, 'events', 'SELECT')"
        " AND has_table_privilege(oid, 'audit_events', 'SELECT')"
    ).fetchone()
    if may:
        connection.execute("SET LOCAL ROLE stairways_auditor")


def _look_at(statement: str) -> None:
    """Raise ``QueryRefusedError`` for a second statement, a comment or an unknown function.

    A name is no function's where a table or its alias is named, with its columns in brackets:
    the first behind WITH, or one behind a bracket or AS.
    """
    before = last = earlier = ""
    for found in _TOKEN.finditer(statement):
        kind, text = found.lastgroup, found.group()
        if kind == "comment" or text in (";", "$", "\\", "`"):
            raise QueryRefusedError(f"A question in SQL has no {text} outside of its strings.")
        if kind == "string" and before.lower() in ("e", "u&", "&"):
            raise QueryRefusedError("Write strings in plain quotes, without E or U& before them.")
        named = earlier.lower() in _BEFORE_NAMES
        if text == "(" and before and not named and before.lower() not in FUNCTIONS | _KEYWORDS:
            raise _not_asked(before)
        if kind != "space":
            earlier, last = last, text
            before = text.strip('"') if kind in ("word", "quoted") else "&" * (text == "&")


def _look_at_plan(node: object) -> None:
    """Raise ``QueryRefusedError`` if a plan reads anything that is not of the log."""
    if isinstance(node, list):
        for child in node:
            _look_at_plan(child)
    if not isinstance(node, dict):
        return
    table, function = node.get("Relation Name"), node.get("Function Name")
    if table is not None and table not in TABLES:
        raise QueryRefusedError(f"The question may only read the log's tables, not {table}.")
    if function is not None and function not in FUNCTIONS:
        raise _not_asked(function)
    for child in node.values():
        _look_at_plan(child)


def _not_asked(function: object) -> QueryRefusedError:
    return QueryRefusedError(
        f"The function {str(function)[:60]} cannot be asked; docs/views.md lists those that can."
    )


def _answer(columns: Sequence[str], rows: Sequence[tuple[Any, ...]], bounds: Bounds) -> Answer:
    if len(rows) > bounds.rows:
        raise QueryRefusedError(
            f"The answer has more than {bounds.rows:,} rows. Ask for fewer with LIMIT, or allow "
            "more with --rows."
        )
    return Answer(_distinct(columns), rows)


def _distinct(columns: Sequence[str]) -> list[str]:
    """Return names that are all different: the second ``x`` is ``x_2``."""
    found: list[str] = []
    for name in columns:
        number, free = 1, name
        while free in found:
            number += 1
            free = f"{name}_{number}"
        found.append(free)
    return found


def _too_slow(bounds: Bounds) -> QueryRefusedError:
    return QueryRefusedError(
        f"The question took more than {bounds.seconds:g} seconds. Name a run, or allow more "
        "with --seconds."
    )


def _reason(error: Exception) -> str:
    said = str(error).split("\n")[0].strip().rstrip(".")
    if "not authorized" in said or "prohibited" in said:
        return f"The question may only read the log's views and tables: {said}."
    if "malformed JSON" in said or "type json" in said:
        return (
            f"A payload is not in the table: {said}. It is in a sealed segment, or damaged: "
            "ask `stairways audit steps`, and `stairways verify`."
        )
    return f"The question cannot be answered: {said or type(error).__name__}."
