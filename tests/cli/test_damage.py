"""Damaged logs and odd arguments: a finding or one sentence, never a traceback or a secret."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from stairways import cli
from stairways.store.opening import newest_revision, open_sql_store
from tests import made_up, trained


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a trained run."""
    file = tmp_path_factory.mktemp("damage") / "log.db"
    store = open_sql_store(f"sqlite:///{file}")
    trained.train(store)
    store.close()
    return file


@pytest.fixture
def log(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def stairways(database: Path | str, *arguments: str) -> Result:
    url = database if isinstance(database, str) else f"sqlite:///{database}"
    options = ("--database-url", url, "--log-level", "error")
    return CliRunner().invoke(cli.main, [*options, *arguments])


def damage(file: Path, *statements: str) -> None:
    """Change a log behind the back of its guards, which stand again afterwards."""
    with contextlib.closing(sqlite3.connect(file)) as log:
        guards = log.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        kept = guards.fetchall()
        for name, _ in kept:
            log.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            log.execute(statement)
        for _, guard in kept:
            log.execute(guard)
        log.commit()


def one(file: Path, query: str) -> int:
    with contextlib.closing(sqlite3.connect(file)) as log:
        return int(log.execute(query).fetchone()[0])


def refused_in_one_sentence(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)
    return result.stderr


BOTH = ("events WHERE position > {}", "appends WHERE first > {}")


@pytest.mark.parametrize("tables", [BOTH[:1], BOTH])
@pytest.mark.parametrize("place", ["EvaluationFinished", "CycleStarted"])
def test_events_missing_at_the_end_are_a_finding_of_replay(
    log: Path, tables: Sequence[str], place: str
) -> None:
    last = one(log, f"SELECT max(position) FROM events WHERE type = '{place}'") - 1
    last = one(log, f"SELECT max(last) FROM appends WHERE last <= {last}")
    damage(log, *(f"DELETE FROM {table.format(last)}" for table in tables))

    result = stairways(log, "replay", "latest", "--no-record")

    assert result.exit_code == 1, result.output
    assert f"position {last + 1}: log: the log should hold" in result.stderr


def test_events_missing_from_the_middle_are_a_finding_of_replay(log: Path) -> None:
    gone = one(log, "SELECT min(position) FROM events WHERE type = 'PolicyUpdated'")
    damage(log, f"DELETE FROM events WHERE position = {gone}")

    result = stairways(log, "replay", "latest", "--no-record")

    assert result.exit_code == 1, result.output
    assert "1 events of the run before it are missing" in result.stderr


def test_the_end_of_a_run_missing_before_others_events_is_a_finding(log: Path) -> None:
    assert stairways(log, "replay", "latest").exit_code == 0
    gone = one(log, "SELECT max(position) FROM events WHERE type = 'RunFinished'")
    damage(log, f"DELETE FROM events WHERE position = {gone}")

    result = stairways(log, "replay", "latest", "--no-record")

    assert result.exit_code == 1, result.output
    assert "the last 1 are missing" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("replay", "latest"), ("replay", "latest", "--no-record"), ("audit", "cycles")]
)
def test_a_log_without_its_head_is_refused(log: Path, arguments: Sequence[str]) -> None:
    damage(log, "DELETE FROM head")

    assert "Run `stairways verify`" in refused_in_one_sentence(stairways(log, *arguments))
    assert stairways(log, "verify").exit_code == 1


@pytest.mark.parametrize("type_", ["StepTaken", "ControllerUpdated", "EvaluationFinished"])
def test_a_payload_that_is_gone_is_a_finding(log: Path, type_: str) -> None:
    gone = one(log, f"SELECT max(position) FROM events WHERE type = '{type_}'")
    damage(log, f"UPDATE events SET payload = NULL WHERE position = {gone}")

    replayed = stairways(log, "replay", "latest", "--no-record")
    shown = stairways(log, "audit", "show", str(gone))

    assert (replayed.exit_code, shown.exit_code) == (1, 1)
    assert f"position {gone}: {type_}" in replayed.stderr
    assert "is NOT the stored leaf" in shown.stdout
    listed = stairways(log, "audit", "events", "--run", "latest", "--json")
    assert listed.exit_code == 1
    assert f"position {gone}: " in listed.stderr
    assert json.loads(listed.stdout)[-1]["type"] == "RunFinished"


