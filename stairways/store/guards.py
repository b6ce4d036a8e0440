"""The triggers that keep the log append-only, word for word as the migrations make them.

A trigger of the right name that does something else guards nothing, so all of it is compared:
on SQLite the statement, on PostgreSQL table, occasion, condition and the function's source.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stairways.store.tables import APPEND_ONLY

QUERIES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": (
        "SELECT t.tgname, c.relname, t.tgtype, p.prosrc,"
        " CASE WHEN t.tgqual IS NULL THEN '' ELSE"
        " substring(lower(pg_get_triggerdef(t.oid)) FROM 'when (.*) execute') END"
        " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid"
        " WHERE t.tgenabled = 'A' AND t.tgattr = ''::int2vector"
    ),
}
"""Queries for the triggers that work, by kind of database; the first column is the name."""

TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
}
"""Queries for the names of all tables, by kind of database."""

_ROW, _BEFORE, _DELETE, _UPDATE, _TRUNCATE = 1, 2, 8, 16, 32  # bits of pg_trigger.tgtype


class _OnPostgres(NamedTuple):
    """What the catalog says about a trigger."""

    table: str
    kind: int
    source: str
    condition: str = ""


_UNSEALED_SQLITE = """
WHEN NEW.payload IS NOT NULL OR OLD.payload IS NULL OR NEW.position IS NOT OLD.position
  OR NEW.type IS NOT OLD.type OR NEW.schema IS NOT OLD.schema OR NEW.leaf IS NOT OLD.leaf
  OR NOT EXISTS (
    SELECT 1 FROM segments g JOIN blobs b ON b.digest = g.digest
    WHERE OLD.position BETWEEN g.first AND g.last AND g.type = OLD.type AND g.schema = OLD.schema
      AND g.stream = (SELECT a.stream FROM appends a WHERE a.first <= OLD.position
                      ORDER BY a.first DESC LIMIT 1))
"""
_UNSEALED_POSTGRES = """
BEGIN
  IF NEW.payload IS NULL AND OLD.payload IS NOT NULL AND NEW.position = OLD.position
    AND NEW.type = OLD.type AND NEW.schema = OLD.schema AND NEW.leaf = OLD.leaf
    AND EXISTS (
      SELECT 1 FROM public.segments g JOIN public.blobs b ON b.digest = g.digest
      WHERE OLD.position BETWEEN g.first AND g.last AND g.type = OLD.type
        AND g.schema = OLD.schema
        AND g.stream = (SELECT a.stream FROM public.appends a WHERE a.first <= OLD.position
                        ORDER BY a.first DESC LIMIT 1))
  THEN RETURN NEW; END IF;
  RAISE EXCEPTION 'the log is append-only: %', TG_TABLE_NAME;
END """
_REFUSE_POSTGRES = " BEGIN RAISE EXCEPTION 'the log is append-only: %', TG_TABLE_NAME; END "


def missing_guards(kind: str, present: Iterable[Sequence[object]]) -> list[str]:
    """Return the names of guards that are not among the rows of the query of that ``kind``."""
    rows = {row[0]: tuple(row[1:]) for row in present}
    return sorted(name for name, wanted in GUARDS[kind].items() if rows.get(name) != wanted)


def _on_sqlite(name: str, occasion: str, table: str, condition: str = " ") -> dict[str, object]:
    made = f"CREATE TRIGGER {table}_refuse_{name} BEFORE {occasion} ON {table}{condition}"
    refusal = f"BEGIN SELECT RAISE(ABORT, 'the log is append-only: {table}'); END"
    return {f"{table}_refuse_{name}": (made + refusal,)}


def _sqlite_guards() -> dict[str, object]:
    guards: dict[str, object] = {}
    for table in APPEND_ONLY:
        for action in ("update", "delete"):
            guards |= _on_sqlite(action, action, table)
    guards |= _on_sqlite("delete", "DELETE", "head")
    guards |= _on_sqlite("shrink", "UPDATE", "head", " WHEN NEW.size <= OLD.size ")
    return guards | _on_sqlite("update", "UPDATE", "events", _UNSEALED_SQLITE)


def _postgres_guards() -> dict[str, object]:
    guards: dict[str, object] = {}
    change = _BEFORE | _UPDATE | _DELETE
    for table in APPEND_ONLY:
        guards[f"{table}_refuse_change"] = _OnPostgres(table, change, _REFUSE_POSTGRES)
        guards[f"{table}_refuse_truncate"] = _OnPostgres(
            table, _BEFORE | _TRUNCATE, _REFUSE_POSTGRES
        )
    guards["head_refuse_change"] = _OnPostgres(
        "head", _BEFORE | _DELETE | _TRUNCATE, _REFUSE_POSTGRES
    )
    guards["head_refuse_shrink"] = _OnPostgres(
        "head", _ROW | _BEFORE | _UPDATE, _REFUSE_POSTGRES, "((new.size <= old.size))"
    )
    guards["events_refuse_change"] = _OnPostgres("events", _BEFORE | _DELETE, _REFUSE_POSTGRES)
    guards["events_refuse_update"] = _OnPostgres(
        "events", _ROW | _BEFORE | _UPDATE, _UNSEALED_POSTGRES
    )
    return guards


GUARDS = {"sqlite": _sqlite_guards(), "postgresql": _postgres_guards()}
"""Every guard of a log, by kind of database and name, and what must be said about it."""
