"""Which columns people see of runs, cycles, gates, events and steps, and which programs get."""

from dataclasses import fields

from stairways.cli.printing import Column, brief, cell_text, percent, short, shown
from stairways.core import events as e
from stairways.service.tabular import Cell

STREAM_WIDTH = 24
WIDEST_GATE = 18
"""Room for the longest name of a blocking gate and a comma."""


def _signed(share: Cell) -> str:
    return f"{share:+.2%}" if isinstance(share, float) else cell_text(share)


def ratio(value: Cell) -> str:
    """Return a ratio for eyes."""
    return f"{value:.2f}" if isinstance(value, float) else cell_text(value)


def _distance(share: Cell) -> str:
    return f"{share:.4f}" if isinstance(share, float) else cell_text(share)


def _listed(names: Cell) -> str:
    """Return names with commas between them; the tables of the read models join them bare."""
    parts = names.split(",") if isinstance(names, str) else names
    return ", ".join(map(cell_text, parts)) if isinstance(parts, list | tuple) else cell_text(names)


def _stream(name: Cell) -> str:
    return shown(str(name))[:STREAM_WIDTH]


RUNS = (
    "run",
    Column("started_at", "started", brief),
    "status",
    "model",
    "symbols",
    "steps",
    "updates",
    "promoted",
    "rollbacks",
    "seed",
)
ALL_OF_RUNS = (
    *RUNS,
    "resumed",
    "simulated",
    "data",
    "code_version",
    "settings_digest",
    "parameters",
    "reason",
    "last_at",
    "first_position",
    "last_position",
)
CYCLES = (
    "cycle",
    Column("attempt", "try"),
    Column("target", "target", percent),
    Column("hold_rate", "hold rate", percent),
    Column("filled", "filled", ratio),
    Column("profit", "return", _signed),
    Column("drawdown", "drawdown", percent),
    Column("divergence", "diverged", _distance),
    "verdict",
    Column("failed", "failed gates", _listed, wraps=True, widest=WIDEST_GATE),
)
"""The table that a run ends with, in 100 columns; hold rate to drawdown are on validation bars.

``filled`` is orders filled for each decision to trade; the effectiveness follows from target and
hold rate, and programs get it.
"""

ALL_OF_CYCLES = (
    "run",
    "cycle",
    "attempt",
    "name",
    "target",
    "learning_rate",
    "hold_rate",
    "training_hold_rate",
    "effectiveness",
    "performance",
    "profit",
    "drawdown",
    "divergence",
    "verdict",
    "failed",
    "reason",
    "overridden_by",
    "decisions",
    "trades",
    "filled",
    "win_rate",
    "trades_per_day",
    "sharpe",
    "bonus_ratio",
    "training_margin_reach",
    "training_saturated",
    "margin_reach",
    "saturated",
    "updates",
    "parent",
    "parameters",
)
GATES = (
    "cycle",
    Column("attempt", "try"),
    "gate",
    "value",
    "threshold",
    "passed",
    "blocking",
    Column("reason", wraps=True),
    "evidence",
    "position",
)
EVENTS = (
    "position",
    Column("recorded_at", "recorded", brief),
    Column("stream", "stream", _stream),
    "type",
    "actor",
    Column("says", wraps=True),
)
ALL_OF_EVENTS = (
    "position",
    "recorded_at",
    "stream",
    "version",
    "type",
    "schema",
    "actor",
    "correlation",
    "causation",
    "append_id",
    "leaf",
    "payload",
)
STEPS = (
    "position",
    "step",
    "lane",
    "bar_time",
    "action",
    "shares",
    "prices",
    "costs",
    "cash",
    "positions",
    "equity",
    "reward",
    "hold_rate",
    "target",
    "fast",
    "slow",
    "bonus",
    "margin",
)

ALL_OF_STEPS = tuple(
    dict.fromkeys(
        (
            "position",
            *(one.name for kind in (e.StepTaken, e.ControllerUpdated) for one in fields(kind)),
        )
    )
)
ALL_OF_VALIDATION_STEPS = ("position", *(one.name for one in fields(e.EvaluationStepTaken)))

ROLLBACKS = (
    "position",
    Column("recorded_at", "recorded", brief),
    "run",
    "cycle",
    Column("attempt", "try"),
    "type",
    Column("divergence", "diverged", _distance),
    "limit",
    Column("parameters", "back to", short),
    Column("by", "ordered by"),
    Column("reason", wraps=True),
    "evidence",
)
ALL_OF_ROLLBACKS = (
    "position",
    "recorded_at",
    "run",
    "cycle",
    "attempt",
    "type",
    "divergence",
    "limit",
    "parameters",
    "learning_rate",
    "by",
    "reason",
    "evidence",
    "actor",
)
CHAIN = ("role", "position", "type", Column("says", wraps=True))
TRAIL = (
    "position",
    Column("recorded_at", "recorded", brief),
    "actor",
    "type",
    Column("says", wraps=True),
)
AS_OF = (
    "model",
    Column("parameters", "parameters", short),
    "run",
    "cycle",
    Column("since", "since", brief),
    "decided_by",
    Column("reason", wraps=True),
    "position",
)
ALL_OF_AS_OF = (
    "model",
    "parameters",
    "run",
    "cycle",
    "since",
    "decided_by",
    "reason",
    "recorded_by",
    "position",
    "verdict",
    "profit",
)
DIFFERENCES = (
    "section",
    "name",
    Column("a", "first", wraps=True, widest=40),
    Column("b", "second", wraps=True, widest=40),
)
MENTIONS = ("position", "type", "field", "stream", Column("says", wraps=True))

SCHEDULES = (
    "schedule",
    Column("trigger", "due", cell_text),
    Column("last_fire", "last fire", brief),
    "result",
    Column("progress", "done", percent),
    "run",
    Column("next_due", "next due", brief),
    Column("holder", "kept by", lambda name: cell_text(name) if name else "nobody"),
)
"""How schedules stand."""

OUTLOOKS = (
    "schedule",
    Column("fit", "could train"),
    Column("found", wraps=True),
)
"""Whether runs of schedules could begin."""
