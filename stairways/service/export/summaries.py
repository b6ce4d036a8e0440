"""The tables of an export that sum up or unfold others, as the views of the same names do.

They are made of the rows of the other tables while those are written, so they say what the
exported records say and nothing else. Only rows of events that are few are kept.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Found = tuple[str, Row]

_KEPT = frozenset({
    "attempts", "data_sets", "divergences", "evaluations", "failures", "finishes", "overrides",
    "promotions", "resumptions", "rollbacks", "starts", "stops", "trainings", "updates", "verdicts",
})  # fmt: skip
_KINDS = {"steps": "training", "evaluation_steps": "validation"}
_ATTEMPT = ("run", "cycle", "attempt")


class Summaries:
    """What the tables of one run come to."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._kept: dict[str, list[Row]] = {name: [] for name in _KEPT}

    def take(self, name: str, row: Row) -> Iterator[Found]:
        """Take a row of a table, and yield the fills of a step."""
        if name in _KINDS:
            yield from (("fills", fill) for fill in self._fills(row, _KINDS[name]))
        elif name in _KEPT:
            self._kept[name].append(row)

    def rest(self) -> Iterator[Found]:
        """Yield the rows that could not be told before the last record was read."""
        for start in self._own("starts"):
            yield "runs", self._summed(start)
            for name, value in start["settings"].items():
                yield "settings", {"run": self._run, "name": name, "value": value}
        yield from (("cycles", row) for row in self._cycles())

    def _own(self, name: str) -> list[Row]:
        return [row for row in self._kept[name] if row["run"] == self._run]

    def _fills(self, step: Row, kind: str) -> Iterator[Row]:
        symbols = self._symbols()
        for place, shares in enumerate(step["shares"]):
            if shares or step["clipped"][place]:
                yield {
                    "position": step["position"],
                    "run": step["run"],
                    "kind": kind,
                    "step": step["step"],
                    "lane": step.get("lane", 0),
                    "bar": step["bar"],
                    "bar_time": step["bar_time"],
                    "symbol_number": place + 1,
                    "symbol": symbols[place] if place < len(symbols) else None,
                    "shares": shares,
                    "price": step["prices"][place],
                    "cost": step["costs"][place],
                    "clipped": step["clipped"][place],
                }

    def _symbols(self) -> Sequence[str]:
        """Return the symbols of the run's bars, which were registered before it began."""
        used = {row["data"] for row in self._own("starts")}
        for row in self._kept["data_sets"]:
            if row["digest"] in used:
                found: Sequence[str] = row["symbols"]
                return found
        return ()

    def _summed(self, start: Row) -> Row:
        finished = self._own("finishes")
        status, reason = self._standing()
        updates = [row["steps"] for row in self._own("updates")]
        return {
            **{name: start[name] for name in ("run", "model")},
            "status": status,
            "started_at": start["recorded_at"],
            "started_by": start["actor"],
            **{name: start[name] for name in ("seed", "data", "simulated", "code_version")},
            **{name: start[name] for name in ("code_digest", "settings_digest", "position")},
            "steps": finished[0]["steps"] if finished else max(updates, default=0),
            "promoted": len(self._own("promotions")),
            "rolled_back": len(self._own("rollbacks")),
            "resumed": len(self._own("resumptions")),
            "reason": reason,
        }

    def _standing(self) -> tuple[str, str | None]:
        """Return how a run stands, by the last that was said of it, and why."""
        if self._own("finishes"):
            return "finished", None
        ends = [("failed", row) for row in self._own("failures")]
        ends += [("stopped", row) for row in self._own("stops")]
        resumed = _last(row["position"] for row in self._own("resumptions"))
        status, last = max(ends, key=lambda one: one[1]["position"], default=("running", None))
        if last is None or last["position"] < resumed:
            return "running", None
        return status, last["reason"]

    def _cycles(self) -> Iterator[Row]:
        begun = self._own("attempts")
        following = [row["position"] - 1 for row in begun[1:]]
        by = {name: _by_attempt(self._own(name)) for name in _OF_ATTEMPTS}
        by["rollbacks"] = _by_attempt(r for r in self._own("rollbacks") if not r["ordered_by"])
        overrides = {row["verdict"]: row for row in self._own("overrides")}
        for row, last in itertools.zip_longest(begun, following):
            said = {name: rows.get(_key(row), {}) for name, rows in by.items()}
            overridden = overrides.get(said["verdicts"].get("position"), {})
            yield _cycle(row, said, overridden) | {"last_position": last}


_OF_ATTEMPTS = ("trainings", "evaluations", "divergences", "verdicts")


def _cycle(begun: Row, said: Mapping[str, Row], overridden: Row) -> Row:
    """Return the row of an attempt, made of what was said of it."""
    training, judged = said["trainings"], said["evaluations"]
    decided = overridden or said["verdicts"]
    undone = said["rollbacks"]
    measured = ("hold_rate", "effectiveness", "profit", "drawdown", "trades", "sharpe")
    return {
        **{name: begun[name] for name in (*_ATTEMPT, "name", "target", "learning_rate", "parent")},
        "training_hold_rate": training.get("hold_rate"),
        **{name: judged.get(name) for name in measured},
        "divergence": said["divergences"].get("divergence"),
        "verdict": _verdict(decided, undone),
        "reason": overridden.get("why") or said["verdicts"].get("reason") or undone.get("reason"),
        "overridden_by": overridden.get("who"),
        "parameters": training.get("parameters"),
        "started_at": begun["recorded_at"],
        "first_position": begun["position"],
    }


def _verdict(decided: Row, undone: Row) -> str | None:
    if decided:
        return "promoted" if decided["promoted"] else "rejected"
    return "rolled back" if undone else None


def _by_attempt(rows: Iterable[Row]) -> dict[tuple[Any, ...], Row]:
    return {_key(row): row for row in rows}


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _ATTEMPT)


def _last(positions: Iterable[int]) -> int:
    return max(positions, default=0)
