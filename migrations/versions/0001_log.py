"""The log: streams, appends, events, head and blobs, and the triggers that guard them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
NOT_BULK = sa.text(
    "type <> 'ControllerUpdated' AND type <> 'EvaluationStepTaken' AND type <> 'StepTaken'"
)
EMPTY_ROOT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
APPEND_ONLY = ("streams", "appends", "events", "blobs")

RECORDS = """
CREATE VIEW records AS
SELECT e.position, s.name AS stream, a.version + e.position - a.first AS version, e.type,
       e.schema, a.recorded_at, a.actor, a.correlation, a.causation, a.append_id, e.payload, e.leaf
FROM events e
JOIN appends a ON a.first = (SELECT max(b.first) FROM appends b WHERE b.first <= e.position)
JOIN streams s ON s.id = a.stream
"""


def upgrade() -> None:
    """Make every table, the view ``records`` and the guards."""
    _make_log()
    _make_head_and_blobs()
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


def _guard_sqlite() -> None:
    for table in APPEND_ONLY:
        for action in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER {table}_refuse_{action} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the log is append-only: {table}'); END"
            )
    op.execute(
        "CREATE TRIGGER head_refuse_delete BEFORE DELETE ON head "
        "BEGIN SELECT RAISE(ABORT, 'the log is append-only: head'); END"
    )
    op.execute(
        "CREATE TRIGGER head_refuse_shrink BEFORE UPDATE ON head WHEN NEW.size <= OLD.size "
        "BEGIN SELECT RAISE(ABORT, 'the log is append-only: head'); END"
    )


def _guard_postgres() -> None:
    op.execute(
        "CREATE FUNCTION stairways_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION 'the log is append-only: %', TG_TABLE_NAME; END $$"
    )
    for table in APPEND_ONLY:
        _refuse_on_postgres(table, "change", "UPDATE OR DELETE")
        _refuse_on_postgres(table, "truncate", "TRUNCATE")
    _refuse_on_postgres("head", "change", "DELETE OR TRUNCATE")
    op.execute(
        "CREATE TRIGGER head_refuse_shrink BEFORE UPDATE ON head FOR EACH ROW "
        "WHEN (NEW.size <= OLD.size) EXECUTE FUNCTION stairways_refuse()"
    )
    op.execute("ALTER TABLE head ENABLE ALWAYS TRIGGER head_refuse_shrink")


def _refuse_on_postgres(table: str, name: str, actions: str) -> None:
    """Refuse statements on a table, also under ``session_replication_role = replica``."""
    trigger = f"{table}_refuse_{name}"
    op.execute(
        f"CREATE TRIGGER {trigger} BEFORE {actions} ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION stairways_refuse()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
