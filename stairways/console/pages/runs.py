"""Runs: the list of them, one of them while it trains and after, and each attempt at a cycle."""

import orjson
from starlette.responses import Response

from stairways.console.desk import Call, Page
from stairways.console.questions import BEFORE, FORMAT
from stairways.console.stairs import stairs
from stairways.core import events as e
from stairways.core.projections import CycleSummary, RunSummary
from stairways.core.values import Digest
from stairways.errors import NoSuchEventError, NoSuchRunError
from stairways.readmodels.rows import Row, Span, cycle_rows, gate_row, run_row, to_time
from stairways.service.audit.browsing import rare_positions, records_at
from stairways.service.audit.traces import as_json, traces
from stairways.service.replay.setup import statistics_from
from stairways.service.runs import run_stream
from stairways.service.skill.told import conclusion_lines
from stairways.service.skill.weighing import concluded
from stairways.service.stairway.journal import decoded
from stairways.store.contract import Record

RUNS_A_PAGE = 25
RUN_KEYS = (
    "run", "started_at", "last_at", "status", "model", "steps", "updates", "promoted",
    "rollbacks", "resumed", "seed", "simulated", "data", "code_version", "settings_digest",
    "parameters", "reason", "first_position", "last_position",
)  # fmt: skip
CYCLE_KEYS = (
    "run", "cycle", "attempt", "name", "target", "learning_rate", "training_hold_rate",
    "hold_rate", "effectiveness", "performance", "profit", "drawdown", "divergence", "verdict",
    "failed", "reason", "overridden_by", "decisions", "trades", "win_rate", "trades_per_day",
    "sharpe", "updates", "parent", "parameters",
)  # fmt: skip
GATE_KEYS = (
    "position", "decided_at", "run", "cycle", "attempt", "gate", "value", "threshold", "passed",
    "blocking", "reason", "evidence",
)  # fmt: skip
PARTS = ("GateDecided", "CycleVerdict", "ModelPromoted", "ModelRolledBack", "GateOverridden")
WEIGHED = ("BaselinesMeasured", "SkillMeasured")
OWN_PARTS = (
    "CycleStarted", "PolicyUpdated", "DivergenceDetected", "CycleFinished",
    "EvaluationStarted", "EvaluationFinished",
)  # fmt: skip


def list_runs(call: Call) -> Response:
    """List runs, newest first, each with its stairway."""
    before = call.asked["before"]
    known = [
        one for one in call.desk.overview.runs() if before is None or one[2].first_position < before
    ]
    shown = [_as_of_now(call, *one) for one in known[:RUNS_A_PAGE]]
    if call.asked["format"]:
        rows = [_timed(run_row(*one)) for one in shown]
        return call.rows("runs", rows, RUN_KEYS)
    symbols = {row["digest"]: row["symbols"] for row in call.desk.overview.data()}
    older = shown[-1][2].first_position if len(known) > len(shown) else None
    return call.page(
        "runs.html",
        runs=[
            {"name": run, "summary": summary, "span": span, "stairs": stairs(summary.cycles),
             "symbols": symbols.get(summary.data, ""), "best": _last_promoted(summary)}
            for run, summary, span in shown
        ],
        older=older,
    )  # fmt: skip


def _as_of_now(
    call: Call, run: str, summary: RunSummary, span: Span
) -> tuple[str, RunSummary, Span]:
    """Return a run of the list; one in training with the steps it has taken by now."""
    found = call.desk.overview.run(run) if summary.status == "running" else None
    return (run, *found) if found else (run, summary, span)


def show_run(call: Call) -> Response:
    """Show a run: progress, stairway, curves, and every attempt at a cycle."""
    run, summary, span = _found(call)
    if call.asked["format"]:
        return call.rows(f"cycles-{run}", cycle_rows(run, summary), CYCLE_KEYS)
    return call.page("run.html", **_shown(call, run, summary, span))


def live(call: Call) -> Response:
    """Return the part of a run's page that changes while it trains."""
    return call.page("_run_live.html", **_shown(call, *_found(call)))


