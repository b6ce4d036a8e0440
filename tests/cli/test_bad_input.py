"""Bad input to the main job: one clear sentence on stderr, exit 2, and nothing written."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from stairways import cli
from stairways.store.opening import open_sql_store


def sessions(count: int, first: str = "2015-01-05") -> list[date]:
    """Weekdays; a calendar's holidays among them are a finding and no more."""
    start = date.fromisoformat(first)
    days = (start + timedelta(days=n) for n in range(count * 2))
    return [day for day in days if day.weekday() < 5][:count]


def bars(folder: Path, symbol: str, days: Sequence[date], close: str = "100.5") -> Path:
    """Write quiet bars of one symbol; the last row closes at ``close``."""
    rows = [f"{day},100,101,99,{100 + n % 2}.5,{10_000 + n}" for n, day in enumerate(days)]
    rows[-1] = f"{days[-1]},100,101,99,{close},10000"
    file = folder / f"{symbol}.csv"
    file.write_text("Date,Open,High,Low,Close,Volume\n" + "\n".join(rows) + "\n")
    return file


def pair(folder: Path, count: int = 900, close: str = "100.5") -> list[Path]:
    return [bars(folder, "AAA", sessions(count)), bars(folder, "BBB", sessions(count), close)]


def unreadable(folder: Path) -> list[Path]:
    first, second = pair(folder)
    second.write_text("this is no table of bars\n" * 40)
    return [first, second]


def binary(folder: Path) -> list[Path]:
    first, second = pair(folder)
    second.write_bytes(bytes(range(256)) * 10)
    return [first, second]


def empty(folder: Path) -> list[Path]:
    first, second = pair(folder)
    second.write_text("")
    return [first, second]


def apart(folder: Path) -> list[Path]:
    return [
        bars(folder, "AAA", sessions(900)),
        bars(folder, "BBB", sessions(900, "2005-01-03")),
    ]


def missing(folder: Path) -> list[Path]:
    return [pair(folder)[0], folder / "nowhere.csv"]


def short(folder: Path) -> list[Path]:
    return pair(folder, 60)


def negative(folder: Path) -> list[Path]:
    return pair(folder, close="-1.0")


def not_a_number(folder: Path) -> list[Path]:
    return pair(folder, close="NaN")


def twice(folder: Path) -> list[Path]:
    first, second = pair(folder)
    return [first, second, folder / "." / first.name]


def a_folder(folder: Path) -> list[Path]:
    return [pair(folder)[0], folder]


def a_device(folder: Path) -> list[Path]:
    return [pair(folder)[0], Path("/dev/null")]


Files = Callable[[Path], list[Path]]


def train(folder: Path, files: Sequence[Path], *arguments: str) -> Result:
    named = [part for file in files for part in ("--bars", str(file))]
    url = ["--database-url", f"sqlite:///{folder}/log/stairways.db"]
    (folder / "log").mkdir()
    result = CliRunner().invoke(cli.main, [*url, "train", *named, *arguments])
    structlog.reset_defaults()
    return result


