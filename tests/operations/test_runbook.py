"""Every command in the runbook was run: these tests run it."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from stairways import cli
from stairways.core.values import StreamName
from stairways.readmodels.projector import Projector
from stairways.service.seal import seal_log
from stairways.service.stairway.journal import encoded
from stairways.store.opening import open_sql_store
from stairways.store.seal import new_key
from tests import trained
from tests.metrics.test_figures import schedule_events
from tests.operations.test_alerts import ALERTS

FOLDER = Path(__file__).parents[2] / "docs" / "runbook"
PAGES = sorted(FOLDER.glob("*.md"))
TEXT = {page.stem: page.read_text(encoding="utf-8") for page in PAGES}
RUN = sorted(
    {line for text in TEXT.values() for line in re.findall(r"^\$ (.*)$", text, re.MULTILINE)}
)
NAMED = sorted(
    {one for text in TEXT.values() for one in re.findall(r"`(stairways [a-z][^`]*)`", text)}
)
"""Commands that sentences name, with placeholders in them."""

CLEAN_OR_FOUND = (0, 1)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The signed log of a run that was really trained."""
    folder = tmp_path_factory.mktemp("runbook")
    store = open_sql_store(f"sqlite:///{folder}/log.db")
    trained.train(store)
    Projector(store).catch_up()
    store.append(StreamName("operator"), None, encoded(schedule_events()), trained.context())
    seal_log(store, new_key("example.org/log"), trained.context())
    store.close()
    return folder / "log.db"


@pytest.mark.parametrize("command", RUN)
def test_a_command_of_the_runbook_runs_and_answers(command: str, log: Path, tmp_path: Path) -> None:
    copy = shutil.copy(log, tmp_path / "log.db")
    program, *words = shlex.split(command)

    done = CliRunner().invoke(cli.main, ["--database-url", f"sqlite:///{copy}", *words])

    assert program == "stairways"
    assert done.exit_code in CLEAN_OR_FOUND, done.output
    assert done.stdout


def parameters(words: list[str]) -> Iterator[tuple[str, set[str]]]:
    """Yield each option that is used with the options its command has."""
    with click.Context(cli.main) as context:
        command = cli.main.get_command(context, words[0])
        rest = words[1:]
        if isinstance(command, click.Group) and rest:
            command, rest = command.commands[rest[0]], rest[1:]
        assert command is not None, words
        known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    yield from ((word, known) for word in rest if word.startswith("--"))


@pytest.mark.parametrize("command", NAMED)
def test_a_command_that_a_sentence_names_is_there_with_its_options(command: str) -> None:
    for option, known in parameters(shlex.split(command)[1:]):
        assert option in known, f"{command}: there is no {option}"


def test_every_page_is_of_an_alert_and_is_listed() -> None:
    of_alerts = {Path(page).stem for page in ALERTS.values()}

    assert set(TEXT) == {"README", *of_alerts}
    assert set(re.findall(r"\]\(([\w-]+)\.md\)", TEXT["README"])) == of_alerts


@pytest.mark.parametrize("page", [page for page in TEXT if page != "README"])
def test_a_page_says_what_it_means_how_to_look_and_what_to_do(page: str) -> None:
    assert re.findall(r"^## (.*)$", TEXT[page], re.MULTILINE) == [
        "What it means",
        "How to look",
        "What to do",
    ]
    links = re.findall(r"\]\(([^)]+)\)", TEXT[page])
    assert [link for link in links if not (FOLDER / link).exists()] == []
