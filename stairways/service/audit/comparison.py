"""Two runs side by side: settings, data, code and results, and only what differs."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from stairways.core import events as e
from stairways.core.projections import CycleSummary, RunSummary
from stairways.core.values import Digest
from stairways.errors import NoSuchEventError
from stairways.readmodels.batch import decoded
from stairways.service.folding import folded_summary
from stairways.service.runs import run_stream
from stairways.store.contract import EventStore

RESULTS = ("status", "steps", "updates", "promoted", "rollbacks", "parameters", "reason")
OF_CYCLE = (
    "target",
    "learning_rate",
    "verdict",
    "training_hold_rate",
    "hold_rate",
    "effectiveness",
    "profit",
    "drawdown",
    "divergence",
    "trades",
    "sharpe",
    "failed",
    "parameters",
)
"""What is compared of the last attempt at each cycle."""

DATA = ("name", "symbols", "frequency", "adjustment", "simulated", "first", "last", "rows")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two runs differ; None where a run has no such thing."""

    section: str  # settings, data, code, machine or results
    name: str
    a: object
    b: object


def diff(store: EventStore, a: str, b: str) -> list[Difference]:
    """Return everything in which runs ``a`` and ``b`` differ, by section and name."""
    mine, theirs = _facts(store, a), _facts(store, b)
    found = []
    for section in mine:
        for name in dict.fromkeys((*mine[section], *theirs[section])):
            left, right = mine[section].get(name), theirs[section].get(name)
            if left != right:
                found.append(Difference(section, name, left, right))
    return found


def _facts(store: EventStore, run: str) -> Mapping[str, Mapping[str, object]]:
    """Return everything about a run that may differ from another, by section."""
    start = _start(store, run)
    return {
        "settings": dict(start.settings),
        "data": dict(_data(store, start)),
        "code": {
            "version": start.code_version,
            "digest": start.code_digest,
            **start.libraries,
        },
        "machine": dict(start.machine),
        "results": dict(_results(store, run)),
    }


def _start(store: EventStore, run: str) -> e.RunStarted:
    for record in store.read(stream=run_stream(run), types=("RunStarted",), limit=1):
        event = decoded(record)
        if isinstance(event, e.RunStarted):
            return event
    raise NoSuchEventError(f"Run {run} has no RunStarted. Run `stairways verify`.")


def _data(store: EventStore, start: e.RunStarted) -> Iterator[tuple[str, object]]:
    yield "digest", start.data
    yield "features", start.features
    yield "simulated", start.simulated
    yield "warm start", start.warm_start
    for name, (first, last) in start.windows.items():
        yield f"{name} window", f"bars {first} to {last - 1}"
    registered = _registration(store, start.data)
    if registered is not None:
        yield from ((name, getattr(registered, name)) for name in DATA)
        yield from ((f"file {name}", digest) for name, digest in registered.sources.items())


def _registration(store: EventStore, digest: Digest) -> e.DataRegistered | None:
    for record in store.read(types=("DataRegistered",)):
        event = decoded(record)
        if isinstance(event, e.DataRegistered) and event.digest == digest:
            return event
    return None


def _results(store: EventStore, run: str) -> Iterator[tuple[str, object]]:
    summary: RunSummary = folded_summary(store, run)
    yield from ((name, getattr(summary, name)) for name in RESULTS)
    last: dict[int, CycleSummary] = {one.cycle: one for one in summary.cycles}
    for number, cycle in sorted(last.items()):
        told = asdict(cycle)
        yield from ((f"cycle {number} {name}", told[name]) for name in OF_CYCLE)
        attempts = sum(one.cycle == number for one in summary.cycles)
        yield f"cycle {number} attempts", attempts
