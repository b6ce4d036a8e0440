"""The log: its tables, the view ``records``, and the triggers that guard them; leases.

It takes the place of the first five migrations, which only trial versions had; the numbers of
later ones stand, so that a log made by them goes on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = None
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
NOT_BULK = sa.text(
    "type <> 'ControllerUpdated' AND type <> 'EvaluationStepTaken' AND type <> 'StepTaken'"
)
EMPTY_ROOT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
WHOLLY_FIXED = ("streams", "appends", "blobs", "checkpoints", "segments")
REFUSAL = "BEGIN SELECT RAISE(ABORT, 'the log is append-only: {}'); END"

RECORDS = """
CREATE VIEW records AS
SELECT e.position, s.name AS stream, a.version + e.position - a.first AS version, e.type,
       e.schema, a.recorded_at, a.actor, a.correlation, a.causation, a.append_id, e.payload, e.leaf
FROM events e
JOIN appends a ON a.first = (SELECT max(b.first) FROM appends b WHERE b.first <= e.position)
JOIN streams s ON s.id = a.stream
"""

UNSEALED_SQLITE = """
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

UNSEALED_POSTGRES = """
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
    """Make every table, the view ``records`` and the guards."""
    _make_log()
    _make_head_and_blobs()
    _make_checkpoints_and_segments()
    _make_leases()
    op.execute(RECORDS)
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgres()


def _make_log() -> None:
    op.create_table(
        "streams",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sqlite_strict=True,
    )
    op.create_table(
        "appends",
        sa.Column("first", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("last", WHOLE, nullable=False),
        sa.Column("stream", sa.Integer, sa.ForeignKey("streams.id"), nullable=False),
        sa.Column("version", WHOLE, nullable=False),
        sa.Column("recorded_at", WHOLE, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("correlation", sa.Text, nullable=False),
        sa.Column("causation", WHOLE),
        sa.Column("append_id", sa.Text, nullable=False, unique=True),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("first <= last", name="appends_hold_events"),
        sa.UniqueConstraint("stream", "version"),
        sqlite_strict=True,
    )
    op.create_index("appends_of_stream", "appends", ["stream", "first"])
    op.create_table(
        "events",
        sa.Column("position", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("schema", sa.Integer, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_index(
        "events_by_type",
        "events",
        ["type", "position"],
        sqlite_where=NOT_BULK,
        postgresql_where=NOT_BULK,
    )


def _make_head_and_blobs() -> None:
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("size", WHOLE, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("edge", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("id = 1", name="one_head"),
        sqlite_strict=True,
    )
    op.bulk_insert(head, [{"id": 1, "size": 0, "root": bytes.fromhex(EMPTY_ROOT), "edge": b""}])
    op.create_table(
        "blobs",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("size", WHOLE, nullable=False),
        sa.Column("encoding", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )


def _make_checkpoints_and_segments() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
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


def _make_leases() -> None:
    """Make the table of who may write now. It is no part of the log and may change."""
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text),
        sa.Column("process", sa.Text),
        sa.Column("epoch", WHOLE, nullable=False),
        sa.Column("beat", WHOLE, nullable=False),
        sa.Column("seconds", WHOLE, nullable=False),
        sa.Column("renewed_at", WHOLE, nullable=False),
        sqlite_strict=True,
    )


def _guard_sqlite() -> None:
    for table in WHOLLY_FIXED:
        _refuse_on_sqlite(table, "update", "update")
        _refuse_on_sqlite(table, "delete", "delete")
    _refuse_on_sqlite("events", "delete", "delete")
    op.execute(UNSEALED_SQLITE.strip())
    _refuse_on_sqlite("head", "delete", "DELETE")
    _refuse_on_sqlite("head", "shrink", "UPDATE", "WHEN NEW.size <= OLD.size ")


def _refuse_on_sqlite(table: str, name: str, action: str, condition: str = "") -> None:
    op.execute(
        f"CREATE TRIGGER {table}_refuse_{name} BEFORE {action} ON {table} {condition}"
        + REFUSAL.format(table)
    )


def _guard_postgres() -> None:
    op.execute(
        "CREATE FUNCTION stairways_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION 'the log is append-only: %', TG_TABLE_NAME; END $$"
    )
    for table in WHOLLY_FIXED:
        _refuse_on_postgres(table, "change", "UPDATE OR DELETE")
        _refuse_on_postgres(table, "truncate", "TRUNCATE")
    _refuse_on_postgres("events", "change", "DELETE")
    _refuse_on_postgres("events", "truncate", "TRUNCATE")
    op.execute(UNSEALED_POSTGRES)
    _refuse_on_postgres("events", "update", "UPDATE", "ROW", "stairways_refuse_unsealed")
    _refuse_on_postgres("head", "change", "DELETE OR TRUNCATE")
    _refuse_on_postgres("head", "shrink", "UPDATE", "ROW WHEN (NEW.size <= OLD.size)")


def _refuse_on_postgres(
    table: str, name: str, actions: str, each: str = "STATEMENT", by: str = "stairways_refuse"
) -> None:
    """Refuse statements on a table, also under ``session_replication_role = replica``."""
    trigger = f"{table}_refuse_{name}"
    op.execute(
        f"CREATE TRIGGER {trigger} BEFORE {actions} ON {table} "
        f"FOR EACH {each} EXECUTE FUNCTION {by}()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
