"""The doctor finds what is wrong, says what to do, and changes nothing."""

import functools
import json
import os
import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sqlalchemy import create_engine, text

from stairways import cli
from stairways.service import doctor
from stairways.service.doctor import Check, Surroundings, examine
from stairways.service.operation.processes import this_process
from stairways.store.opening import open_sql_store, system_clock
from stairways.store.roles import make_roles
from stairways.store.seal import new_key, write_key
from tests import made_up
from tests.conftest import NewDatabase
from tests.prometheus_parts import free_port

NOW = datetime.now(UTC)


def surroundings(
    url: str, *, key: Path | None = None, gateway: str | None = None, now: datetime | None = None
) -> Surroundings:
    return Surroundings(
        database_url=url,
        shown_database="the log",
        clock=system_clock if now is None else lambda: now,
        key=key,
        gateway=gateway,
        scrape=("127.0.0.1", free_port()),
    )


def found(here: Surroundings) -> dict[str, Check]:
    return {check.name: check for check in examine(here)}


def written(url: str) -> str:
    store = open_sql_store(url)
    made_up.write(store, [made_up.registration()], "r1")
    store.close()
    return url


@pytest.fixture
def log(new_log: NewDatabase) -> str:
    return written(new_log("sqlite"))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    write_key(file, new_key("example.org/log"))
    return file


def test_where_all_is_well_nothing_is_advised(database_url: str, key: Path) -> None:
    written(database_url)
    done = CliRunner().invoke(cli.main, ["--database-url", database_url, "seal", "--key", str(key)])
    assert done.exit_code == 0, done.output

    checks = found(surroundings(database_url, key=key))

    owner = {"rights"} if database_url.startswith("postgresql") else set()
    assert {name for name, check in checks.items() if check.standing != "ok"} == owner
    assert {check.advice for check in checks.values() if check.standing == "ok"} == {""}


def test_a_log_that_is_yet_to_be_made_is_a_warning_and_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()

    checks = found(surroundings(f"sqlite:///{tmp_path}/here/log.db"))

    assert checks["database"].standing == "warning"
    assert checks["database"].advice == "`stairways init` or the first run makes it."
    assert list((tmp_path / "here").iterdir()) == []
    assert found(surroundings(f"sqlite:///{tmp_path}/nowhere/log.db"))["database"].standing == (
        "problem"
    )


@pytest.mark.parametrize("url", ["rubbish", "mysql://host/log", "postgresql://127.0.0.1:1/log"])
def test_a_url_that_leads_nowhere_is_a_problem(url: str) -> None:
    assert found(surroundings(url))["database"].standing == "problem"


