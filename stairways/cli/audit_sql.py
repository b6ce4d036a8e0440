"""``stairways audit sql``: a question of one's own, in SQL, to the log's views."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import click

from stairways.bootstrap import App
from stairways.cli.asking import asked
from stairways.cli.printing import Column, Form, form_options, print_rows
from stairways.service.tabular import Cell
from stairways.store.asking import Bounds, ask_sql

LONG = 64
"""Letters of a digest; a text with more of them is a sentence."""


@click.command(short_help="Ask a question in SQL, within bounds.")
@click.argument("statement", metavar="SELECT")
@click.option(
    "--rows",
    type=click.IntRange(1, 1_000_000),
    default=10_000,
    show_default=True,
    help="Refuse an answer with more rows; none is cut.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.001, 3600),
    default=30.0,
    show_default=True,
    help="Give up after so long.",
)
@form_options
@click.pass_obj
def sql(app: App, form: Form, statement: str, rows: int, seconds: float) -> None:
    """Ask one SELECT of the views in docs/views.md; `-` reads it from stdin.

    Nothing can be changed, no file read and no other table: views and tables of the log only.
    """
    text = sys.stdin.read() if statement == "-" else statement
    with asked(app, "sql", statement=text, rows=rows, seconds=seconds) as log:
        answer = ask_sql(log.driver, text, Bounds(rows, seconds))
        found = [dict(zip(answer.names, map(_cell, row), strict=True)) for row in answer.rows]
        print_rows(app.out, found, [_column(name, found) for name in answer.names], form)


def _column(name: str, rows: Sequence[Mapping[str, Cell]]) -> Column:
    """Return a column; one of sentences takes several lines where there is little room."""
    texts = (row[name] for row in rows)
    return Column(name, name, wraps=any(isinstance(t, str) and len(t) > LONG for t in texts))


def _cell(value: Any) -> Cell:  # noqa: ANN401 - what a database returns
    """Return a value of the database as a cell; bytes are hexadecimal."""
    match value:
        case bytes():
            return value.hex()
        case Decimal():
            return int(value) if value % 1 == 0 else float(value)
        case None | bool() | int() | float() | str() | datetime() | list() | dict():
            return value
        case _:
            return str(value)
