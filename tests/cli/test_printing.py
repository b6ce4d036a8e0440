import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from stairways.cli import printing
from stairways.cli.printing import Column, Form
from stairways.service.tabular import Row, csv_lines, json_lines

NOON = datetime(2026, 1, 7, 14, 0, tzinfo=timezone(timedelta(hours=2)))


def drawn(rows: list[Row], *columns: Column, width: int = 10_000) -> list[str]:
    return [click.unstyle(line) for line in printing.table_lines(rows, columns, width)]


def as_csv(row: Row) -> str:
    return "".join(csv_lines([row], list(row)))


def test_json_keeps_numbers_numbers_and_times_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    row: Row = {"n": -3, "x": 0.5, "at": NOON, "no": None, "yes": True, "usd": Decimal("0.1")}

    printing.print_rows(Console(), [row, row], [Column(key) for key in row], "json")

    first, second = json.loads(capsys.readouterr().out)
    assert first == second == {**row, "at": "2026-01-07T12:00:00Z", "usd": 0.1}


def test_json_of_no_rows_is_an_empty_array() -> None:
    assert list(json_lines([], [])) == ["[]"]


@given(st.text())
def test_csv_gives_text_back_and_never_a_formula(text: str) -> None:
    written = as_csv({"text": text})

    (cell,) = list(csv.reader(io.StringIO(written, newline="")))[1] or [""]
    assert cell in (text, f"'{text}")
    assert not cell.startswith(("=", "+", "-", "@"))


def test_csv_leaves_negative_numbers_alone() -> None:
    row: Row = {"a": -1, "b": -0.5, "c": Decimal("-0.000001")}

    assert as_csv(row) == "a,b,c\n-1,-0.5,-0.000001\n"


def test_a_table_obeys_neither_markup_nor_terminal_escapes() -> None:
    _, line = drawn([{"reason": "[red]x[/red] \x1b[2J\nend"}], Column("reason"))

    assert line == "[red]x[/red] \\x1b[2J\\nend"


def test_a_table_wraps_what_may_wrap_and_cuts_nothing_off() -> None:
    row: Row = {"digest": "0123456789abcdef" * 4, "n": 7, "why": "because of " * 12}

    heading, first, *others = drawn(
        [row], Column("digest"), Column("n"), Column("why", wraps=True), width=110
    )

    assert first.startswith("0123456789abcdef" * 4 + "  7  because of because of")
    assert heading.split() == ["digest", "n", "why"]
    assert sum(line.count("because") for line in (first, *others)) == 12
    assert all(line.startswith(" " * 69) for line in others)


def test_where_there_is_no_room_a_row_goes_on_below_and_stays_inside_the_screen() -> None:
    rows: list[Row] = [
        {"name": f"n{n}", "when": "2026-01-07 14:30:00Z", "size": n, "share": 0.5, "why": why}
        for n, why in ((1, "because of " * 8), (12, ""))
    ]
    columns = [Column(key) for key in ("name", "when", "size", "share")]

    lines = drawn(rows, *columns, Column("why", wraps=True), width=38)

    assert lines == [
        "name  when                  size",
        "  share",
        "n1    2026-01-07 14:30:00Z     1",
        "    0.5",
        "  why: because of because of because of",
        "    because of because of because of",
        "    because of because of",
        "n12   2026-01-07 14:30:00Z    12",
        "    0.5",
    ]


def test_a_table_that_grows_has_its_headings_once_and_columns_that_never_get_narrower() -> None:
    table = printing.Table([Column("n"), Column("name"), Column("why", wraps=True)], 70, {"n": 3})

    lines = [*table.lines([{"n": 1, "name": "a long name", "why": "x"}])]
    later = [*table.lines([{"n": 2222, "name": "b", "why": "because of " * 6}])]

    assert [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in lines] == [
        "  n  name         why",
        "  1  a long name  x",
    ]
    assert later == [
        "2222  b            because of because of because of because of because",
        "                   of because of",
    ]


def test_numbers_stand_to_the_right_and_wide_letters_count_twice() -> None:
    rows: list[Row] = [{"name": "\u8cb7\u3044", "n": 5}, {"name": "sell", "n": 12345}]

    assert drawn(rows, Column("name"), Column("n"))[1:] == ["\u8cb7\u3044      5", "sell  12345"]


def test_a_table_without_rows_is_its_headings() -> None:
    assert drawn([], Column("a"), Column("b")) == ["a  b"]


def test_money_is_shown_to_the_cent_and_shares_in_percent() -> None:
    row: Row = {"equity": Decimal("1234567.894999"), "rate": 0.7449}

    heading, line = drawn([row], Column("equity"), Column("rate", "hold rate", printing.percent))

    assert heading.endswith("hold rate")
    assert line == "1,234,567.89      74.5%"


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
