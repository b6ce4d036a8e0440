"""``stairways replay``: hold a run's log against what it should say."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from stairways.cli.printing import Cell, Column, print_json, print_rows, shown
from stairways.core.replay import QUANTITIES, Finding, LevelReport, Report, Threshold
from stairways.core.values import MICROS_PER_DOLLAR

if TYPE_CHECKING:
    from stairways.bootstrap import App

LEVELS = ("ledger",)


class Share(click.ParamType[Fraction]):
    """A share of one: ``0.001`` or ``0.1%``."""

    name = "share"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        """Return the exact share, or say how to write one."""
        text = str(value).strip()
        try:
            share = Fraction(Decimal(text.removesuffix("%"))) / (100 if text.endswith("%") else 1)
        except (InvalidOperation, ValueError, OverflowError):
            self.fail(f"{value!r} is not a share; write it as 0.001 or 0.1%.", param, ctx)
        if not 0 <= share <= 1:
            self.fail(f"{value} is not between 0 and 1.", param, ctx)
        return share


@click.command()
@click.argument("run")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="ledger",
    show_default=True,
    help="ledger: every balance again from fills and bars, by another sum.",
)
@click.option(
    "--tolerance",
    type=Share(),
    metavar="SHARE",
    help="Let balances differ by this share of the profit, e.g. 0.1% [default: not a micro].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--record/--no-record", default=True, help="Append the result to the log [default: yes]."
)
@click.pass_obj
def command(  # noqa: PLR0917 - click passes by name
    app: "App",
    run: str,
    level: str,  # noqa: ARG001 - there is one level so far
    tolerance: Fraction | None,
    as_json: bool,  # noqa: FBT001 - a flag of the command line
    record: bool,  # noqa: FBT001 - a flag of the command line
) -> None:
    """Replay RUN (or `latest`) and check every balance it recorded.

    Profit and loss are summed again from the recorded fills and the registered bars, position
    times price move less costs, not from the environment's running cash. Every price, cost,
    position, order and balance is compared; what differs is named with its place in the log.

    Exits with 0 when everything agrees, 1 when something differs, 2 when it could not look.
    """
    from stairways.service import replay as service  # noqa: PLC0415 - help must start in a blink
    from stairways.service.runs import find_run, run_stream  # noqa: PLC0415 - as above

    store = app.open_log()
    try:
        name = find_run(store, run)
        threshold = Threshold() if tolerance is None else Threshold(share=tolerance, exact=False)
        total = store.version(run_stream(name))
        with app.progress(f"replay {name}", total) as watcher:
            report = service.replay_run(store, name, threshold, watcher)
        if record:
            service.record_report(store, report, app.context(name))
    finally:
        store.close()
    if as_json:
        print_json(report_json(report))
    else:
        _print(app, report)
    raise SystemExit(0 if report.clean else 1)


def report_json(report: Report) -> Mapping[str, Any]:
    """Return a report as JSON shows it; money is whole micros."""
    return {
        "run": report.run,
        "clean": report.clean,
        "log_size": report.size,
        "code_version": report.code_version,
        "libraries": dict(report.libraries),
        "recorded_libraries": dict(report.recorded_libraries),
        "levels": [_level_json(level) for level in report.levels],
    }


def _level_json(level: LevelReport) -> Mapping[str, Any]:
    return {
        "level": level.level,
        "clean": level.clean,
        "checked": dict(level.checked),
        "events": level.events,
        "findings": [asdict(finding) for finding in level.findings],
        "found": level.found,
        "first": asdict(level.first) if level.first else None,
        "profits": [asdict(profit) for profit in level.profits],
        "recorded_profit": level.recorded_profit,
        "replayed_profit": level.replayed_profit,
        "threshold": {"share": float(level.threshold.share), "exact": level.threshold.exact},
    }


def _print(app: "App", report: Report) -> None:
    for level in report.levels:
        print_rows(app.out, _profit_rows(level), PROFIT_COLUMNS, "table")
        for finding in level.findings:
            click.echo(_line(finding), err=True)
        if level.found > len(level.findings):
            click.echo(f"… and {level.found - len(level.findings):,} more.", err=True)
        click.echo(_summary(report, level))
    for name, (then, now) in report.other_libraries.items():
        click.echo(f"The run used {name} {shown(then)}, this replay {now}.", err=True)


def _profit_rows(level: LevelReport) -> Sequence[Mapping[str, str | int]]:
    """Return the profits by part and in sum, in micros."""
    parts = [(profit.part, profit.recorded, profit.replayed) for profit in level.profits]
    parts.append(("all", level.recorded_profit, level.replayed_profit))
    return [
        {
            "part": part,
            "recorded": recorded,
            "replayed": replayed,
            "difference": recorded - replayed,
        }
        for part, recorded, replayed in parts
    ]


def _line(finding: Finding) -> str:
    return shown(f"position {finding.position}: {finding.type}: {finding.message}")


def _summary(report: Report, level: LevelReport) -> str:
    """Return the verdict on a level in one sentence."""
    looked = f"{level.events:,} events and {level.checked.get(QUANTITIES, 0):,} quantities"
    agree = f"{level.found:,} finding{'' if level.found == 1 else 's'}"
    if level.found == 0:
        agree = "every balance agrees"
    if not level.profits_hold:
        agree += f"; profit differs by more than {float(level.threshold.share):.4%}"
    return f"{report.run}: {level.level} replay of {looked}: {agree}."


def _dollars(micros: Cell) -> str:
    """Return money to the micro."""
    return f"{Decimal(str(micros)) / MICROS_PER_DOLLAR:,.6f}"


PROFIT_COLUMNS = (
    Column("part"),
    *(Column(name, "", _dollars) for name in ("recorded", "replayed", "difference")),
)
