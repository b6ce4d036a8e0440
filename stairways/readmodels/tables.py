"""Tables derived from the log, quick to ask. They may be dropped and are then built anew.

A table ``rm_…_generations`` holds the rows of one generation beside those of the next while that
one is built; the view ``rm_…`` shows the generation that is served.

Times are whole microseconds since 1970 UTC and money is whole micros, as in the log. Columns
carry the names of the fields of ``core.projections`` and ``core.curves`` they are filled from.
``docs/read-models.md`` says what each column means; a test compares.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.schema import SchemaItem

metadata = MetaData()

_Whole = BigInteger().with_variant(Integer, "sqlite")
_Real = Float(53)


SUFFIX = "_generations"
"""What the name of a table has after the name of its view."""


def _table(view: str, *columns: SchemaItem) -> Table:
    generation = Column("generation", Integer, primary_key=True, autoincrement=False)
    return Table(f"{view}{SUFFIX}", metadata, generation, *columns)


def view_of(table: Table) -> str:
    """Return the name of the view that shows the served generation of a table."""
    return table.name.removesuffix(SUFFIX)


subscriptions = Table(
    "subscriptions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),  # of the rules by which its rows are made
    Column("position", _Whole, nullable=False),  # its rows say what the log says up to here
    Column("live", Integer, nullable=False),  # 1: this generation is served
)
Index(
    "one_live_generation",
    subscriptions.c.name,
    unique=True,
    sqlite_where=text("live = 1"),
    postgresql_where=text("live = 1"),
)

run = _table(
    "rm_run",
    Column("run", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("seed", _Whole, nullable=False),
    Column("data", Text),
    Column("simulated", Boolean, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("settings_digest", Text),
    Column("steps", _Whole, nullable=False),
    Column("updates", _Whole, nullable=False),
    Column("promoted", Integer, nullable=False),
    Column("rollbacks", Integer, nullable=False),
    Column("resumed", Integer, nullable=False),
    Column("parameters", Text),
    Column("reason", Text, nullable=False),
    Column("first_position", _Whole, nullable=False),
    Column("last_position", _Whole, nullable=False),
    Column("started_at", _Whole, nullable=False),
    Column("last_at", _Whole, nullable=False),
)

cycle = _table(
    "rm_cycle",
    Column("run", Text, primary_key=True),
    Column("cycle", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("target", _Real, nullable=False),
    Column("learning_rate", _Real, nullable=False),
    Column("parent", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("updates", _Whole, nullable=False),
    Column("divergence", _Real),
    Column("parameters", Text),
    Column("training_hold_rate", _Real),
    Column("decisions", _Whole),
    Column("hold_rate", _Real),
    Column("effectiveness", _Real),
    Column("performance", _Real),
    Column("start_equity", _Whole),
    Column("final_equity", _Whole),
    Column("profit", _Real),
    Column("drawdown", _Real),
    Column("trades", _Whole),
    Column("win_rate", _Real),
    Column("trades_per_day", _Real),
    Column("sharpe", _Real),
    Column("failed", Text, nullable=False),  # names of gates, with commas
    Column("reason", Text, nullable=False),
    Column("overridden_by", Text, nullable=False),
)

gate = _table(
    "rm_gate",
    Column("position", _Whole, primary_key=True, autoincrement=False),
    Column("run", Text, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("gate", Text, nullable=False),
    Column("value", _Real, nullable=False),
    Column("threshold", _Real, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("blocking", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),  # positions, with commas
    Column("decided_at", _Whole, nullable=False),
    Index("rm_gate_by_run", "generation", "run", "position"),
)

pnl = _table(
    "rm_pnl",
    Column("position", _Whole, primary_key=True, autoincrement=False),
    Column("run", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("step", _Whole, nullable=False),
    Column("lane", Integer, nullable=False),
    Column("bar", Integer, nullable=False),
    Column("equity", _Whole, nullable=False),
    Index("rm_pnl_by_run", "generation", "run", "position"),
)

controller = _table(
    "rm_controller",
    Column("position", _Whole, primary_key=True, autoincrement=False),
    Column("run", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("step", _Whole, nullable=False),
    Column("hold_rate", _Real, nullable=False),
    Column("target", _Real, nullable=False),
    Column("error", _Real, nullable=False),
    Column("regime", _Real, nullable=False),
    Column("fast", _Real, nullable=False),
    Column("slow", _Real, nullable=False),
    Column("bonus", _Real),
    Column("margin", _Real, nullable=False),
    Index("rm_controller_by_run", "generation", "run", "position"),
)

model = _table(
    "rm_model",
    Column("model", Text, primary_key=True),
    Column("steps", _Whole, nullable=False),
    Column("updates", _Whole, nullable=False),
    Column("parameters", Text),
    Column("state", Text),
    Column("served", Text),
    Column("served_state", Text),
    Column("served_run", Text, nullable=False),
    Column("served_cycle", Integer, nullable=False),
    Column("base_margin", _Real, nullable=False),
    Column("margin_spread", _Real, nullable=False),
    Column("profit", _Real, nullable=False),
    Column("promotions", Integer, nullable=False),
    Column("rejections", Integer, nullable=False),
    Column("rollbacks", Integer, nullable=False),
    Column("overrides", Integer, nullable=False),
)

data = _table(
    "rm_data",
    Column("position", _Whole, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("symbols", Text, nullable=False),  # with commas
    Column("frequency", Text, nullable=False),
    Column("adjustment", Text, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("first", _Whole, nullable=False),
    Column("last", _Whole, nullable=False),
    Column("rows", _Whole, nullable=False),
    Column("findings", _Whole, nullable=False),
)

DERIVED = (run, cycle, gate, pnl, controller, model, data)
"""Every table that is filled from the log; ``subscriptions`` says how far."""
