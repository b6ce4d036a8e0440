"""``stairways data``: the commands about bars that are, or become, registered in the log."""

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stairways.cli import data_tables as tables
from stairways.cli.data_options import FILES, JSON, PLOT, Declared, declarations
from stairways.cli.printing import Form, form_options, print_json, print_rows, shown
from stairways.errors import BarsRefusedError
from stairways.service.tabular import Row

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.market.aligned import Aligned
    from stairways.market.bars import Bars
    from stairways.market.findings import Finding
    from stairways.service.data import Registered

ALL = click.option("--all", "everything", is_flag=True, help="List every finding.")
SHOWN = 20


@click.command("import")
@click.argument("name")
@FILES
@declarations
@JSON
@click.pass_obj
def import_(
    app: "App", name: str, files: Sequence[str], *, declared: Declared, as_json: bool
) -> None:
    """Register the bars of FILEs as NAME: checked, adjusted, joined and stored in the log.

    Several files of one symbol continue each other: where they overlap they must agree, and
    the one named first counts. Bars that are registered already change nothing.
    """
    _register(app, declared.load(tuple(files)), name, as_json=as_json)


@click.command("list")
@form_options
@click.pass_obj
def list_(app: "App", form: Form) -> None:
    """List the bars that are registered in the log; exits with 1 where some are gone."""
    from stairways.service.data import missing_content, registrations  # noqa: PLC0415 - help starts in a blink

    with closing(app.open_log(read_only=True)) as store:
        known = list(registrations(store))
        missing = missing_content(store, known)
    rows = [tables.registered_row(one) for one in known]
    columns = tables.REGISTERED if form == "table" else tables.ALL_REGISTERED
    print_rows(app.out, rows, columns, form)
    for sentence in missing:
        click.echo(shown(sentence), err=True)
    if missing:
        raise SystemExit(1)


@click.command()
@click.argument("name")
@JSON
@PLOT
@ALL
@click.pass_obj
def show(app: "App", name: str, *, as_json: bool, plot: Path | None, everything: bool) -> None:
    """Show registered bars: range, rows, gaps, digest, findings and how they moved.

    NAME is a name or the beginning of a digest.
    """
    from stairways.service.data import (  # noqa: PLC0415 - help starts in a blink
        find_data,
        findings_of,
        load_registered,
    )

    with closing(app.open_log(read_only=True)) as store:
        one = find_data(store, name)
        bars = load_registered(store, one.event.digest)
        findings = findings_of(store, one.event.digest)
    rows = [tables.raised_row(finding) for finding in findings]
    if as_json:
        print_json({**tables.registered_row(one), "finding_list": rows})
    else:
        _print_shown(app, one, bars, rows if everything else rows[:SHOWN])
        if len(rows) > SHOWN and not everything:
            click.echo(f"{len(rows) - SHOWN:,} more findings; --all lists them.", err=True)
    if plot:
        _plot(plot, bars, [tables.finding_of(finding) for finding in findings])


@click.command()
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write [default: stdout for csv, NAME.parquet for parquet].",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.pass_obj
def export(app: "App", name: str, form: str, output: Path | None, *, force: bool) -> None:
    """Write registered bars as CSV or Parquet; importing them again gives the same digest."""
    from stairways.market.exporting import write_csv, write_parquet  # noqa: PLC0415 - as above
    from stairways.service.data import find_data, load_registered  # noqa: PLC0415 - as above

    with closing(app.open_log(read_only=True)) as store:
        one = find_data(store, name)
        bars = load_registered(store, one.event.digest)
    write = write_csv if form == "csv" else write_parquet
    if output is None and form == "csv":
        write(bars, sys.stdout.buffer)
        return
    output = output or Path(f"{one.event.name}.parquet")
    try:
        with output.open("wb" if force else "xb") as file:
            write(bars, file)
    except FileExistsError as error:
        raise BarsRefusedError(f"{output} is there already; --force replaces it.") from error
    except OSError as error:
        raise BarsRefusedError(f"{output} cannot be written: {error.strerror}.") from error
    click.echo(f"{output}: {len(bars):,} bars of {', '.join(bars.symbols)}", err=True)


