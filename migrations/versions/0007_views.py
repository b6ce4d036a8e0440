"""The views for an auditor's own tools; they hold no data and are made as this program has them."""

from alembic import op
from sqlalchemy import text

from stairways.store.roles import AUDITOR, WRITER
from stairways.store.views import names, statements

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every view anew, and let the roles that are there read them."""
    connection = op.get_bind()
    for name in reversed(names()):
        op.execute(f"DROP VIEW IF EXISTS {name}")
    for statement in statements(connection.dialect.name):
        connection.exec_driver_sql(statement)
    if connection.dialect.name == "postgresql":
        present = connection.execute(text("SELECT rolname FROM pg_roles")).scalars().all()
        for role in {WRITER, AUDITOR} & set(present):
            op.execute(f"GRANT SELECT ON {', '.join(names())} TO {role}")
