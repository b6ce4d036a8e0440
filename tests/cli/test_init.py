import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from stairways import cli
from stairways.store.opening import newest_revision, open_sql_store
from tests import made_up


def init(url: str, *arguments: str) -> Result:
    result = CliRunner().invoke(cli.main, ["init", "--database-url", url, *arguments])
    structlog.reset_defaults()
    return result


def test_an_empty_database_becomes_a_log_on_both_databases(empty_database_url: str) -> None:
    result = init(empty_database_url, "--json")

    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert (said["events"], said["schema"]) == (0, newest_revision())
    open_sql_store(empty_database_url).close()


def test_what_is_recorded_stays_when_init_is_repeated(database_url: str) -> None:
    store = open_sql_store(database_url)
    made_up.write(store, [made_up.registration()], "data")
    before = store.head()

    result = init(database_url)

    assert result.stdout.endswith("is ready: 2 events.\n")
    assert store.head() == before
    store.close()


def test_the_password_of_the_database_is_not_shown(
    new_database: Callable[[str], str],
) -> None:
    url = new_database("postgres").replace("postgres@", "postgres:s3cret@")

    result = init(url)

    assert result.exit_code == 0, result.stderr
    assert "postgres:***@" in result.stdout
    assert "s3cret" not in result.output


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    other.close()

    result = init(f"sqlite:///{file}")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "is not a Stairways log" in result.stderr
    with sqlite3.connect(file) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("songs",)]
    other.close()


def test_a_log_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    open_sql_store(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as log:
        log.execute("UPDATE alembic_version SET version_num = '9999'")
    log.close()

    result = init(f"sqlite:///{file}")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "Use a newer Stairways" in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://a@b/c",
        "sqlite:////nowhere/at/all/log.db",
        "postgresql+psycopg://ann:s3cret@127.0.0.1:1/log",
    ],
)
def test_a_database_that_does_not_open_is_one_sentence_and_exit_2(url: str) -> None:
    result = init(url)

    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert "s3cret" not in result.stderr
