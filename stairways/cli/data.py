"""``stairways data``: read, check, register, look at, compare and export market bars."""

import click

from stairways.cli.data_check import check
from stairways.cli.data_compare import align, diff
from stairways.cli.data_registered import export, fetch, import_, list_, show, simulate


@click.group()
def command() -> None:
    """Read, check and register market bars.

    Bars come from files of any common layout, recognised by their content: CSV of Yahoo,
    yfinance, Nasdaq, Investing.com, Alpha Vantage, Stooq, Tiingo, Polygon, Alpaca and the
    like, the same within gzip, and Parquet. What a file leaves open is asked for, not guessed.
    """


for _subcommand in (check, import_, list_, show, export, align, diff, fetch, simulate):
    command.add_command(_subcommand)
