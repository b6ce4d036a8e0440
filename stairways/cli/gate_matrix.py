"""What every gate measured in every cycle, on one screen: gates by cycles."""

from collections.abc import Sequence
from typing import Any

from stairways.cli.printing import Column
from stairways.service.tabular import Cell

Row = dict[str, Any]

FAILED = "✗"
NOTHING = "-"
ADVISORY = "advice"


def matrix(
    gates: Sequence[Row], cycles: Sequence[Row]
) -> tuple[list[dict[str, Cell]], list[Column]]:
    """Return a row for each gate and one for the verdict, and a column for each cycle.

    ``gates`` are decisions in order, ``cycles`` attempts in order; of a cycle the last one counts.
    A value that did not pass is marked. A cycle that never came before its gates has a verdict.
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


def _limit(gate: Row) -> str:
    """Return the limit, and whether failing it rejects a cycle or is advice."""
    return f"{gate['threshold']:.4g}" if gate["blocking"] else f"{gate['threshold']:.4g} {ADVISORY}"


def _measured(gate: Row) -> str:
    mark = "" if gate["passed"] else f" {FAILED}"
    return f"{gate['value']:.3g}{mark}"
