"""Questions about decisions and their evidence, to a real run on both databases."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import structlog
from click.testing import CliRunner, Result

from stairways import cli, codec
from stairways.core import events as e
from stairways.core.values import Position, StreamName
from stairways.service.seal import seal_log
from stairways.store.contract import Context, Encoded
from stairways.store.opening import open_sql_store
from stairways.store.roles import make_roles
from stairways.store.seal import new_key
from tests import made_up, trained
from tests.conftest import KINDS, NewDatabase

WHO = {"STAIRWAYS_ACTOR": "ann@desk"}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of the log of a small trained run and its copy under another name."""
    url = f"sqlite:///{tmp_path_factory.mktemp('questions')}/log.db"
    store = open_sql_store(url)
    trained.train(store)
    made_up.write(store, [made_up.registration(), *made_up.appends("r2")], "r2")
    store.close()
    return url


@pytest.fixture(params=KINDS)
def made_up_log(request: pytest.FixtureRequest, new_log: NewDatabase) -> str:
    url = new_log(request.param)
    store = open_sql_store(url)
    made_up.write(store, [made_up.registration()], "data")
    made_up.write(store, made_up.appends("r1"), "r1")
    store.close()
    return url


def ask(url: str, *arguments: str, record: bool = False) -> Result:
    recording = () if record else ("--set", "audit.record=false")
    options = ("--database-url", url, "--log-level", "error", *recording)
    return CliRunner().invoke(cli.main, [*options, "audit", *arguments], env=WHO)