def test_a_log_that_does_not_say_its_schema_is_a_finding_and_refused(log: Path) -> None:
    damage(log, "DELETE FROM alembic_version")

    verified = stairways(log, "verify")
    said = refused_in_one_sentence(stairways(log, "replay", "latest"))

    assert verified.exit_code == 1, verified.output
    assert f"alembic_version is missing, expected {newest_revision()}" in verified.stderr
    assert f"alembic_version is missing or empty, expected {newest_revision()}" in said


@pytest.mark.parametrize("position", ["99999999999999999999", "9223372036854775808", "0"])
def test_a_position_no_database_can_hold_is_not_there(log: Path, position: str) -> None:
    said = refused_in_one_sentence(stairways(log, "audit", "show", position))

    assert f"There is no position {position}; the log holds 1 to" in said


@pytest.mark.parametrize("option", ["--to", "--after"])
@pytest.mark.parametrize("run", [(), ("--run", "latest"), ("--cycle", "1")])
def test_a_range_beyond_every_number_is_a_range(log: Path, option: str, run: Sequence[str]) -> None:
    asked = ("audit", "events", option, "99999999999999999999", "--json", *run)

    assert stairways(log, *asked).exit_code == 0


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://u:s3cret@h:port/x",
        "postgresql//u:s3cret@h/x",
        "postgresql//u:s3/cr@s3cret@h/x?password=s3cret",
    ],
)
def test_a_malformed_url_is_refused_without_its_password(url: str) -> None:
    for command in (("replay", "latest"), ("audit", "runs"), ("verify",), ("init",)):
        said = refused_in_one_sentence(stairways(url, *command))

        assert "is no database URL" in said
        assert "s3" not in said


def test_bars_that_are_gone_are_named_where_an_answer_rests_on_them(log: Path) -> None:
    store = open_sql_store(f"sqlite:///{log}")
    made_up.write(store, [made_up.registration()], "data")
    store.close()
    damage(log, f"DELETE FROM blobs WHERE digest = '{trained.BARS.digest}'")

    why = stairways(log, "audit", "why", "default")
    listed = stairways(log, "data", "list", "--json")

    assert why.exit_code == 1, why.output
    assert f"blob {trained.BARS.digest} is missing or damaged" in why.stderr
    assert "promotion" in why.stdout
    assert listed.exit_code == 1, listed.output
    assert len(json.loads(listed.stdout)) == 1
    assert "bars AAPL+MSFT: The log holds no blob" in listed.stderr


def test_steps_whose_payloads_are_gone_are_a_finding_and_not_called_something_else(
    log: Path,
) -> None:
    damage(log, "UPDATE events SET payload = NULL WHERE type = 'StepTaken'")

    result = stairways(log, "audit", "steps", "latest")

    assert result.exit_code == 1, result.output
    assert "is no StepTaken" not in result.stderr
    assert "There is no answer to this: What the StepTaken at position" in result.stderr


def test_the_trail_is_in_words(log: Path) -> None:
    told = stairways(log, "audit", "trail", "--run", "latest", "--json")
    says = [row["says"] for row in json.loads(told.stdout)]

    assert any("buy and hold earned" in said for said in says)
    assert any("deflated Sharpe" in said and "models tried" in said for said in says)
    assert not [said for said in says if said.startswith(("SkillMeasured", "BaselinesMeasured"))]


def test_every_link_of_why_says_what_stands_at_its_position(log: Path) -> None:
    links = json.loads(stairways(log, "audit", "why", "default", "--json").stdout)
    store = open_sql_store(f"sqlite:///{log}", read_only=True)
    types = {record.position: record.type for record in store.read()}
    store.close()

    cited = [link for link in links if link["position"] is not None and link["type"]]
    assert [link["role"] for link in cited].count("steps") == 1
    assert all(types[link["position"]] == link["type"] for link in cited)


def test_a_replay_says_that_it_rehashes_nothing(log: Path) -> None:
    done = stairways(log, "replay", "latest", "--no-record")

    assert done.exit_code == 0, done.output
    assert "No record was rehashed" in done.stderr