def test_a_writer_is_well_a_reader_is_warned_and_so_is_an_owner(new_log: NewDatabase) -> None:
    url = written(new_log("postgres"))
    make_roles(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        for role in ("writer", "auditor"):
            connection.execute(text(f"DROP ROLE IF EXISTS doctor_{role}"))
            connection.execute(text(f"CREATE ROLE doctor_{role} LOGIN IN ROLE stairways_{role}"))
    engine.dispose()

    def told(user: str) -> Check:
        return found(surroundings(url.replace("//postgres@", f"//{user}@")))["rights"]

    assert told("doctor_writer") == Check("rights", "ok", "this account may append and not change")
    assert told("doctor_auditor").found == "this account may read only"
    assert told("postgres").found == "this account owns the tables it writes"


def test_a_file_that_anybody_may_write_is_a_problem(log: str) -> None:
    Path(log.removeprefix("sqlite:///")).chmod(0o666)

    assert found(surroundings(log))["rights"].standing == "problem"


def test_a_clock_behind_the_newest_event_is_a_problem(log: str) -> None:
    late = surroundings(log, now=datetime.now(UTC) - timedelta(hours=1))

    check = found(late)["clock"]

    assert check.standing == "problem"
    assert check.found.startswith(("it is 0:59:", "it is 1:00:"))


def test_a_clock_apart_from_that_of_the_database_is_a_warning(new_log: NewDatabase) -> None:
    url = written(new_log("postgres"))

    check = found(surroundings(url, now=datetime.now(UTC) + timedelta(hours=1)))

    assert check["clock"].standing == "ok"
    assert check["clock of the database"].standing == "warning"


def test_a_key_is_private_there_and_the_one_of_the_log(log: str, key: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_key(other, new_key("example.org/log"))
    unsigned = found(surroundings(log, key=key))["key"]
    CliRunner().invoke(cli.main, ["--database-url", log, "seal", "--key", str(key)])

    signed = found(surroundings(log, key=key))["key"]
    foreign = found(surroundings(log, key=other))["key"]
    missing = found(surroundings(log, key=tmp_path / "none"))["key"]
    key.chmod(0o644)
    open_to_all = found(surroundings(log, key=key))["key"]
    key.write_text("rubbish")
    key.chmod(0o600)
    rubbish = found(surroundings(log, key=key))["key"]

    checks = (unsigned, signed, foreign, missing, open_to_all, rubbish)
    assert [check.standing for check in checks] == ["warning", "ok", *["problem"] * 4]
    assert "stairways keys new" in missing.advice


def test_a_log_that_may_only_be_read_is_a_problem_where_schedules_are_kept(
    log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _, __: False)  # root may write everywhere
    reading = surroundings(log)

    assert found(reading)["rights"].standing == "warning"
    assert found(replace(reading, trains=True))["rights"].standing == "problem"


def test_a_daemon_that_serves_no_metrics_is_a_warning(log: str) -> None:
    store = open_sql_store(log)
    assert found(surroundings(log))["scrape"].standing == "ok"
    store.claim("schedule-nightly", None, this_process(), 10)
    store.close()

    check = found(surroundings(log))["scrape"]

    assert check.standing == "warning"
    assert "a daemon runs here, and nobody serves metrics" in check.found


def test_a_gateway_is_asked_and_its_password_is_not_told(log: str) -> None:
    gone = found(surroundings(log, gateway=f"http://ann:s3cret@127.0.0.1:{free_port()}"))["gateway"]

    assert gone.standing == "warning"
    assert "does not answer: Connection refused" in gone.found
    assert "s3cret" not in gone.found


def test_what_is_missing_or_too_old_is_named() -> None:
    wrong = list(
        doctor._wrong_libraries(
            ["click>=99", "no-such-library>=1", "numpy>=2", "oracle; extra == 'oracle'"]
        )
    )

    assert [sentence.split()[0] for sentence in wrong] == ["click", "no-such-library"]


@pytest.mark.parametrize(
    ("free", "standing"), [(2**20, "problem"), (2**30, "warning"), (2**34, "ok")]
)
def test_room_on_the_disk_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, standing: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    assert doctor.disk("disk", tmp_path).standing == standing


def test_the_command_prints_what_to_do_and_says_by_its_exit_code_if_it_is_urgent(log: str) -> None:
    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli.main, ["--database-url", log, "doctor", *words])
        return done.exit_code, done.stdout

    well, text_ = run()
    no_gateway, as_json = run("--json", "--set", f"metrics.gateway=http://127.0.0.1:{free_port()}")
    warned = json.loads(as_json)
    Path(log.removeprefix("sqlite:///")).chmod(0o666)
    ill, as_json = run("--json")
    blind, nothing = run("--set", "metrics.port=-1")

    assert (well, no_gateway, ill, blind, nothing) == (0, 0, 1, 2, "")
    assert warned["standing"] == "warning"
    assert "what to do" in text_
    report = json.loads(as_json)
    assert report["standing"] == "problem"
    assert {check["name"] for check in report["checks"]} >= {"python", "database", "gateway"}


def test_what_the_sources_import_is_there_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(doctor._not_importable()) == []
    assert {"itsdangerous", "starlette", "torch"} <= doctor.imported(
        Path(doctor.__file__).parents[1]
    )
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "itsdangerous" else 1)

    [check] = [one for one in doctor.versions() if one.name == "libraries"]

    assert check.standing == "problem"
    assert check.found == "the module itsdangerous cannot be imported"


def test_a_library_that_is_missing_is_said_in_one_sentence(
    log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("stairways.console")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "itsdangerous", None)

    said = CliRunner().invoke(cli.main, ["--database-url", log, "serve", "--port", "0"])

    assert said.exit_code == 2, said.output
    assert "The library itsdangerous is not installed." in said.stderr
    assert "Traceback" not in said.stderr


def test_a_plain_installation_lacks_nothing_but_what_extras_bring() -> None:
    brought = {
        module
        for module, names in metadata.packages_distributions().items()
        if not plain_needs("stairways").isdisjoint(map(canonicalize_name, names))
    }

    needed = doctor.imported(Path(doctor.__file__).parents[1])

    assert needed - brought == doctor.OF_EXTRAS


@functools.cache
def plain_needs(name: str) -> frozenset[str]:
    """Return the distributions that come with one that is installed without any extra of ours."""
    found, waiting = set[str](), [(name, frozenset[str]())]
    while waiting:
        this, extras = waiting.pop()
        for line in metadata.requires(this) or ():
            need = Requirement(line)
            marks = [{"extra": one} for one in (*extras, "")]
            if need.marker is not None and not any(map(need.marker.evaluate, marks)):
                continue
            other = canonicalize_name(need.name)
            if other not in found:
                found.add(other)
                waiting.append((other, frozenset(need.extras)))
    return frozenset(found)