@click.command()
@click.argument("vendor", type=click.Choice(["yahoo"]))
@click.argument("symbols", nargs=-1, required=True)
@click.option("--start", required=True, metavar="DATE", help="First session.")
@click.option("--end", metavar="DATE", help="Last session [default: the newest].")
@click.option("--name", help="Name to register as [default: the symbols joined by +].")
@click.option(
    "--adjustment",
    type=click.Choice(["splits", "splits+dividends"]),
    default="splits",
    show_default=True,
    help="Which prices to take; Yahoo gives both.",
)
@click.option("--calendar", metavar="CODE", help="Of the exchange [default: by suffix].")
@JSON
@click.pass_obj
def fetch(  # noqa: PLR0917 - click passes by name
    app: "App",
    vendor: str,  # noqa: ARG001 - there is one so far
    symbols: Sequence[str],
    start: str,
    end: str | None,
    name: str | None,
    adjustment: str,
    calendar: str | None,
    *,
    as_json: bool,
) -> None:
    """Fetch daily bars of SYMBOLS from Yahoo, keep the answers' bytes, and register the bars.

    The answers stay in the log as blobs, so that a later rewrite by the vendor is seen. This
    needs the extra: pip install stairways[yahoo].
    """
    from stairways.market.series import Basis  # noqa: PLC0415 - help starts in a blink
    from stairways.service.fetching import fetch_yahoo, yahoo_answer  # noqa: PLC0415 - as above

    days = (start, end or f"{app.clock():%Y-%m-%d}")
    basis = Basis(adjustment=adjustment, calendar=calendar)  # type: ignore[arg-type]
    with closing(app.open_log(make=True)) as store:
        aligned = fetch_yahoo(store, symbols, days, basis, answer=yahoo_answer)
    _register(app, aligned, name or "+".join(symbols), as_json=as_json)


@click.command()
@click.argument("name")
@click.option("--symbols", default="AAA,BBB", show_default=True, help="Separated by commas.")
@click.option("--rows", type=click.IntRange(1, 20_000_000), default=2500, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--frequency", type=click.Choice(["1d", "1h", "5m", "1m"]), default="1d", show_default=True
)
@JSON
@click.pass_obj
def simulate(  # noqa: PLR0917 - click passes by name
    app: "App", name: str, symbols: str, rows: int, seed: int, frequency: str, *, as_json: bool
) -> None:
    """Make bars by chance and register them as NAME; whatever uses them says so.

    Prices follow a correlated geometric Brownian motion with regimes and jumps. The same
    options give the same bars.
    """
    from stairways.market import simulation  # noqa: PLC0415 - help starts in a blink

    wanted = tuple(symbol.strip() for symbol in symbols.split(","))
    aligned = simulation.simulate(wanted, rows, seed, frequency=frequency)  # type: ignore[arg-type]
    _register(app, aligned, name, as_json=as_json)


def _register(app: "App", aligned: "Aligned", name: str, *, as_json: bool) -> None:
    from stairways.service.data import register_bars  # noqa: PLC0415 - help starts in a blink

    with closing(app.open_log(make=True)) as store:
        size = store.head().size
        one = register_bars(store, aligned, name, app.context(f"data {name}"))
        known = store.head().size == size
    if as_json:
        print_json({**tables.registered_row(one), "new": not known})
        return
    for line in tables.describe(one):
        app.out.print(line, markup=False)
    if known:
        click.echo("These bars were registered before; nothing changed.", err=True)
    elif one.event.findings:
        found = tables.counted(tables.counts_of(aligned.findings))
        click.echo(f"Found: {found}. `stairways data show {one.event.name}` lists them.", err=True)


def _print_shown(app: "App", one: "Registered", bars: "Bars", rows: Sequence[Row]) -> None:
    for line in (*tables.describe(one), *tables.sparklines(bars)):
        app.out.print(line, markup=False)
    if rows:
        app.out.print()
        print_rows(app.out, rows, tables.RAISED, "table")


def _plot(plot: Path, bars: "Bars", findings: Sequence["Finding"]) -> None:
    from stairways.cli.data_plot import draw  # noqa: PLC0415 - matplotlib is slow to import
    from stairways.market.series import series_of  # noqa: PLC0415 - as above

    draw(
        plot,
        [
            (one.table, one.symbol, [f for f in findings if f.symbol == one.symbol])
            for one in series_of(bars)
        ],
        note="SIMULATED" if bars.simulated else "",
    )
