"""The views for an auditor's own tools; they hold no data and are made as this program has them."""

from alembic import op

from stairways.store.views import make_anew

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every view anew, and let the roles that are there read them."""
    make_anew(op.get_bind())
