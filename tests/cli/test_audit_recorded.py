"""Audits are audited: every question of ``stairways audit`` leaves one event, with who asked."""

import json
from collections.abc import Iterator

import pytest
import structlog
from click.testing import CliRunner

from stairways import cli
from stairways.cli.audit import command
from stairways.store.opening import open_sql_store
from tests import trained

QUESTIONS = {
    "runs": (),
    "cycles": ("latest",),
    "gates": ("latest",),
    "rollbacks": (),
    "events": ("--tail", "3"),
    "steps": ("latest", "--limit", "2"),
    "show": ("3",),
    "why": ("drawdown",),
    "trail": ("--run", "latest"),
    "as-of": ("2999-01-01",),
    "diff": ("latest", "latest"),
    "lineage": (),
    "skill": ("latest",),
    "seeds": ("latest",),
    "folds": ("latest",),
    "sql": ("SELECT count(*) FROM audit_runs",),
}
NO_QUESTION = {"views"}  # says what there is to ask, of any log


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('recorded')}/log.db"
    store = open_sql_store(url)
    trained.train(store)
    store.close()
    return url


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def recorded(url: str) -> list[dict[str, str]]:
    store = open_sql_store(url, read_only=True)
    found = [json.loads(record.payload) for record in store.read(types=("AuditAsked",))]
    store.close()
    return found


def test_no_question_is_forgotten_here() -> None:
    assert set(command.commands) - NO_QUESTION == set(QUESTIONS)


@pytest.mark.parametrize("form", ["", "--json", "--csv"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_recorded_once_in_every_form(log: str, question: str, form: str) -> None:
    arguments = QUESTIONS[question]
    if question == "lineage":
        store = open_sql_store(log, read_only=True)
        (start,) = store.read(types=("RunStarted",))
        store.close()
        arguments = (json.loads(start.payload)["data"],)
    if (question, form) == ("show", "--csv"):
        pytest.skip("a record is no table")
    before = recorded(log)
    options = ("--database-url", log, "--log-level", "error", "audit", question)

    done = CliRunner().invoke(cli.main, [*options, *arguments, *form.split()])

    after = recorded(log)
    assert done.exit_code in ((2,) if question == "folds" else (0,)), done.output
    assert [one["question"] for one in after[len(before) :]] == [f"audit {question}"]
