"""What every gate measured in every cycle, on one screen: gates by cycles."""

import re
from collections.abc import Sequence
from typing import Any

from stairways.cli.printing import Column
from stairways.service.tabular import Cell

Row = dict[str, Any]

_RANGE = re.compile(r" \[([\d.]+), ([\d.]+)\]$")
"""How the reason of a gate on a range ends; its threshold is the nearer of both."""

FAILED = "✗"
APART = "°"
NOTHING = "-"
ADVISORY = "advice"


def matrix(
    gates: Sequence[Row], cycles: Sequence[Row]
) -> tuple[list[dict[str, Cell]], list[Column]]:
    """Return a row for each gate and one for the verdict, and a column for each cycle.

    ``gates`` are decisions in order, ``cycles`` attempts in order; of a cycle the last one counts.
    A value that did not pass is marked, and so is one that passed for another reason than its
    limit. A cycle that never came before its gates has a verdict.
    """
    last = {row["cycle"]: row for row in cycles}
    numbers = sorted(last.keys() | {row["cycle"] for row in gates})
    columns = [
        Column("gate"),
        Column("limit"),
        *(Column(f"cycle_{number}", str(number)) for number in numbers),
    ]
    rows: dict[str, dict[str, Cell]] = {}
    for gate in gates:
        row = rows.setdefault(gate["gate"], {"gate": gate["gate"], "limit": _limit(gate)})
        row[f"cycle_{gate['cycle']}"] = _measured(gate)
    verdicts: dict[str, Cell] = {"gate": "verdict", "limit": ""}
    for number, cycle in last.items():
        by = cycle.get("overridden_by")
        verdicts[f"cycle_{number}"] = f"{cycle['verdict']} by {by}" if by else cycle["verdict"]
    return [*rows.values(), verdicts], columns


def apart(gates: Sequence[Row]) -> str:
    """Return what the mark ``APART`` says, if a value passed for another reason than its limit."""
    said = [f"cycle {g['cycle']} {g['gate']}: {g['reason']}" for g in gates if _is_apart(g)]
    return f"{APART} {'; '.join(said)}" if said else ""


def _limit(gate: Row) -> str:
    """Return the limit or the range, and whether failing it rejects a cycle or is advice."""
    ends = _RANGE.search(gate["reason"])
    limit = f"{ends[1]} to {ends[2]}" if ends else f"{gate['threshold']:.4g}"
    return limit if gate["blocking"] else f"{limit} {ADVISORY}"


def _measured(gate: Row) -> str:
    mark = "" if gate["passed"] else f" {FAILED}"
    return f"{gate['value']:.3g}{f' {APART}' if _is_apart(gate) else mark}"


def _is_apart(gate: Row) -> bool:
    """Tell whether a distance passed although it is above its limit: nothing to measure from."""
    return bool(
        gate["gate"] == "divergence" and gate["passed"] and gate["value"] > gate["threshold"]
    )