def rows(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


def test_why_leads_from_a_gate_to_bars_settings_code_and_start(log: str) -> None:
    chain = rows(ask(log, "why", "drawdown", "--run", "r1", "--cycle", "2", "--json"))

    roles = [link["role"] for link in chain]
    assert roles[:2] == ["decision", "limit"]
    wanted = {"measured by", "measured on", "trained by", "trained in", "steps", "grown from"}
    assert {*wanted, "run", "settings", "code", "libraries", "content"} <= set(roles)
    outside = [link["role"] for link in chain if link["position"] is None]
    assert outside == ["grown from", "bars", "content"]  # the start, and bars given unregistered
    assert chain[1]["says"] == "gates.drawdown = 10.0"
    assert str(next(one for one in chain if one["role"] == "content")["says"]).startswith("blob ")


def test_why_by_position_digest_and_model_is_the_same_promotion(log: str) -> None:
    [last] = rows(
        ask(log, "events", "--type", "ModelPromoted", "--run", "r1", "--tail", "1", "--json")
    )
    told = last["payload"]
    assert isinstance(told, dict)

    by_model = ask(log, "why", "default", "--json").stdout

    assert by_model == ask(log, "why", str(last["position"]), "--json").stdout
    assert by_model == ask(log, "why", told["parameters"][:12], "--json").stdout
    assert json.loads(by_model)[0]["type"] == "ModelPromoted"


@pytest.mark.parametrize("target", ["nothing", "1", "0", "9" * 400, "ffffffff", "", "a\x1b[31m"])
def test_why_of_what_is_not_there_is_refused_in_a_sentence(log: str, target: str) -> None:
    result = ask(log, "why", target)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "\x1b" not in result.stderr


def test_as_of_tells_what_was_served_and_who_decided(made_up_log: str) -> None:
    [now] = rows(ask(made_up_log, "as-of", "2999-01-01", "--json"))

    assert (now["model"], now["run"], now["cycle"]) == ("pair", "r1", 1)
    assert (now["decided_by"], now["recorded_by"]) == ("the gates", "ann@desk")
    assert rows(ask(made_up_log, "as-of", "1999-01-01", "--json")) == []


def test_as_of_refuses_a_model_nobody_knows_and_says_where_the_log_ends(made_up_log: str) -> None:
    unknown = ask(made_up_log, "as-of", "2999-01-01", "--model", "other", "--json")
    later = ask(made_up_log, "as-of", "2999-01-01")

    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "There is no model other; the log knows: " in unknown.stderr
    assert "The newest event of this log is of 20" in later.stderr
    assert "newest event" not in ask(made_up_log, "as-of", "1999-01-01").stderr


def test_as_of_names_the_person_who_decided_against_the_gates(made_up_log: str) -> None:
    store = open_sql_store(made_up_log)
    verdict = Position(max(one.position for one in store.read(types=("CycleVerdict",))))
    overridden = e.GateOverridden(
        run="r1", cycle=2, who="bob", why="worth it", promoted=True, verdict=verdict
    )
    promotion = dataclasses.replace(made_up.promotion("r1", cycle=2), verdict=verdict)
    made_up.write(store, [(StreamName("model-pair"), [overridden, promotion])], "operator")
    store.close()

    [now] = rows(ask(made_up_log, "as-of", "2999-01-01", "--json"))

    assert (now["cycle"], now["decided_by"]) == (2, "bob")
    assert now["reason"] == "against the gates: worth it"


def test_rollbacks_tell_limit_and_cause(made_up_log: str) -> None:
    found = rows(ask(made_up_log, "rollbacks", "r1", "--json"))

    told = [(row["type"], row["cycle"], row["attempt"], row["divergence"]) for row in found]
    assert told == [
        ("DivergenceDetected", 2, 1, 0.2),
        ("ModelRolledBack", 2, 1, None),
        ("ModelRolledBack", 2, 2, None),
    ]
    assert found[0]["limit"] == 0.15
    assert rows(ask(made_up_log, "rollbacks", "--json")) == found


def test_a_trail_tells_in_words_what_happened(made_up_log: str) -> None:
    of_run = rows(ask(made_up_log, "trail", "--run", "r1", "--json"))
    of_model = rows(ask(made_up_log, "trail", "--model", "pair", "--json"))
    by_ann = rows(ask(made_up_log, "trail", "--actor", "ann@desk", "--json"))

    assert [row["position"] for row in of_run] == [row["position"] for row in of_model]
    assert len(by_ann) == len(of_run) + 2  # the registration of the bars and its finding
    assert str(of_run[0]["says"]).startswith("a run of model pair began with seed 7 on bars")
    unknown = ask(made_up_log, "trail", "--actor", "ann")
    assert unknown.exit_code == 2
    assert "under the name ann; the log knows: ann@desk." in unknown.output
    assert ask(made_up_log, "trail", "--model", "ghost").exit_code == 2
    assert ask(made_up_log, "trail").exit_code == 2


def test_diff_names_everything_that_differs_and_nothing_else(log: str) -> None:
    differing = ask(log, "diff", "r1", "r2", "--json")
    same = ask(log, "diff", "r1", "run-r1", "--json")

    found = {
        (row["section"], row["name"]): (row["a"], row["b"]) for row in json.loads(differing.stdout)
    }
    assert differing.exit_code == 1
    assert found["data", "digest"][1] == made_up.DATA
    assert found["settings", "gates.drawdown"] == ("10.0", None)
    assert found["results", "cycle 2 verdict"][1] == "rejected"
    assert {"settings", "data", "code", "machine", "results"} == {section for section, _ in found}
    assert (same.exit_code, json.loads(same.stdout)) == (0, [])


def test_lineage_tells_parents_children_and_where_a_digest_is_named(log: str) -> None:
    promoted = rows(ask(log, "events", "--type", "ModelPromoted", "--run", "r1", "--json"))
    first, second = (row["payload"]["parameters"] for row in promoted)  # type: ignore[index]  # payloads

    found = json.loads(ask(log, "lineage", first[:10], "--json").stdout)
    child = json.loads(ask(log, "lineage", second, "--json").stdout)

    assert found["digest"] == first
    assert found["children"] == [second]
    assert child["parents"][0] == first
    assert {"parameters", "parent"} <= set(found["roles"])
    assert found["blob"] > 1_000


@pytest.mark.parametrize("digest", ["xyz", "0" * 64, "abc", "A" * 64, "e" * 100_000])
def test_lineage_of_what_no_event_names_is_refused(log: str, digest: str) -> None:
    result = ask(log, "lineage", digest)

    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr) < 500


