"""Subscriptions, and the read models: tables filled from the log, with views of what is served."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
REAL = sa.Float(53)
LIVE = "SELECT generation FROM subscriptions WHERE name = 'readmodels' AND live = 1"


def upgrade() -> None:
    """Make the table of subscriptions and the read models, empty, with their views."""
    op.create_table(
        "subscriptions",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.Column("live", sa.Integer, nullable=False),
    )
    op.create_index(
        "one_live_generation",
        "subscriptions",
        ["name"],
        unique=True,
        sqlite_where=sa.text("live = 1"),
        postgresql_where=sa.text("live = 1"),
    )
    for make in (_runs, _cycles, _gates, _profit_and_loss, _controllers, _models, _data_sets):
        make()


def _make(view: str, *columns: sa.Column[Any]) -> None:
    """Make a table for the rows of all generations, and the view of the one that is served."""
    generation = sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False)
    op.create_table(f"{view}_generations", generation, *columns)
    names = ", ".join(column.name for column in columns)
    op.execute(
        f"CREATE VIEW {view} AS SELECT {names} FROM {view}_generations "  # noqa: S608 - constants
        f"WHERE generation = ({LIVE})"
    )


def _runs() -> None:
    _make(
        "rm_run",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("seed", WHOLE, nullable=False),
        sa.Column("data", sa.Text),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("code_version", sa.Text, nullable=False),
        sa.Column("settings_digest", sa.Text),
        sa.Column("steps", WHOLE, nullable=False),
        sa.Column("updates", WHOLE, nullable=False),
        sa.Column("promoted", sa.Integer, nullable=False),
        sa.Column("rollbacks", sa.Integer, nullable=False),
        sa.Column("resumed", sa.Integer, nullable=False),
        sa.Column("parameters", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("first_position", WHOLE, nullable=False),
        sa.Column("last_position", WHOLE, nullable=False),
        sa.Column("started_at", WHOLE, nullable=False),
        sa.Column("last_at", WHOLE, nullable=False),
    )


def _cycles() -> None:
    _make(
        "rm_cycle",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("cycle", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("target", REAL, nullable=False),
        sa.Column("learning_rate", REAL, nullable=False),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("updates", WHOLE, nullable=False),
        sa.Column("divergence", REAL),
        sa.Column("parameters", sa.Text),
        sa.Column("training_hold_rate", REAL),
        sa.Column("decisions", WHOLE),
        sa.Column("hold_rate", REAL),
        sa.Column("effectiveness", REAL),
        sa.Column("performance", REAL),
        sa.Column("start_equity", WHOLE),
        sa.Column("final_equity", WHOLE),
        sa.Column("profit", REAL),
        sa.Column("drawdown", REAL),
        sa.Column("trades", WHOLE),
        sa.Column("win_rate", REAL),
        sa.Column("trades_per_day", REAL),
        sa.Column("sharpe", REAL),
        sa.Column("failed", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("overridden_by", sa.Text, nullable=False),
    )


def _gates() -> None:
    _make(
        "rm_gate",
        sa.Column("position", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("gate", sa.Text, nullable=False),
        sa.Column("value", REAL, nullable=False),
        sa.Column("threshold", REAL, nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("blocking", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("decided_at", WHOLE, nullable=False),
    )
    op.create_index("rm_gate_by_run", "rm_gate_generations", ["generation", "run", "position"])


def _profit_and_loss() -> None:
    _make(
        "rm_pnl",
        sa.Column("position", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("step", WHOLE, nullable=False),
        sa.Column("lane", sa.Integer, nullable=False),
        sa.Column("bar", sa.Integer, nullable=False),
        sa.Column("equity", WHOLE, nullable=False),
    )
    op.create_index("rm_pnl_by_run", "rm_pnl_generations", ["generation", "run", "position"])


def _controllers() -> None:
    _make(
        "rm_controller",
        sa.Column("position", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("step", WHOLE, nullable=False),
        sa.Column("hold_rate", REAL, nullable=False),
        sa.Column("target", REAL, nullable=False),
        sa.Column("error", REAL, nullable=False),
        sa.Column("regime", REAL, nullable=False),
        sa.Column("fast", REAL, nullable=False),
        sa.Column("slow", REAL, nullable=False),
        sa.Column("bonus", REAL),
        sa.Column("margin", REAL, nullable=False),
    )
    op.create_index(
        "rm_controller_by_run", "rm_controller_generations", ["generation", "run", "position"]
    )


def _models() -> None:
    _make(
        "rm_model",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("steps", WHOLE, nullable=False),
        sa.Column("updates", WHOLE, nullable=False),
        sa.Column("parameters", sa.Text),
        sa.Column("state", sa.Text),
        sa.Column("served", sa.Text),
        sa.Column("served_state", sa.Text),
        sa.Column("served_run", sa.Text, nullable=False),
        sa.Column("served_cycle", sa.Integer, nullable=False),
        sa.Column("base_margin", REAL, nullable=False),
        sa.Column("margin_spread", REAL, nullable=False),
        sa.Column("profit", REAL, nullable=False),
        sa.Column("promotions", sa.Integer, nullable=False),
        sa.Column("rejections", sa.Integer, nullable=False),
        sa.Column("rollbacks", sa.Integer, nullable=False),
        sa.Column("overrides", sa.Integer, nullable=False),
    )


def _data_sets() -> None:
    _make(
        "rm_data",
        sa.Column("position", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("symbols", sa.Text, nullable=False),
        sa.Column("frequency", sa.Text, nullable=False),
        sa.Column("adjustment", sa.Text, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("first", WHOLE, nullable=False),
        sa.Column("last", WHOLE, nullable=False),
        sa.Column("rows", WHOLE, nullable=False),
        sa.Column("findings", WHOLE, nullable=False),
    )
