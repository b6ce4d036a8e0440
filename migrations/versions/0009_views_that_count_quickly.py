"""Views that read no payload where none is asked for; they are made as this program has them."""

from alembic import op

from stairways.store.views import make_anew

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every view anew, and let the roles that are there read them."""
    make_anew(op.get_bind())
