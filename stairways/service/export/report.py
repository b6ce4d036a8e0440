"""A run on one page: what a risk officer reads, prints and keeps.

The page needs nothing else: no script, no font, no request. It is made of the log alone, and
of the log at the same size the same bytes come out.
"""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import accumulate, islice

import stairways
from stairways.core import events as e
from stairways.core.replay.report import QUANTITIES, Report
from stairways.core.skill import NO_EVIDENCE
from stairways.service.audit.sentences import said
from stairways.service.export.charts import Line, chart
from stairways.service.export.report_facts import Facts, gather
from stairways.service.export.report_style import STYLE
from stairways.service.export.report_words import (
    Remark,
    capitalised,
    day,
    dollars,
    hundredths,
    interval,
    mark,
    number,
    percent,
    ratio,
    round_percent,
    section,
    signed,
    table,
    tenths,
    time_words,
    whole,
)
from stairways.service.seal import checkpoint_of
from stairways.service.skill.told import conclusion_lines
from stairways.store.contract import Record
from stairways.store.sql import SqlStore


def report_page(log: SqlStore, run: str) -> bytes:
    """Return the report of a run as one HTML file."""
    facts = gather(log, run)
    sections = (
        _head(facts),
        _verdicts(facts),
        _holding(facts),
        _lanes(facts),
        _money(facts),
        _statistics(facts),
        _gates(facts),
        _divergence(facts),
        _data(facts),
        _replay(facts),
        _origin(facts),
        _checking(facts),
    )
    title = escape(f"Run {run}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        " style-src 'unsafe-inline'\">"
        f"<style>{STYLE}</style></head><body>{''.join(sections)}</body></html>\n"
    ).encode()


def _head(facts: Facts) -> str:
    row = facts.summary
    served = row["parameters"] or "none"
    symbols = escape((row["symbols"] or "bars").replace(",", ", "))
    simulated = (
        '<p class="bad">The bars of this run were made by chance: its results say nothing about '
        "any market.</p>"
        if facts.start.simulated
        else ""
    )
    return (
        f"<header><h1>Run <code>{escape(facts.run)}</code></h1>"
        f"<p>Model <code>{escape(row['model'])}</code> on {symbols}; "
        f"{escape(row['status'])}; begun {time_words(row['started_at'])}, last event "
        f"{time_words(row['last_at'])}. {row['steps']:,} environment steps, "
        f"{_counted(row['promoted'], 'model')} promoted, {_counted(row['rollbacks'], 'rollback')}, "
        f"{_counted(row['resumed'], 'interruption')}. Served "
        f"after it: <code>{escape(served)}</code>.</p>{simulated}"
        f"{_worth(facts)}"
        f'<p class="soft">Made by Stairways {escape(stairways.__version__)} from {facts.size:,} '
        f"events of the log, root <code>{escape(facts.root)}</code>. Times are UTC. Figures below "
        "are of validation bars the policy was never trained on, unless said otherwise.</p>"
        "</header>"
    )


def _worth(facts: Facts) -> str:
    """Return what the served model earned, what simple strategies did, and the conclusion."""
    *figures, conclusion = (escape(line) for line in conclusion_lines(facts.concluded))
    lines = "".join(f"<p>{line}</p>" for line in figures)
    return f"{lines}<p><strong>{conclusion}</strong></p>"


FILLED = (
    '<p class="soft">Filled: orders filled for each decision to trade. An order beyond the limits, '
    "or at a bar without volume, is no hold and moves nothing.</p>"
)


def _verdicts(facts: Facts) -> str:
    names = (
        "cycle", "try", "target", "hold rate", "filled", "effect", "return", "drawdown",
        "diverged", "verdict", "why",
    )  # fmt: skip
    rows = [
        (
            c["cycle"], c["attempt"], percent(c["target"]), percent(c["hold_rate"]),
            ratio(c["filled"]), percent(c["effectiveness"]), signed(c["profit"]),
            percent(c["drawdown"]), number(c["divergence"]),
            mark(c["verdict"], good=c["verdict"] == "promoted"),
            c["reason"] + (f" (decided by {c['overridden_by']})" if c["overridden_by"] else ""),
        )
        for c in facts.cycles
    ]  # fmt: skip
    return section("Verdicts", f"{table(names, rows, 9)}{FILLED}")


def _holding(facts: Facts) -> str:
    drawn = facts.drawn
    steps = [float(step) for step in drawn.steps]
    training = chart(
        "Hold rate of the last 100 training decisions, and its target",
        [
            Line("hold rate", "a", steps, drawn.hold_rate),
            Line("target", "level", steps, drawn.target),
        ],
        x=whole,
        y=round_percent,
    )
    cycles = [c for c in facts.cycles if c["hold_rate"] is not None]
    numbers = [float(place) for place, _ in enumerate(cycles, 1)]
    validation = chart(
        "Hold rate on validation bars by attempt that was judged, and its target",
        [
            Line("hold rate", "a", numbers, [c["hold_rate"] for c in cycles]),
            Line("target", "level", numbers, [c["target"] for c in cycles]),
        ],
        x=lambda value: f"{value:g}",
        y=round_percent,
    )
    return section("Hold rate against target", training + validation)


