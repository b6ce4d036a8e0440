"""``stairways replay``: hold a run's log against what it should say."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from stairways.cli.portable import enter_recorded
from stairways.cli.printing import Column, print_json, print_rows, shown
from stairways.cli.writing import check_place, write_whole
from stairways.core.replay.report import QUANTITIES, Finding, LevelReport, Report, Threshold
from stairways.core.values import MICROS_PER_DOLLAR
from stairways.service.replay.page import report_page
from stairways.service.tabular import Cell

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.logs import Progress
    from stairways.store.contract import EventStore

LEVELS = ("ledger", "policy", "training")
NOT_REHASHED = (
    "No record was rehashed: whether one was changed, a gate's decision for instance, "
    "`stairways verify` finds out."
)


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


class Execution(NamedTuple):
    """How a run is executed again."""

    jobs: int
    watcher: "Progress"


@click.command()
@click.argument("run")
@click.option(
    "--level",
    type=click.Choice([*LEVELS, "all"]),
    default="ledger",
    show_default=True,
    help="ledger: every balance again from fills and bars, by another sum. policy: every "
    "decision again from each recorded state. training: every update again from the seed.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes to divide level policy over.",
)
@click.option(
    "--tolerance",
    type=Share(),
    metavar="SHARE",
    help="Let balances differ by this share of the profit, e.g. 0.1% [default: not a micro].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the report to FILE as one page as well.",
)
@click.option(
    "--record/--no-record", default=True, help="Append the result to the log [default: yes]."
)
@click.pass_obj
def command(  # noqa: PLR0917 - click passes by name
    app: "App",
    run: str,
    level: str,
    jobs: int,
    tolerance: Fraction | None,
    as_json: bool,  # noqa: FBT001 - a flag of the command line
    html: Path | None,
    record: bool,  # noqa: FBT001 - a flag of the command line
) -> None:
    """Replay RUN (or `latest`) and check every balance it recorded.

    Profit and loss are summed again from the recorded fills and the registered bars, position
    times price move less costs, not from the environment's running cash. Every price, cost,
    position, order and balance is compared; what differs is named with its place in the log.

    Levels policy and training execute the run again instead and compare every event.

    Exits with 0 when everything agrees, 1 when something differs, 2 when it could not look.
    """
    from stairways.service.replay import run as service  # noqa: PLC0415 - help must start in a blink
    from stairways.service.runs import find_run, run_stream  # noqa: PLC0415 - as above
    from stairways.service.stairway.unfinished import start_of  # noqa: PLC0415 - as above

    check_place("--html", html)
    store = app.open_log(read_only=not record)
    try:
        name = find_run(store, run)
        if level != "ledger":
            enter_recorded(start_of(store, name).settings)
        threshold = Threshold() if tolerance is None else Threshold(share=tolerance, exact=False)
        levels = LEVELS if level == "all" else (level,)
        total = store.version(run_stream(name)) * len(levels)
        with app.progress(f"replay {name}", total) as watcher:
            report = service.replay_run(store, name, threshold, watcher)
            if "ledger" not in levels:
                report = replace(report, levels=[])
            if again := [one for one in levels if one != "ledger"]:
                report = _executed(app, store, report, again, Execution(jobs, watcher))
        if record:
            service.record_report(store, report, app.context(name))
    finally:
        store.close()
    if html is not None:
        write_whole("--html", html, report_page(report).encode())
    if as_json:
        print_json(report_json(report))
    else:
        _print(app, report)
    raise SystemExit(0 if report.clean else 1)


def _executed(
    app: "App", store: "EventStore", report: Report, again: Sequence[str], how: "Execution"
) -> Report:
    """Return the report with the levels that execute the run ``again``."""
    from stairways.service.replay import levels as replay_levels  # noqa: PLC0415 - torch is slow to load
    from stairways.service.stairway.unfinished import start_of  # noqa: PLC0415 - as above

    start = start_of(store, report.run)
    plan = app.recorded_plan(start.settings, report.run)
    what = replay_levels.Recorded(app.database_url, report.run, plan)
    executed = replay_levels.reexecute(what, store, again, how.jobs, how.watcher.advance)
    machine = replay_levels.differing_machine(start.machine)
    return replace(report, levels=[*report.levels, *executed], machine=machine)


def report_json(report: Report) -> Mapping[str, Any]:
    """Return a report as JSON shows it; money is whole micros."""
    return {
        "run": report.run,
        "clean": report.clean,
        "log_size": report.size,
        "simulated": report.simulated,
        "code_version": report.code_version,
        "libraries": dict(report.libraries),
        "recorded_libraries": dict(report.recorded_libraries),
        "machine": dict(report.machine),
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
        "allowed": dict(level.allowed),
        "largest": dict(level.largest),
        "threshold": {"share": float(level.threshold.share), "exact": level.threshold.exact},
    }


def _print(app: "App", report: Report) -> None:
    for level in report.levels:
        if level.profits:
            print_rows(app.out, _profit_rows(level), PROFIT_COLUMNS, "table")
        for finding in level.findings:
            click.echo(_line(finding), err=True)
        if level.found > len(level.findings):
            click.echo(f"… and {level.found - len(level.findings):,} more.", err=True)
        click.echo(_summary(report, level))
    for remark in remarks(report):
        click.echo(shown(remark), err=True)
    click.echo(NOT_REHASHED, err=True)


def remarks(report: Report) -> Sequence[str]:
    """Return what to know of the bars, and what is not as it was when the run was recorded."""
    bars = ["The bars were simulated: this says nothing about any market."]
    libraries = [
        f"The run used {name} {then}, this replay {now}."
        for name, (then, now) in report.other_libraries.items()
    ]
    machine = [f"Another machine: {name} {both}." for name, both in report.machine.items()]
    return [*(bars if report.simulated else []), *libraries, *machine]


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
    looked = f"{level.events:,} events"
    if QUANTITIES in level.checked:
        looked += f" and {level.checked[QUANTITIES]:,} quantities"
    agree = f"{level.found:,} finding{'' if level.found == 1 else 's'}"
    if level.found == 0:
        agree = "every balance agrees" if level.level == "ledger" else "every event is the same"
    if level.found == 0 and level.allowed:
        within = " and ".join(f"{name} within {by:g}" for name, by in level.allowed.items())
        far = "".join(f" ({name} were {by:.1g} off)" for name, by in level.largest.items())
        agree = f"every event is the same, {within}{far}"
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
