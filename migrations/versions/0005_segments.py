"""Sealed segments, and guards that let a payload go only where a segment holds it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")

SQLITE = """
CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events
WHEN NEW.payload IS NOT NULL OR OLD.payload IS NULL OR NEW.position IS NOT OLD.position
  OR NEW.type IS NOT OLD.type OR NEW.schema IS NOT OLD.schema OR NEW.leaf IS NOT OLD.leaf
  OR NOT EXISTS (
    SELECT 1 FROM segments g JOIN blobs b ON b.digest = g.digest
    WHERE OLD.position BETWEEN g.first AND g.last AND g.type = OLD.type AND g.schema = OLD.schema
      AND g.stream = (SELECT a.stream FROM appends a WHERE a.first <= OLD.position
                      ORDER BY a.first DESC LIMIT 1))
BEGIN SELECT RAISE(ABORT, 'the log is append-only: events'); END
"""

POSTGRES = """
CREATE FUNCTION stairways_refuse_unsealed() RETURNS trigger LANGUAGE plpgsql AS $$
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
END $$
"""


def upgrade() -> None:
    """Make the table of segments, and let the guard of ``events`` know it."""
    op.create_table(
        "segments",
        sa.Column(
            "position",
            WHOLE,
            sa.ForeignKey("events.position"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("stream", sa.Integer, sa.ForeignKey("streams.id"), nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("schema", sa.Integer, nullable=False),
        sa.Column("first", WHOLE, nullable=False),
        sa.Column("last", WHOLE, nullable=False),
        sa.Column("events", WHOLE, nullable=False),
        sa.Column("digest", sa.Text, sa.ForeignKey("blobs.digest"), nullable=False),
        sa.CheckConstraint("first <= last", name="segments_hold_events"),
        sqlite_strict=True,
    )
    op.create_index("segments_by_last", "segments", ["last", "first"])
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgres()


def _guard_sqlite() -> None:
    for action in ("update", "delete"):
        op.execute(
            f"CREATE TRIGGER segments_refuse_{action} BEFORE {action} ON segments "
            "BEGIN SELECT RAISE(ABORT, 'the log is append-only: segments'); END"
        )
    op.execute("DROP TRIGGER events_refuse_update")
    op.execute(SQLITE.strip())


def _guard_postgres() -> None:
    _refuse("segments", "change", "UPDATE OR DELETE")
    _refuse("segments", "truncate", "TRUNCATE")
    op.execute("DROP TRIGGER events_refuse_change ON events")
    _refuse("events", "change", "DELETE")
    op.execute(POSTGRES)
    op.execute(
        "CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events "
        "FOR EACH ROW EXECUTE FUNCTION stairways_refuse_unsealed()"
    )
    op.execute("ALTER TABLE events ENABLE ALWAYS TRIGGER events_refuse_update")


def _refuse(table: str, name: str, actions: str) -> None:
    """Refuse statements on a table, also under ``session_replication_role = replica``."""
    trigger = f"{table}_refuse_{name}"
    op.execute(
        f"CREATE TRIGGER {trigger} BEFORE {actions} ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION stairways_refuse()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
