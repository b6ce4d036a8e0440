"""``stairways data check``: what is in files and what is wrong with them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stairways.cli import data_tables as tables
from stairways.cli.data_options import FILES, JSON, PLOT, Declared, declarations
from stairways.cli.printing import print_json, print_rows, shown
from stairways.errors import BarsRefusedError

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.market.checking import Checked

FOUND, COULD_NOT_LOOK = 1, 2
Unread = list[tuple[str, str]]


@click.command()
@FILES
@declarations
@JSON
@PLOT
@click.option(
    "--all", "everything", is_flag=True, help=f"List more than {tables.LISTED} of each kind."
)
@click.pass_obj
def check(
    app: "App",
    files: Sequence[str],
    *,
    declared: Declared,
    as_json: bool,
    plot: Path | None,
    everything: bool,
) -> None:
    """Say what is in each FILE and what is wrong with it; nothing is registered.

    Exits with 0 when all files are clean, 1 when something was found, 2 when a file could
    not be read.
    """
    found, unread = _look(files, declared)
    if as_json:
        print_json(
            [tables.checked_json(one) for one in found]
            + [{"file": name, "unread": reason} for name, reason in unread]
        )
    elif found:
        _print(app, found, everything=everything)
    for _, reason in unread:
        click.echo(f"stairways: {shown(reason)}", err=True)
    if plot and found:
        _plot(plot, found)
    clean = all(one.clean for one in found)
    raise SystemExit(COULD_NOT_LOOK if unread else 0 if clean else FOUND)


def _look(files: Sequence[str], declared: Declared) -> tuple[list["Checked"], Unread]:
    from stairways.market.checking import check_file  # noqa: PLC0415 - help starts in a blink

    basis, options = declared.basis(), declared.options()
    found: list[Checked] = []
    unread: Unread = []
    for file in files:
        try:
            found += check_file(file, basis, options, declared.symbols)
        except BarsRefusedError as error:
            unread.append((file, str(error)))
    return found, unread


def _print(app: "App", found: Sequence["Checked"], *, everything: bool) -> None:
    print_rows(app.out, [tables.checked_row(one) for one in found], tables.CHECKED, "table")
    listed = 10**9 if everything else tables.LISTED
    findings = [f for one in found for f in tables.first_of_each(one.findings, listed)]
    if findings:
        app.out.print()
        rows = [tables.finding_row(finding) for finding in findings]
        print_rows(app.out, rows, tables.FINDINGS, "table")
    rest = sum(len(one.findings) for one in found) - len(findings)
    if rest:
        click.echo(f"{rest:,} more findings; --all lists them.", err=True)
    for one in found:
        if one.refused:
            kinds = dict.fromkeys(f.kind for f in one.findings if f.refused)
            click.echo(
                f"{one.file}: {one.symbol} cannot be used as it is: {', '.join(kinds)}.", err=True
            )


def _plot(plot: Path, found: Sequence["Checked"]) -> None:
    from stairways.cli.data_plot import draw  # noqa: PLC0415 - matplotlib is slow to import

    draw(plot, [(one.series.table, one.symbol, one.findings) for one in found])
