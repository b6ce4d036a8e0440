"""A replay's report as one HTML page that needs nothing else and prints well."""

from collections.abc import Sequence
from html import escape

from stairways.core.replay.report import LevelReport, Report
from stairways.core.values import MICROS_PER_DOLLAR

STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8886 }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.clean { color: #17803d } .found { color: #c02626 }
code { overflow-wrap: anywhere }
"""

SIMULATED = '<p class="found">The bars were simulated: this says nothing about any market.</p>'


def report_page(report: Report) -> str:
    """Return the page; the same report gives the same bytes."""
    verdict = _verdict(*(("clean", "clean") if report.clean else ("found", "findings")))
    run = escape(report.run)
    levels = "".join(_level(level) for level in report.levels)
    remarks = [f"{name}: {both}" for name, both in report.machine.items()]
    remarks += [f"{n}: {a} then, {b} now" for n, (a, b) in report.other_libraries.items()]
    noted = _table(("another machine or version",), [(line,) for line in remarks])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Replay of {run}</title>'
        f"<style>{STYLE}</style><h1>Replay of <code>{run}</code>: {verdict}</h1>"
        f"<p>{report.size:,} events in the log; Stairways {escape(report.code_version)}.</p>"
        f"{SIMULATED if report.simulated else ''}"
        f"{levels}{noted if remarks else ''}</html>\n"
    )


def _level(level: LevelReport) -> str:
    found = "clean" if level.clean else f"{level.found:,} findings"
    mark = "clean" if level.clean else "found"
    rows = [
        (finding.position, finding.type, finding.field, finding.recorded, finding.expected)
        for finding in level.findings
    ]
    names = ("position", "event", "field", "recorded", "expected")
    profits = [
        (profit.part, _dollars(profit.recorded), _dollars(profit.replayed))
        for profit in level.profits
    ]
    return (
        f"<h2>Level {escape(level.level)}: {_verdict(mark, found)}</h2>"
        f"<p>{level.events:,} events compared{_allowed(level)}.</p>"
        f"{_table(names, rows) if rows else ''}"
        f"{_table(('part', 'recorded profit', 'replayed profit'), profits) if profits else ''}"
    )


def _allowed(level: LevelReport) -> str:
    return "".join(f"; {name} may differ by {by:g}" for name, by in level.allowed.items())


def _verdict(mark: str, text: str) -> str:
    return f'<span class="{mark}">{escape(text)}</span>'


def _table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    number = isinstance(value, int) or (isinstance(value, str) and value[-1:].isdigit())
    return f"<td{' class=n' if number else ''}>{escape(str(value))}</td>"


def _dollars(micros: int) -> str:
    return f"{micros / MICROS_PER_DOLLAR:,.6f}"
