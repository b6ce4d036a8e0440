"""``stairways data align`` and ``data diff``: what a join drops, where vintages disagree."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stairways.cli import data_tables as tables
from stairways.cli.data_options import JSON, Declared, declarations
from stairways.cli.printing import print_json, print_rows
from stairways.errors import BarsRefusedError
from stairways.service.tabular import Row

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.market.comparing import Difference
    from stairways.market.series import Series

FOUND = 1
LISTED = 20


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="NAME|FILE…")
@declarations
@JSON
@click.option("--all", "everything", is_flag=True, help=f"List more than {LISTED} bars.")
@click.pass_obj
def align(
    app: "App", sources: Sequence[str], *, declared: Declared, as_json: bool, everything: bool
) -> None:
    """Say which bars a join of NAMEs and FILEs leaves out, and which symbol lacks them.

    Exits with 1 when the join leaves something out.
    """
    from stairways.market.comparing import left_out  # noqa: PLC0415 - help starts in a blink

    series = [one for source in sources for one in _series(app, source, declared)]
    _refuse_twice(series)
    gone = left_out(series)
    rows = [_kept_row(one, [g.symbol for g in gone].count(one.symbol)) for one in series]
    details = [tables.left_out_row(one) for one in gone]
    if as_json:
        print_json({"symbols": rows, "left out": details})
    else:
        print_rows(app.out, rows, tables.KEPT, "table")
        _print_some(app, details, tables.LEFT_OUT, everything=everything)
    raise SystemExit(FOUND if gone else 0)


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@declarations
@JSON
@click.pass_obj
def diff(app: "App", a: str, b: str, *, declared: Declared, as_json: bool) -> None:
    """Compare two vintages A and B of the same symbols, each a registered name or a file.

    Exits with 1 when they differ.
    """
    from stairways.market.comparing import difference  # noqa: PLC0415 - help starts in a blink

    mine = {one.symbol: one for one in _series(app, a, declared)}
    theirs = {one.symbol: one for one in _series(app, b, declared)}
    common = [symbol for symbol in mine if symbol in theirs]
    if not common:
        raise BarsRefusedError(f"{a} has {', '.join(mine)} and {b} has {', '.join(theirs)}.")
    found = [difference(mine[symbol], theirs[symbol]) for symbol in common]
    _print_differences(app, found, as_json=as_json)
    raise SystemExit(0 if all(one.same for one in found) else FOUND)


def _print_differences(app: "App", found: Sequence["Difference"], *, as_json: bool) -> None:
    rows = [tables.difference_row(one) for one in found]
    worst = list(tables.worst_rows(found))
    if as_json:
        print_json({"symbols": rows, "worst": worst})
        return
    print_rows(app.out, rows, tables.DIFFERENCES, "table")
    if worst:
        app.out.print()
        print_rows(app.out, worst, tables.WORST, "table")


def _print_some(
    app: "App", rows: Sequence[Row], columns: tables.Columns, *, everything: bool
) -> None:
    if not rows:
        return
    app.out.print()
    print_rows(app.out, rows if everything else rows[:LISTED], columns, "table")
    if len(rows) > LISTED and not everything:
        click.echo(f"{len(rows) - LISTED:,} more bars; --all lists them.", err=True)


def _kept_row(series: "Series", gone: int) -> Row:
    rows = len(series.table)
    return {"symbol": series.symbol, "bars": rows, "kept": rows - gone, "left out": gone}


def _refuse_twice(series: Sequence["Series"]) -> None:
    symbols = [one.symbol for one in series]
    twice = next((symbol for symbol in symbols if symbols.count(symbol) > 1), None)
    if twice:
        raise BarsRefusedError(f"{twice} stands in two of them; `data diff` compares vintages.")
    if len({one.frequency for one in series}) > 1:
        listed = ", ".join(f"{one.symbol} {one.frequency}" for one in series)
        raise BarsRefusedError(f"They have different frequencies: {listed}.")


def _series(app: "App", source: str, declared: Declared) -> list["Series"]:
    """Return what a file, or else a registered name, has."""
    if Path(source).is_file() or Path(source.partition("=")[2]).is_file():
        return _from_file(source, declared)
    from stairways.market.series import series_of  # noqa: PLC0415 - help starts in a blink
    from stairways.service.data import find_data, load_registered  # noqa: PLC0415 - as above

    with closing(app.open_log(read_only=True)) as store:
        bars = load_registered(store, find_data(store, source).event.digest)
    wanted = declared.symbols
    return [one for one in series_of(bars) if not wanted or one.symbol in wanted]


def _from_file(source: str, declared: Declared) -> list["Series"]:
    from stairways.market.checking import check_file  # noqa: PLC0415 - help starts in a blink
    from stairways.market.loading import refuse_first  # noqa: PLC0415 - as above

    checked = check_file(source, declared.basis(), declared.options(), declared.symbols)
    series = [one.series for one in checked]
    refuse_first(series)
    return series
