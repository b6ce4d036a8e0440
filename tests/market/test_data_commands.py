"""``stairways data``: its commands, their exit codes, and what they never do."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import pytest
import structlog
from click.testing import CliRunner, Result

from stairways import cli

HEADER = "Date,Open,High,Low,Close,Volume"
GOOD = [f"2024-01-0{n},10,12,9,{n + 7},100" for n in (2, 3, 4, 5)]
Run = Callable[..., Result]


class WriteFile(Protocol):
    def __call__(self, name: str, lines: Sequence[str] | bytes) -> Path: ...


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.excepthook", lambda *_: None)
    monkeypatch.delenv("STAIRWAYS_DATABASE_URL", raising=False)
    monkeypatch.delenv("STAIRWAYS_CONFIG", raising=False)
    structlog.reset_defaults()

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(cli.main, ["data", *map(str, arguments)])

    return call


def test_a_clean_file_exits_with_0_and_leaves_no_log(run: Run, write: WriteFile) -> None:
    result = run("check", write("XYZ.csv", [HEADER, *GOOD]))
    assert result.exit_code == 0, result.output
    assert "XYZ" in result.stdout
    assert not Path("stairways.db").exists()


def test_findings_exit_with_1_and_unreadable_files_with_2(run: Run, write: WriteFile) -> None:
    odd = write("ODD.csv", [HEADER, *reversed(GOOD)])
    result = run("check", odd)
    assert result.exit_code == 1
    assert "the newest row comes first" in result.stdout
    result = run("check", odd, write("BAD.csv", [HEADER, "x,1,2,3,4,5"]), "--json")
    assert result.exit_code == 2
    good, bad = json.loads(result.stdout)
    assert good["found"] == {"unsorted": 1}
    assert good["findings"][0]["row"] == 3
    assert "BAD.csv, line 2" in bad["unread"]
    assert result.stderr.count("\n") == 1


def test_bars_are_imported_listed_shown_and_exported(run: Run, write: WriteFile) -> None:
    path = write("XYZ.csv", [HEADER, *GOOD])
    imported = run("import", "toy", path, "--adjustment", "splits", "--json")
    assert imported.exit_code == 0, imported.output
    about = json.loads(imported.stdout)
    assert (about["symbols"], about["rows"], about["new"]) == (["XYZ"], 4, True)
    again = json.loads(run("import", "toy", path, "--adjustment", "splits", "--json").stdout)
    assert again == about | {"new": False}
    (listed,) = json.loads(run("list", "--json").stdout)
    assert listed["digest"] == about["digest"]
    shown = run("show", "toy")
    assert about["digest"] in shown.stdout
    assert "█" in shown.stdout
    assert run("show", about["digest"][:10], "--json").exit_code == 0
    exported = run("export", "toy")
    assert (
        exported.stdout.splitlines()[1]
        == "2024-01-02,XYZ,10.000000,12.000000,9.000000,9.000000,100"
    )
    Path("out.csv").write_text(exported.stdout)
    back = json.loads(run("import", "back", "out.csv", "--adjustment", "splits", "--json").stdout)
    assert back["digest"] == about["digest"]
    assert run("export", "toy", "--format", "parquet").exit_code == 0
    refused = run("export", "toy", "--format", "parquet")
    assert refused.exit_code == 2
    assert "--force replaces it" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["XYZ.csv"], "--adjustment raw, splits, splits+dividends"),
        (["XYZ.csv", "--adjustment", "raw", "--split", "XYZ:2024-01-03:2/1"], "raw data stay"),
        (["absent.csv", "--adjustment", "raw"], "there is no such file"),
        (["XYZ.csv", "--adjustment", "raw", "--from", "soon"], "is no date"),
        (["XYZ.csv", "--adjustment", "raw", "--from", "2025-01-01"], "no bars are left"),
        (["XYZ.csv", "--adjustment", "raw", "--calendar", "NOPE"], "No calendar"),
        (["XYZ.csv", "--adjustment", "raw", "--symbol", "ABC"], "has bars of ABC"),
        (["BAD.csv", "--adjustment", "raw"], "BAD.csv, line 3"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    run: Run, write: WriteFile, arguments: list[str], reason: str
) -> None:
    write("XYZ.csv", [HEADER, *GOOD])
    write("BAD.csv", [HEADER, GOOD[0], "2024-01-03,10,12,9,-1,100"])
    result = run("import", "toy", *arguments)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1
    assert not result.stdout
    assert not Path("stairways.db").exists()


def test_a_name_that_is_none_writes_nothing(run: Run) -> None:
    result = run("simulate", "../x", "--rows", 5)
    assert (result.exit_code, result.stdout) == (2, "")
    assert json.loads(run("list", "--json").stdout) == []


def test_simulated_bars_say_so_wherever_they_are_shown(run: Run) -> None:
    made = run("simulate", "toy", "--rows", 30, "--seed", 3)
    assert "SIMULATED" in made.stdout
    assert "SIMULATED" in run("show", "toy").stdout
    assert json.loads(run("list", "--json").stdout)[0]["simulated"] is True
    same = json.loads(run("simulate", "toy", "--rows", 30, "--seed", 3, "--json").stdout)
    assert same["new"] is False


def test_a_join_is_explained_from_files_and_names(run: Run, write: WriteFile) -> None:
    a, b = write("AAA.csv", [HEADER, *GOOD[:3]]), write("BBB.csv", [HEADER, *GOOD[1:]])
    run("import", "b", b, "--adjustment", "splits")
    result = run("align", a, "b", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert [row["left out"] for row in found["symbols"]] == [1, 1]
    assert found["left out"][0]["time"].startswith("2024-01-02")
    assert found["left out"][0]["no bar of"] == "BBB"
    assert run("align", a).exit_code == 0
    twice = run("align", a, a)
    assert twice.exit_code == 2
    assert "`data diff` compares vintages" in twice.stderr


def test_vintages_are_compared(run: Run, write: WriteFile) -> None:
    old = write("old/XYZ.csv", [HEADER, *GOOD])
    new = write("new/XYZ.csv", [HEADER, *GOOD[:-1], GOOD[-1].replace(",12,100", ",11,100")])
    run("import", "old", old, "--adjustment", "splits")
    assert run("diff", "old", old).exit_code == 0
    result = run("diff", "old", new)
    assert result.exit_code == 1
    assert "1 close" in result.stdout
    assert "2024-01-05" in result.stdout
    assert run("diff", "old", write("ABC.csv", [HEADER, *GOOD])).exit_code == 2


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_a_plot_is_drawn_with_the_findings_marked(run: Run, write: WriteFile, ending: str) -> None:
    calm = [f"2024-02-{n:02},10,12,9,{10 + n / 50},100" for n in (1, 2, 5, 6, 7, 8, 9, 12, 13)]
    path = write("XYZ.csv", [HEADER, *calm, "2024-02-14,30,32,29,31,100"])
    result = run("check", path, "--plot", f"out{ending}")
    assert result.exit_code == 1
    content = Path(f"out{ending}").read_bytes()
    assert content.startswith(b"\x89PNG" if ending == ".png" else b"<?xml")
    if ending == ".svg":
        assert b"jump (1)" in content or b"<!-- jump (1) -->" in content


def test_a_plot_of_another_kind_is_refused(run: Run, write: WriteFile) -> None:
    result = run("check", write("XYZ.csv", [HEADER, *GOOD]), "--plot", "out.gif")
    assert result.exit_code == 2
    assert "a plot ends in .png or .svg" in result.stderr


def test_fetching_what_is_no_symbol_asks_nobody(run: Run) -> None:
    result = run("fetch", "yahoo", "../x", "--start", "2024-01-02")
    assert result.exit_code == 2
    assert "is no symbol" in result.stderr