def _lanes(facts: Facts) -> str:
    drawn = facts.drawn
    steps = [float(step) for step in drawn.steps]
    lanes = [Line("fast", "a", steps, drawn.fast), Line("slow", "b", steps, drawn.slow)]
    margin = [Line("decision margin", "c", steps, drawn.margin)]
    return section(
        "Controller",
        chart("Both lanes while training", lanes, x=whole, y=number, floor=0.0)
        + chart("What was added to the logit of hold", margin, x=whole, y=number, floor=0.0),
    )


def _money(facts: Facts) -> str:
    """Draw the served model's validation, or the last one that was judged."""
    chosen = facts.shown
    if chosen is None or not chosen.times:
        return section("Equity and drawdown", "<p>No model was judged.</p>")
    baselines = [
        event
        for _, event in facts.told
        if isinstance(event, e.BaselinesMeasured)
        and (event.cycle, event.attempt) == (chosen.cycle, chosen.attempt)
    ]
    simple = [
        Line("buy and hold", "b", facts.simple.times, facts.simple.buy_and_hold),
        Line("cash", "level", facts.simple.times, facts.simple.always_hold),
    ]
    falls = falls_of(chosen.equity, float(facts.start.settings["trading.starting_capital"]))
    equity = Line("equity", "a", chosen.times, chosen.equity)
    spread = "".join(_random(event) for event in baselines[-1:])
    return section(
        "Equity and drawdown",
        f"<p>Cycle {chosen.cycle}, attempt {chosen.attempt}, on validation bars, after all "
        "costs. Buy and hold takes as many lots of each symbol as the limit lets and pays the same "
        "costs; cash earns the risk-free rate.</p>"
        + chart("Equity in dollars", [equity, *simple], x=day, y=dollars, in_time=True)
        + chart(
            "Drawdown", [Line("below the peak", "b", chosen.times, falls)], x=day,
            y=round_percent, floor=0.0, in_time=True,
        )
        + spread,
    )  # fmt: skip


def falls_of(equity: Sequence[float], capital: float) -> list[float]:
    """Return how far below its highest value so far, the capital included, equity stood."""
    peaks = islice(accumulate((capital, *equity), max), 1, None)
    return [now / peak - 1 for now, peak in zip(equity, peaks, strict=True)]


def _random(event: e.BaselinesMeasured) -> str:
    if not event.random:
        return ""
    return (
        f"<p>{len(event.random)} random policies that hold as often earned from "
        f"{signed(event.random[0])} to {signed(event.random[-1])}; buy and hold "
        f"{signed(event.buy_and_hold)}, cash {signed(event.always_hold)}.</p>"
    )


def _statistics(facts: Facts) -> str:
    names = (
        "cycle", "try", "return", "Sharpe a year", "above buy and hold", "above cash",
        "above random", "random beaten", "models tried", "deflated Sharpe",
    )  # fmt: skip
    rows = [
        row
        for one in facts.weighed
        for m in (one.measured,)
        for row in (
            (
                m.cycle, m.attempt, interval(m.profit, tenths), interval(m.sharpe, hundredths),
                interval(m.over_buy_and_hold, tenths), interval(m.over_always_hold, tenths),
                interval(m.over_random, tenths), percent(m.beaten), one.trials_now,
                hundredths(one.deflated_now),
            ),
            Remark(f"{capitalised(one.reason_now)}."),
        )
    ]  # fmt: skip
    share = f"{facts.concluded.confidence:.0%}"
    note = (
        f"<p>Under a figure stands its {share} interval, of a block bootstrap over the bars; what "
        "a result is above others is a year. Deflated Sharpe: "
        "the probability that the true ratio is above what the best of so many models tried would "
        "have by chance, counted as the log knows it now. Nothing here claims skill where it says "
        f"{NO_EVIDENCE}.</p>"
    )
    inner = (
        table(names, rows, len(names)) if rows else "<p>This run's results were not weighed.</p>"
    )
    return section("Statistics", note + inner)


def _gates(facts: Facts) -> str:
    names = ("position", "cycle", "try", "gate", "value", "limit", "passed", "reason", "evidence")
    rows = [
        (
            g["position"], g["cycle"], g["attempt"],
            g["gate"] + ("" if g["blocking"] else " (advisory)"), number(g["value"]),
            number(g["threshold"]), mark("yes" if g["passed"] else "no", good=g["passed"]),
            g["reason"], g["evidence"].replace(",", ", "),
        )
        for g in facts.gates
    ]  # fmt: skip
    return section("Gates and their evidence", table(names, rows, 3, also=(4, 5)))