def curves(call: Call) -> Response:
    """Return the curves of a run, as many points as a screen shows."""
    run, _, span = _found(call)
    drawn = as_json(traces(call.desk.store, run, span.first_position, span.last_position))
    return Response(
        orjson.dumps(drawn, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json"
    )


def show_cycle(call: Call) -> Response:
    """Show an attempt at a cycle: what was asked, what came out, gates and their evidence."""
    run, summary, span = _found(call)
    one = _attempt(call, summary)
    parts = _parts(call, run, span, one)
    gates = [
        (record, event)
        for record, event in parts
        if isinstance(event, e.GateDecided) and event.attempt == one.attempt
    ]
    if call.asked["format"]:
        rows = [_timed(gate_row(record, event)) for record, event in gates]
        name = f"gates-{run}-{one.cycle}-{one.attempt}"
        return call.rows(name, rows, GATE_KEYS)
    return call.page(
        "cycle.html", run=run, summary=summary, span=span, one=one, gates=gates, parts=parts
    )


def _found(call: Call) -> tuple[str, RunSummary, Span]:
    name = call.path("run")
    found = call.desk.overview.run(name)
    if found is None:
        raise NoSuchRunError(f"There is no run {name[:80]}.")
    return name, *found


def _shown(call: Call, run: str, summary: RunSummary, span: Span) -> dict[str, object]:
    data = next((row for row in call.desk.overview.data() if row["digest"] == summary.data), None)
    planned = _planned(call, span)
    return {
        "run": run,
        "summary": summary,
        "span": span,
        "stairs": stairs(summary.cycles, max(planned.cycles, 1)),
        "data": data,
        "planned": planned.steps,
        "repeated": max(0, summary.steps - planned.steps),
        "started": planned.event,
        "concluded": _concluded(call, run, summary, span),
    }


def _concluded(call: Call, run: str, summary: RunSummary, span: Span) -> list[str]:
    """Return in words what the served model is worth; nothing while no result was weighed."""
    started, store = _planned(call, span).event, call.desk.store
    rules = statistics_from(started.settings) if started else None
    places = rare_positions(store, WEIGHED, span.first_position, span.last_position)
    own = [record for record in records_at(store, places) if record.stream == run_stream(run)]
    if rules is None or not own:
        return []
    told = [(record.position, decoded(record)) for record in own]
    trials = call.desk.overview.trials(Digest(summary.data or ""))
    return list(conclusion_lines(concluded(told, trials, summary, rules)))


class _Plan:
    """What a run's first event says of how long it will be."""

    def __init__(self, event: e.RunStarted | None) -> None:
        settings = event.settings if event else {}
        targets = [one for one in settings.get("stairway.targets", "").split(",") if one]
        each = settings.get("stairway.steps_per_cycle", "0")
        self.event = event
        self.cycles = len(targets)
        self.steps = len(targets) * (int(each) if each.isascii() and each.isdigit() else 0)


def _planned(call: Call, span: Span) -> _Plan:
    records = records_at(call.desk.store, [span.first_position])
    event = decoded(records[0]) if records else None
    return _Plan(event if isinstance(event, e.RunStarted) else None)


def _attempt(call: Call, summary: RunSummary) -> CycleSummary:
    key = (call.request.path_params["cycle"], call.request.path_params["attempt"])
    for one in summary.cycles:
        if (one.cycle, one.attempt) == key:
            return one
    raise NoSuchEventError(f"The run has no attempt {key[1]} at a cycle {key[0]} so far.")


def _parts(call: Call, run: str, span: Span, one: CycleSummary) -> list[tuple[Record, e.Event]]:
    """Return the landmarks of an attempt and what the model's stream says of it, in order."""
    store, size = call.desk.store, call.size
    own = _of_attempt(
        records_at(
            store, rare_positions(store, OWN_PARTS, span.first_position, span.last_position)
        ),
        run,
        one,
    )
    if not own:
        return []
    first = own[0][0].position
    ahead = rare_positions(store, ("CycleStarted",), first + 1, span.last_position)
    last = ahead[0] if ahead else size
    judged = rare_positions(store, PARTS[:4], first, last)
    ordered = rare_positions(store, ("GateOverridden",), first, size)
    others = _of_attempt(records_at(store, sorted({*judged, *ordered})), run, one)
    return sorted([*own, *others], key=lambda part: part[0].position)


def _of_attempt(records: list[Record], run: str, one: CycleSummary) -> list[tuple[Record, e.Event]]:
    found = []
    for record in records:
        event = decoded(record)
        of_run = getattr(event, "run", run) == run and record.stream in (
            f"run-{run}",
            record.stream,
        )
        key = (getattr(event, "cycle", 0), getattr(event, "attempt", one.attempt))
        if of_run and key == (one.cycle, one.attempt):
            found.append((record, event))
    return found


def _last_promoted(summary: RunSummary) -> CycleSummary | None:
    return next((one for one in reversed(summary.cycles) if one.verdict == "promoted"), None)


def _timed(row: Row) -> Row:
    """Return a row with its times as such."""
    return {key: to_time(cell) if key.endswith("_at") else cell for key, cell in row.items()}


PAGES = (
    Page("/runs", list_runs, "Runs, newest first", (BEFORE, FORMAT)),
    Page("/runs/{run}", show_run, "A run", (FORMAT,)),
    Page("/runs/{run}/live", live, "The changing part of a run's page", is_part=True),
    Page("/runs/{run}/curves.json", curves, "The curves of a run", kind="application/json"),
    Page("/runs/{run}/cycles/{cycle:int}/{attempt:int}", show_cycle, "A cycle", (FORMAT,)),
)