@pytest.mark.parametrize(
    ("files", "arguments", "said"),
    [
        (missing, [], "nowhere.csv"),
        (unreadable, [], "BBB.csv"),
        (binary, [], "BBB.csv"),
        (empty, [], "BBB.csv"),
        (short, [], "bars"),
        (apart, [], "common"),
        (twice, [], "AAA.csv is named 2 times"),
        (a_folder, [], "this is a folder"),
        (a_device, [], "this is a device or a pipe"),
        (pair, ["--database-url", "sqlite://"], "a log in memory"),
        (pair, ["--database-url", "sqlite:///:memory:"], "a log in memory"),
        (missing, ["--database-url", "mysql://host/log"], "not in mysql://"),
        (missing, ["--database-url", "nonsense"], "is no database URL"),
        (missing, ["--set", "ppo.lanes=7"], "ppo"),
        ((lambda _: []), ["--seed", "99"], "--seed would change nothing"),
        ((lambda _: []), ["--model", "other"], "--model would change nothing"),
        ((lambda _: []), ["--no-portable"], "--no-portable would change nothing"),
        ((lambda _: []), ["--set", "ppo.epochs=3"], "--set ppo.epochs=3 would change nothing"),
        ((lambda _: []), ["--adjustment", "splits"], "--adjustment would change nothing"),
        ((lambda _: []), ["--data", "pair", "--symbol", "AAA"], "--symbol would change nothing"),
        (negative, [], "BBB.csv"),
        (not_a_number, [], "BBB.csv"),
        (pair, ["--set", "stairway.atempts=1"], "did you mean stairway.attempts?"),
        (pair, ["--set", "stairway.targets=1.2"], "stairway.targets=1.2"),
        (
            pair,
            ["--set", "stairway.targets=1.2", "--set", "stairway.learning_rates=1e-4"],
            "target hold rate 1.2 is outside [0, 1]",
        ),
        (pair, ["--set", "ppo.lanes=7"], "ppo"),
        (pair, ["--seed", "-1"], "seed"),
        (pair, ["--seed", "many"], "seed"),
        (pair, ["--model", "../etc"], "model"),
        (pair, ["--run", "../../x y"], "--run '../../x y' must be letters, digits"),
        (pair, ["--run", "latest"], "--run latest names no run, it means the newest"),
        (pair, ["--set", "ppo.hidden=999999999,9999999999"], "hidden may have 8 layers of 1024"),
        (pair, ["--set", "ppo.hidden=" + "8," * 8 + "8"], "ppo.hidden=8,8,8,8,8,8,8,8,8: hidden"),
        (pair, ["--set", "ppo.lanes=999999999"], "--set ppo.lanes=999999999: lanes * rollout is"),
        (pair, ["--symbol", "CCC"], "CCC"),
        (pair, ["--from", "yesterday"], "yesterday"),
        (pair, ["--split", "AAA:2020-01-06:10"], "10"),
        (pair, ["--calendar", "NOWHERE"], "NOWHERE"),
        ((lambda _: []), ["--split", "AAA:2020-01-06:10/1"], "--split would change nothing"),
        (pair, ["--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_bad_input_is_one_sentence_exit_2_and_nothing_written(
    tmp_path: Path, files: Files, arguments: list[str], said: str
) -> None:
    made = files(tmp_path)
    before = sorted(tmp_path.iterdir())

    result = train(tmp_path, made, *arguments)

    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert said in result.stderr
    assert result.stderr.startswith("stairways: ")
    assert len(result.stderr.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "log"])
    assert list((tmp_path / "log").iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://ann:s3cret@127.0.0.1:1/log",
        "postgresql+psycopg://ann@127.0.0.1:1/log?password=s3cret",
    ],
)
def test_a_database_that_does_not_open_is_one_sentence_and_exit_2(tmp_path: Path, url: str) -> None:

    result = train(tmp_path, pair(tmp_path), "--database-url", url)

    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert "s3cret" not in result.stderr


def test_a_log_of_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "newer.db"
    open_sql_store(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as log:
        log.execute("UPDATE alembic_version SET version_num = '9999'")
    log.close()

    result = train(tmp_path, pair(tmp_path), "--database-url", f"sqlite:///{file}")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "Use a newer Stairways" in result.stderr
    with sqlite3.connect(file) as log:
        assert log.execute("SELECT size FROM head").fetchone() == (0,)
        assert log.execute("SELECT count(*) FROM blobs").fetchone() == (0,)
    log.close()


def test_going_on_with_a_run_makes_no_log(tmp_path: Path) -> None:
    result = train(tmp_path, [])

    assert (result.exit_code, result.stdout) == (2, "")
    assert "There is no log at" in result.stderr
    assert list((tmp_path / "log").iterdir()) == []


def test_a_log_without_an_unfinished_run_asks_for_bars(tmp_path: Path) -> None:
    open_sql_store(f"sqlite:///{tmp_path}/empty.db").close()

    result = train(tmp_path, [], "--database-url", f"sqlite:///{tmp_path}/empty.db")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "give --bars FILE" in result.stderr


def test_the_demo_refuses_a_url_that_its_folder_would_override(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"

    result = CliRunner().invoke(
        cli.main, ["demo", "--database-url", url, "--folder", str(tmp_path / "demo")]
    )
    structlog.reset_defaults()

    assert (result.exit_code, result.stdout) == (2, "")
    assert "the demo keeps its log in --folder" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_named_like_the_settings_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stairways.toml").mkdir()

    result = train(tmp_path, pair(tmp_path))

    assert result.exit_code == 2
    assert (
        result.stderr == "stairways: Settings file stairways.toml cannot be read: Is a directory.\n"
    )


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("STAIRWAYS_SEED", "did you mean STAIRWAYS_RUN__SEED?"),
        ("STAIRWAYS_DATABASE", "did you mean STAIRWAYS_DATABASE_URL?"),
        ("STAIRWAYS_RUN_SEED", "did you mean STAIRWAYS_RUN__SEED?"),
        ("STAIRWAYS_XYZ", "settings are STAIRWAYS_SECTION__KEY."),
    ],
)
def test_an_environment_variable_that_nobody_reads_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, said: str
) -> None:
    monkeypatch.setenv(variable, "99")

    result = train(tmp_path, pair(tmp_path))

    assert result.exit_code == 2
    assert result.stderr == f"stairways: There is no environment variable {variable}; {said}\n"