def _divergence(facts: Facts) -> str:
    updates = facts.drawn.updates
    points = [float(step) for step, _, _ in updates]
    limit = float(facts.start.settings.get("stairway.divergence_limit", "0.15"))
    lines = [Line("distance from the reference", "a", points, [d for _, d, _ in updates])]
    if points:
        lines.append(Line("limit", "level", [points[0], points[-1]], [limit, limit]))
    names = ("position", "time", "cycle", "try", "what", "divergence", "back to", "reason")
    rows = [
        (
            r["position"], time_words(r["recorded_at"]), r["cycle"], r["attempt"], r["type"],
            number(r["divergence"]), (r["parameters"] or "")[:12],
            r["reason"] + (f" (ordered by {r['by']})" if r["by"] else ""),
        )
        for r in facts.rollbacks
    ]  # fmt: skip
    drawn = chart("Distance of the parameters", lines, x=whole, y=number, floor=0.0)
    none = "<p>Nothing diverged and nothing was rolled back.</p>"
    return section("Divergence and rollbacks", drawn + (table(names, rows, 1) if rows else none))


def _data(facts: Facts) -> str:
    parts = []
    for _, event in facts.told:
        if isinstance(event, e.DataRegistered):
            parts.append(f"<p>{escape(said(event))}.</p>")
    found = [
        (event.symbol, event.row, event.time.isoformat()[:16] if event.time else "", event.kind,
         event.detail)
        for _, event in facts.told
        if isinstance(event, e.DataFindingRaised)
    ]  # fmt: skip
    windows = "; ".join(
        f"{name} bars {first} to {last - 1}" for name, (first, last) in facts.start.windows.items()
    )
    parts.append(f"<p>Windows: {escape(windows)}. Digest <code>{escape(facts.start.data)}</code>.")
    names = ("symbol", "row", "time", "kind", "detail")
    parts.append(table(names, found, 0) if found else "<p>No finding was raised.</p>")
    return section("Data and findings", "".join(parts))


def _replay(facts: Facts) -> str:
    recorded = [
        (r.position, time_words(r.recorded_at), r.actor, event.level, f"{event.checked:,}",
         event.findings)
        for r, event in facts.told
        if isinstance(event, e.ReplayFinished)
    ]  # fmt: skip
    names = ("position", "time", "by", "level", "checked", "findings")
    before = table(names, recorded, 1) if recorded else "<p>No replay was recorded before.</p>"
    return section("Replay", _replayed_now(facts.replay) + before)


def _replayed_now(replay: Report | str) -> str:
    if isinstance(replay, str):
        return f'<p class="bad">The ledger could not be replayed: {escape(replay)}</p>'
    [level] = replay.levels
    verdict = mark("every balance agrees" if level.clean else "it differs", good=level.clean)
    findings = [(f.position, f.field, f.recorded, f.expected) for f in level.findings]
    differing = table(("position", "field", "recorded", "expected"), findings, 0)
    return (
        f"<p>Made while this page was made: {level.events:,} events, "
        f"{level.checked.get(QUANTITIES, 0):,} quantities derived from fills and bars by another "
        f"sum: {verdict.text}.</p>{differing if findings else ''}"
    )


def _origin(facts: Facts) -> str:
    start = facts.start
    rows = [
        ("code", f"Stairways {start.code_version}, digest {start.code_digest}"),
        ("settings", f"digest {start.settings_digest}"),
        ("features", start.features),
        ("seed", start.seed),
        ("warm start", start.warm_start or "none: parameters from the seed"),
        ("libraries", ", ".join(f"{k} {v}" for k, v in start.libraries.items())),
        ("processor", f"{start.machine.get('cpu', '')}, {start.machine.get('threads', '')} thread"),
    ]
    grown = [
        (event.cycle, event.attempt, event.parent[:16], ended.get((event.cycle, event.attempt), ""))
        for ended in (_ends(facts.told),)
        for _, event in facts.told
        if isinstance(event, e.CycleStarted)
    ]
    names = ("cycle", "try", "grown from", "into")
    settings = table(("setting", "value"), sorted(start.settings.items()), 2)
    return section(
        "Lineage",
        table(("what", "value"), rows, 2)
        + table(names, grown, 2)
        + f"<details open><summary>All settings</summary>{settings}</details>",
    )


def _ends(told: Iterable[tuple[Record, e.Event]]) -> dict[tuple[int, int], str]:
    return {
        (event.cycle, event.attempt): event.parameters[:16]
        for _, event in told
        if isinstance(event, e.CycleFinished)
    }


def _checking(facts: Facts) -> str:
    sealed = (
        f"<p>The run is under a signed checkpoint of {checkpoint_of(facts.checkpoint).size:,} "
        f"events:</p><pre>{escape(facts.checkpoint)}</pre>"
        if facts.checkpoint
        else '<p class="bad">No signed checkpoint covers this run yet.</p>'
    )
    run = escape(facts.run)
    return section(
        "How to verify",
        f"{sealed}<p>With the log:</p><pre>stairways verify --against KEPT.checkpoint --key KEY\n"
        f"stairways replay {run}\nstairways audit why MODEL\n"
        f"stairways export {run} --format html --at {facts.size} --out again.html</pre>"
        "<p>The last one makes this page again, byte for byte, with this version of Stairways. "
        f"Without the log:</p><pre>stairways export {run} --format bundle --out run.zip\n"
        "python3 verify.py run.zip --key KEY</pre>",
    )


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"
