"""Signed checkpoints of the log, and the triggers that guard them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of signed checkpoints."""
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    if op.get_bind().dialect.name == "sqlite":
        for action in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER checkpoints_refuse_{action} BEFORE {action} ON checkpoints "
                "BEGIN SELECT RAISE(ABORT, 'the log is append-only: checkpoints'); END"
            )
        return
    for name, actions in (("change", "UPDATE OR DELETE"), ("truncate", "TRUNCATE")):
        trigger = f"checkpoints_refuse_{name}"
        op.execute(
            f"CREATE TRIGGER {trigger} BEFORE {actions} ON checkpoints "
            "FOR EACH STATEMENT EXECUTE FUNCTION stairways_refuse()"
        )
        op.execute(f"ALTER TABLE checkpoints ENABLE ALWAYS TRIGGER {trigger}")
