import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from stairways.cli import printing
from stairways.cli.printing import Form, Row

NOON = datetime(2026, 1, 7, 14, 0, tzinfo=timezone(timedelta(hours=2)))


def drawn(rows: list[Row], columns: list[str], width: int = 10_000) -> str:
    written = io.StringIO()
    Console(file=written, width=width).print(printing.table(rows, columns))
    return written.getvalue()


def test_json_keeps_numbers_numbers_and_times_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    row: Row = {"n": -3, "x": 0.5, "at": NOON, "no": None, "yes": True}

    printing.print_rows(Console(), [row], list(row), "json")

    assert json.loads(capsys.readouterr().out) == [
        {"n": -3, "x": 0.5, "at": "2026-01-07T12:00:00Z", "no": None, "yes": True}
    ]


@given(st.text())
def test_csv_gives_text_back_and_never_a_formula(text: str) -> None:
    written = printing.csv_text([{"text": text}], ["text"])

    (cell,) = list(csv.reader(io.StringIO(written, newline="")))[1] or [""]
    assert cell in (text, f"'{text}")
    assert not cell.startswith(("=", "+", "-", "@"))


def test_csv_leaves_negative_numbers_alone() -> None:
    assert printing.csv_text([{"a": -1, "b": -0.5}], ["a", "b"]) == "a,b\n-1,-0.5\n"


def test_a_table_obeys_neither_markup_nor_terminal_escapes() -> None:
    text = drawn([{"reason": "[red]x[/red] \x1b[2J\nend"}], ["reason"])

    assert "[red]x[/red] \\x1b[2J\\nend" in text


def test_a_narrow_table_cuts_nothing_off() -> None:
    text = drawn([{"digest": "0123456789abcdef" * 4}], ["digest"], width=30)

    assert "".join(text.split()) == "digest" + "0123456789abcdef" * 4


def test_times_are_shown_in_utc() -> None:
    assert printing.cell_text(NOON) == "2026-01-07 12:00:00Z"
    assert (
        printing.cell_text(datetime(2026, 1, 7, 1, 2, 3, 4, UTC)) == "2026-01-07 01:02:03.000004Z"
    )


@pytest.mark.parametrize(
    ("arguments", "form"), [([], "table"), (["--json"], "json"), (["--csv"], "csv")]
)
def test_a_command_learns_which_form_was_asked_for(arguments: list[str], form: str) -> None:
    @click.command()
    @printing.form_options
    def show(form: Form) -> None:
        click.echo(form)

    assert CliRunner().invoke(show, arguments).output == f"{form}\n"