def test_show_says_which_checkpoint_covers_a_record(new_log: NewDatabase) -> None:
    url = new_log("sqlite")
    store = open_sql_store(url)
    made_up.write(store, [made_up.registration()], "data")
    seal_log(store, new_key("example.org/log"), Context(actor="a", correlation="c", append_id="s"))
    made_up.write(store, made_up.appends("r1"), "r1")
    store.close()

    covered = json.loads(ask(url, "show", "1", "--json").stdout)
    later = json.loads(ask(url, "show", "9", "--json").stdout)

    assert (covered["checkpoint"]["origin"], covered["checkpoint"]["proven"]) == (
        "example.org/log",
        True,
    )
    assert any("openssl dgst" in line for line in covered["check"])
    assert later["checkpoint"] is None
    assert "stairways seal" in later["check"][0]


def test_a_question_is_recorded_with_who_asked_it(made_up_log: str) -> None:
    before = len(rows(ask(made_up_log, "events", "--json")))

    asked = ask(made_up_log, "gates", "latest", "--cycle", "1", record=True)
    [event] = rows(ask(made_up_log, "events", "--type", "AuditAsked", "--json"))

    assert asked.exit_code == 0, asked.stderr
    assert asked.stderr == ""
    assert event["actor"] == "ann@desk"
    said = event["payload"]
    assert isinstance(said, dict)
    assert (said["question"], said["size"]) == ("audit gates", before)
    assert said["arguments"] == {"run": "latest", "cycle": "1"}


def test_an_answer_does_not_contain_its_own_question(made_up_log: str) -> None:
    [last] = rows(ask(made_up_log, "events", "--tail", "1", "--json", record=True))

    assert last["type"] == "RunFinished"


def test_an_oversized_argument_is_cut_where_it_is_recorded(made_up_log: str) -> None:
    ask(made_up_log, "events", "--stream", "x" * 100_000, "--json", record=True)

    [event] = rows(ask(made_up_log, "events", "--type", "AuditAsked", "--json"))
    assert len(json.dumps(event["payload"])) < 3_000


def test_an_auditor_of_postgresql_is_answered_and_told_it_is_not_recorded(
    new_log: NewDatabase,
) -> None:
    url = new_log("postgres")
    store = open_sql_store(url)
    made_up.write(store, [made_up.registration(), *made_up.appends("r1")], "r1")
    store.close()
    make_roles(url)
    name = f"auditor_{os.getpid()}"
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN IN ROLE stairways_auditor")
    try:
        result = ask(url.replace("postgres@", f"{name}@"), "runs", "--json", record=True)
    finally:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"DROP ROLE {name}")

    assert [row["run"] for row in rows(result)] == ["r1"]
    assert result.stderr.startswith("This question was not recorded in the log: ")
    assert result.stderr.count("\n") == 1


def test_missing_rows_of_a_long_log_are_a_finding_not_a_shorter_table(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    store = open_sql_store(url)
    made_up.write(store, [made_up.registration(), *made_up.appends("r1")], "r1")
    gate = next(store.read(types=("GateDecided",))).position
    store.close()
    with sqlite3.connect(tmp_path / "log.db") as file:
        [(guard,)] = file.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'events_refuse_delete'"
        )
        file.execute("DROP TRIGGER events_refuse_delete")
        file.execute("DELETE FROM events WHERE position = ?", (gate,))
        file.execute(guard)
    file.close()

    for limit in ("0", "200000"):
        result = ask(url, "--set", f"audit.rehash_up_to={limit}", "gates", "--json")

        assert result.exit_code == 1
        assert f"position {gate}: " in result.stderr


def test_a_type_changed_to_hide_a_record_is_a_finding(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    store = open_sql_store(url)
    made_up.write(store, [made_up.registration(), *made_up.appends("r1")], "r1")
    gate = next(store.read(types=("GateDecided",))).position
    store.close()
    with sqlite3.connect(tmp_path / "log.db") as file:
        [(guard,)] = file.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'events_refuse_update'"
        )
        file.execute("DROP TRIGGER events_refuse_update")
        file.execute("UPDATE events SET type = 'StepTaken' WHERE position = ?", (gate,))
        file.execute(guard)
    file.close()

    result = ask(url, "gates", "--json")
    unsure = ask(url, "--set", "audit.rehash_up_to=0", "gates", "--json")

    assert result.exit_code == 1
    assert f"position {gate}: " in result.stderr
    assert "`stairways verify` finds that; none is recorded (--record)." in unsure.stderr


