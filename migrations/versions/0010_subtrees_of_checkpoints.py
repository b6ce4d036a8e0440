"""The view of checkpoints says where the roots of subtrees are kept; all views are made anew."""

from alembic import op

from stairways.store.views import make_anew

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every view anew, and let the roles that are there read them."""
    make_anew(op.get_bind())
