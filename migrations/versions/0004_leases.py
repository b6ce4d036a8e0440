"""Leases: who may write now. They are no part of the log and may change."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table of leases."""
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