@pytest.mark.parametrize("form", ["--json", "--csv", "--table"])
def test_follow_prints_events_as_they_come(tmp_path: Path, form: str) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    store = open_sql_store(url)
    made_up.write(store, [made_up.registration()], "data")
    options = ("--database-url", url, "--set", "audit.record=false", "audit", "events", "--follow")
    program = [sys.executable, "-u", "-m", "stairways", *options, form]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        head = [process.stdout.readline() for _ in range(2 if form == "--json" else 3)]
        made_up.write(store, [(StreamName("run-r1"), [made_up.started()])], "r1")
        started = time.monotonic()
        later = process.stdout.readline()
        waited = time.monotonic() - started
        process.send_signal(signal.SIGINT)
        process.wait(20)
    store.close()

    assert "DataFindingRaised" in head[-1]
    assert "RunStarted" in later
    assert waited < 20
    assert process.returncode == 130


def test_follow_says_at_once_what_is_damaged_in_what_came_later(tmp_path: Path) -> None:
    url, later = f"sqlite:///{tmp_path}/log.db", tmp_path / "later.db"
    store = open_sql_store(url)
    made_up.write(store, [made_up.registration()], "data")
    store.close()
    shutil.copy(tmp_path / "log.db", later)
    store = open_sql_store(f"sqlite:///{later}")
    made_up.write(store, [(StreamName("run-r1"), [made_up.started()])], "r1")
    store.close()
    options = ("--database-url", url, "--set", "audit.record=false", "audit", "events", "--follow")
    program = [sys.executable, "-u", "-m", "stairways", *options]

    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for _ in range(3):
                process.stdout.readline()
            _let_come(tmp_path / "log.db", later, payload=b"{}")
            _, told = process.communicate(timeout=30)
        finally:
            process.kill()

    assert process.returncode == 1
    assert told.startswith("position 3: record")


def _let_come(log: Path, later: Path, payload: bytes) -> None:
    """Give a log the event of another that has one more, with a payload that is not its own."""
    with contextlib.closing(sqlite3.connect(log, isolation_level=None)) as file:
        file.execute("ATTACH ? AS later", (str(later),))
        file.execute("BEGIN IMMEDIATE")
        for table, key in (("streams", "id > 1"), ("appends", "first > 2")):
            file.execute(f"INSERT INTO {table} SELECT * FROM later.{table} WHERE {key}")
        columns = "position, type, schema, ?, leaf"
        row = f"SELECT {columns} FROM later.events WHERE position > 2"
        file.execute(f"INSERT INTO events {row}", (payload,))
        file.execute(
            "UPDATE head SET (size, root, edge) = (SELECT size, root, edge FROM later.head)"
        )
        file.execute("COMMIT")


def test_stored_text_is_shown_but_not_obeyed_by_terminals_and_spreadsheets(
    new_log: NewDatabase,
) -> None:
    url = new_log("sqlite")
    store = open_sql_store(url)
    evil = '=HYPERLINK("http://x","y")\x1b]0;owned\x07\u202e\r\n[red]'
    made_up.write(store, [made_up.registration()], "data")
    start = made_up.started()
    made_up.write(store, [(StreamName("run-r1"), [start])], "r1")
    context = Context(actor=evil, correlation=evil, append_id="evil")
    failed = e.RunFailed(reason=evil, cycle=1, step=1)
    store.append(
        StreamName("run-r1"), None, [Encoded(*codec.type_of(failed), codec.encode(failed))], context
    )
    store.close()

    for arguments in (("events",), ("trail", "--run", "r1"), ("runs",), ("show", "4")):
        text = ask(url, *arguments).stdout
        assert not {"\x1b", "\x07", "\u202e", "\r"} & set(text)
    for arguments in (("events",), ("trail", "--run", "r1"), ("runs",)):
        for line in ask(url, *arguments, "--csv").stdout.splitlines():
            assert not line.startswith("=")
            assert ",=" not in line
            assert ',"=' not in line
