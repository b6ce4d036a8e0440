"""Ordinary mistakes: one sentence that says what to do, exit 2, and nothing recorded."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from stairways import cli
from stairways.store.opening import open_sql_store
from tests import made_up


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a log with one run that was made up, and a signed checkpoint."""
    folder = tmp_path_factory.mktemp("mistakes")
    url = f"sqlite:///{folder}/log.db"
    store = open_sql_store(url)
    made_up.write(store, [made_up.registration(), *made_up.appends("r1")], "r1")
    store.close()
    for name in ("a.key", "b.key"):
        assert (
            run(url, "keys", "new", str(folder / name), "--name", "example.org/log").exit_code == 0
        )
    assert run(url, "seal", "--key", str(folder / "a.key")).exit_code == 0
    return url


def folder_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///")).parent


def run(url: str, *arguments: str, **environment: str) -> Result:
    options = ("--database-url", url, "--log-level", "error")
    return CliRunner().invoke(cli.main, [*options, *arguments], env=environment)


def size_of(url: str) -> int:
    store = open_sql_store(url, read_only=True)
    size = store.head().size
    store.close()
    return size


ORDER = ("override", "r1", "2", "--who", "Ann", "--reason", "why not")
LATIN = "caf\udce9"  # as Python reads the bytes of Latin 1
MISTAKES = [
    (("proof", "10", "-o", "/nowhere/x"), "there is no folder /nowhere; make it first."),
    (("seal", "--key", "a", "--timestamp", "http://nowhere", "/"), "a folder; name a file."),
    (("replay", "r1", "--html", "/nowhere/x.html"), "there is no folder /nowhere; make it first."),
    (
        ("rebuild", "--run", "r1", "--cycle", "1", "--out", "/nowhere/m.zip"),
        "there is no folder /nowhere; make it first.",
    ),
    ((*ORDER, "--promote", "--reject"), "either --promote or --reject."),
    (ORDER, "either --promote or --reject."),
    ((*ORDER[:-1], LATIN, "--promote"), r"'caf\udce9' is no UTF-8 text; write it in UTF-8."),
    (("halt", "--reason", LATIN), r"'caf\udce9' is no UTF-8 text; write it in UTF-8."),
    (("audit", "trail", "--actor", LATIN), r"'caf\udce9' is no UTF-8 text; write it in UTF-8."),
    (("train", "--data", ""), "'--data': it is empty; give a value, or leave it out."),
    (("train", "--run", ""), "'--run': it is empty; give a value, or leave it out."),
    (("train", "--bars", ""), "'--bars': it is empty; give a value, or leave it out."),
    (("replay", ""), "it is empty; give a value."),
    (("audit", "trail", "--actor", "ann"), "under the name ann; the log knows: ann@desk."),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES)
def test_a_mistake_is_named_before_anything_is_done(
    log: str, arguments: tuple[str, ...], said: str
) -> None:
    before = size_of(log)

    done = run(log, "--set", "audit.record=false", *arguments)

    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert done.stderr.rstrip().endswith(said), done.stderr
    assert size_of(log) == before


def test_an_actor_that_is_no_text_is_refused(log: str) -> None:
    done = run(log, "halt", "--reason", "stop", STAIRWAYS_ACTOR=LATIN)

    said = r"stairways: The actor 'caf\udce9' is no UTF-8 text; set STAIRWAYS_ACTOR." + "\n"
    assert (done.exit_code, done.stderr) == (2, said)


def test_a_setting_that_is_no_text_is_refused(log: str) -> None:
    done = run(log, "audit", "runs", STAIRWAYS_RUN__MODEL=LATIN)

    assert done.exit_code == 2
    assert r"run.model must be UTF-8 text, not 'caf\udce9'." in done.stderr


def test_a_key_is_not_rotated_to_itself(log: str) -> None:
    before, key = size_of(log), str(folder_of(log) / "a.key")

    done = run(log, "keys", "rotate", "--old", key, "--new", key, "--reason", "yearly")

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("stairways: The new key is the old one. Make another with ")
    assert size_of(log) == before


def test_a_file_that_is_no_key_is_named(log: str, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("hello")
    for file in (folder_of(log) / "log.db", text):
        done = run(log, "seal", "--key", str(file))

        assert done.exit_code == 2
        assert f"stairways: {file} is no key file: it should begin with PRIVATE+KEY+" in done.stderr


def test_an_archive_of_nothing_says_why(log: str, tmp_path: Path) -> None:
    empty = f"sqlite:///{tmp_path}/empty.db"
    open_sql_store(empty).close()

    none = run(empty, "archive", "--dry-run")
    kept = run(log, "archive", "--dry-run", "--set", "retention.days=36500")

    assert (none.exit_code, none.stdout) == (0, "")
    assert none.stderr == "There is nothing to archive: the log holds no run yet.\n"
    assert (kept.exit_code, kept.stdout) == (0, "")
    assert kept.stderr.endswith("nothing to archive: see above why each run must stay.\n")
    assert len(kept.stderr.splitlines()) == 2
    assert run(empty, "archive", "--dry-run", "--json").stdout == "[]\n"
