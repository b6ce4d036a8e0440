"""The arrays the environment lives in: records with names, one array for each kind of fact.

They are flat on purpose: a compiled kernel serves any number of symbols, and a column of
any of them is a plain view, for example ``steps["cash"]``.
"""

from dataclasses import fields

import numpy as np
import numpy.typing as npt

from stairways.core.controller import ControllerRules
from stairways.core.ledger import TradingRules

Records = npt.NDArray[np.void]

LANE = np.dtype(
    [(name, "i8") for name in ("row", "age", "cash", "equity", "peak", "interest", "borrow")],
    align=True,
)
"""One lane between two steps: row of the tape, steps of its episode, its money in micros.

``interest`` and ``borrow`` are those of its last step.
"""

HOLDING = np.dtype([("position", "i8"), ("lots", "i8")], align=True)
"""What one lane has of one symbol: shares and lots, negative when short."""

CONTROL = np.dtype(
    [(name, "i8") for name in ("steps", "place", "holds", "faults")]
    + [(name, "f8") for name in ("target", "aim", "hold_rate", "owed", "error", "regime")]
    + [(name, "f8") for name in ("fast", "slow", "mean", "squares", "spread", "bonus", "margin")],
    align=True,
)
"""The controller: ``target`` is what was asked for, ``aim`` what was in force last.

``place`` is where the next decision goes in the ring of the last ones.
"""

STEP = np.dtype(
    [(name, "i8") for name in ("row", "action", "interest", "borrow", "cash", "equity")]
    + [(name, "f8") for name in ("reward", "log_return", "risk_free", "drawdown_penalty")]
    + [("hold_bonus", "f8")]
    + [(name, "f8") for name in ("hold_rate", "target", "setpoint", "owed", "error")]
    + [(name, "f8") for name in ("regime", "fast", "slow", "bonus", "spread", "margin")]
    + [(name, "?") for name in ("terminated", "truncated")],
    align=True,
)
"""One step of one lane: what ``StepTaken`` and ``ControllerUpdated`` say, but not by symbol."""

ORDER = np.dtype(
    [(name, "i8") for name in ("shares", "price", "cost", "position", "lots")] + [("clipped", "?")],
    align=True,
)
"""One symbol in one step of one lane: its order, and what is held afterwards."""


def trading_record(rules: TradingRules, *, last_row: int, episode_length: int) -> Records:
    """Return the rules of trading as one record, with the limits of these episodes."""
    columns = [(field.name, _kind(field.default)) for field in fields(rules)]
    kinds = [column for column in columns if column[0] != "fill"]  # the tape knows it
    record = np.zeros(1, np.dtype([*kinds, ("last_row", "i8")], align=True))
    for name, _ in kinds:
        record[name] = getattr(rules, name)
    record["last_row"], record["episode_length"] = last_row, episode_length
    return record


def control_record(rules: ControllerRules) -> Records:
    """Return the rules of the controller as one record."""
    columns = [(field.name, _kind(field.default)) for field in fields(rules)]
    record = np.zeros(1, np.dtype(columns, align=True))
    for name, _ in columns:
        record[name] = getattr(rules, name)
    return record


def _kind(value: object) -> str:
    """Return the kind of column that keeps ``value``."""
    if isinstance(value, bool):
        return "?"
    return "i8" if isinstance(value, int) else "f8"
