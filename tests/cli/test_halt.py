"""While all is halted no model is handed out nor promoted; what takes one away still works."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stairways import cli
from stairways.core import events as e
from stairways.service.stairway.journal import decoded
from stairways.store.opening import open_store, upgrade
from tests import trained


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a log of a small run, all halted."""
    found = f"sqlite:///{tmp_path_factory.mktemp('halt')}/log.db"
    upgrade(found)
    store = open_store(found)
    trained.train(store)
    store.close()
    assert run(found, "halt", "--reason", "smoke", "--who", "ada").exit_code == 0
    return found


def run(url: str, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["--database-url", url, *words], prog_name="stairways")


def test_a_model_is_handed_out_for_an_audit_only(url: str, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    wanted = ("rebuild", "--cycle", "1", "--out", str(file))

    refused = run(url, *wanted)

    assert refused.exit_code == 2
    assert refused.stderr == (
        "stairways: ada halted all training and serving: smoke. "
        "`stairways halt --lift --reason …` lifts it.\n"
    )
    assert not file.exists()
    assert run(url, *wanted, "--for-audit").exit_code == 0
    assert file.exists()


def test_nothing_is_promoted_but_a_model_may_be_taken_out_of_service(url: str) -> None:
    store = open_store(url)
    (first, *_) = [decoded(one) for one in store.read(types=["ModelPromoted"])]
    store.close()
    assert isinstance(first, e.ModelPromoted)
    words = ("--who", "bob", "--reason", "why")

    promoted = run(url, "override", "latest", "2", "--promote", *words)
    back = run(url, "rollback", "default", "--to", first.parameters[:12], *words)

    assert (promoted.exit_code, back.exit_code) == (2, 0)
    assert "ada halted all training and serving: smoke." in promoted.stderr


def test_a_second_halt_and_a_halt_without_a_reason_are_refused(url: str) -> None:
    assert run(url, "halt", "--reason", "again").exit_code == 2
    assert run(url, "halt", "--reason", " ").exit_code == 2
    assert run(url, "halt").exit_code == 2
