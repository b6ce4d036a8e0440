"""The page of rules claims only commands that were run and tests that are there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from stairways import cli
from stairways.service.seal import seal_log
from stairways.store.contract import Context
from stairways.store.opening import open_sql_store
from stairways.store.seal import new_key
from tests import trained

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "compliance.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")][1:]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('compliance')}/log.db"
    store = open_sql_store(url)
    trained.train(store)
    seal_log(store, new_key("example.org/log"), Context(actor="a", correlation="s", append_id="s"))
    store.close()
    return url


@pytest.mark.parametrize("command", [row[2].strip("`") for row in ROWS])
def test_every_command_of_the_page_was_run(
    log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(command)

    done = CliRunner().invoke(cli.main, ["--database-url", log, *arguments])

    assert program == "stairways"
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("named", [one for row in ROWS for one in re.findall(r"`(.*?)`", row[3])])
def test_every_test_of_the_page_is_there(named: str) -> None:
    file, _, name = named.partition("::")

    text = (ROOT / file).read_text(encoding="utf-8")

    assert f"def {name}(" in text or not name


def test_the_page_has_a_row_for_every_rule() -> None:
    rules = {row[0].split(",")[0].split(" (")[0].removesuffix("(f)") for row in ROWS}

    assert {"FINRA 15-09", "SR 26-2", "EU AI Act"} <= rules
    assert {"MiFID II RTS 6", "MiFID II RTS 24", "MiFID II RTS 25"} <= rules
    assert len(ROWS) > 20
