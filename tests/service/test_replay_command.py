"""``stairways replay`` on databases: clean, changed behind the guards, damaged, missing."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
import structlog
from click.testing import CliRunner, Result

from stairways import cli, codec
from stairways.core.values import StreamName
from stairways.store.contract import Record
from stairways.store.memory import MemoryStore
from stairways.store.opening import open_store
from tests.trained import new_store, train, written

HEAVY = ("torch", "stable_baselines3", "gymnasium", "pandas", "numba", "polars")


@pytest.fixture(scope="module")
def records() -> Sequence[Record]:
    store: MemoryStore = new_store()
    train(store)
    return list(store.read())


@pytest.fixture
def log(database_url: str, records: Sequence[Record]) -> str:
    """The URL of a database that holds the log of a run: SQLite and PostgreSQL in turn."""
    store = open_store(database_url)
    written(store, records)
    store.close()
    return database_url


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def replay(url: str, *arguments: str) -> Result:
    options = ("--database-url", url, "--log-level", "error", "replay", *arguments)
    return CliRunner().invoke(cli.main, options, prog_name="stairways")


@contextlib.contextmanager
def unguarded(url: str) -> Iterator[Any]:
    """Open a database behind the back of its guards, as an owner can; then put them back."""
    if url.startswith("sqlite"):
        connection: Any = sqlite3.connect(url.removeprefix("sqlite:///"))
        guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        kept = guards.fetchall()
        for name, _ in kept:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for _, statement in kept:
            connection.execute(statement)
    else:
        connection = psycopg.connect(url.replace("+psycopg", ""))
        connection.execute("ALTER TABLE events DISABLE TRIGGER USER")
        yield connection
        guards = connection.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid='events'::regclass AND NOT tgisinternal"
        )
        for (name,) in guards.fetchall():
            connection.execute(f"ALTER TABLE events ENABLE ALWAYS TRIGGER {name}")
    connection.commit()
    connection.close()


def overwrite(url: str, position: int, payload: bytes) -> None:
    mark = "?" if url.startswith("sqlite") else "%s"
    with unguarded(url) as connection:
        statement = f"UPDATE events SET payload = {mark} WHERE position = {mark}"
        assert connection.execute(statement, (payload, position)).rowcount == 1


def middle(records: Sequence[Record], type_: str) -> Record:
    of_type = [record for record in records if record.type == type_]
    return of_type[len(of_type) // 2]


def test_a_clean_log_exits_with_0_and_keeps_the_replay(log: str) -> None:
    result = replay(log, "latest")

    assert result.exit_code == 0, result.output
    assert "every balance agrees" in result.stdout
    store = open_store(log)
    [noted] = store.read(stream=StreamName("operator"))
    store.close()
    assert noted.type == "ReplayFinished"
    assert noted.correlation == "r1"


def test_one_value_changed_in_the_database_exits_with_1_and_is_named(
    log: str, records: Sequence[Record]
) -> None:
    money = ("shares", "prices", "costs", "positions", "cash", "equity")
    for type_, field in [*(("StepTaken", f) for f in money), ("EvaluationStepTaken", "prices")]:
        record = middle(records, type_)
        payload = orjson.loads(record.payload)
        by_symbol = isinstance(payload[field], list)
        if by_symbol:
            payload[field][1] += 1
        else:
            payload[field] += 1
        overwrite(log, record.position, codec.canonical(payload))

        result = replay(log, "r1")
        as_json = replay(log, "r1", "--json")
        overwrite(log, record.position, record.payload)

        assert (result.exit_code, as_json.exit_code) == (1, 1)
        assert f"position {record.position}: {type_}: {field}" in result.stderr
        [level] = json.loads(as_json.stdout)["levels"]
        first = level["first"]
        assert level["found"] == 1
        assert (first["position"], first["field"]) == (record.position, field)
        assert first["symbol"] == ("BBB" if by_symbol else "")
        assert first["recorded"] != first["expected"]
    assert replay(log, "r1").exit_code == 0


def test_a_payload_destroyed_in_the_database_exits_with_1_and_is_named(
    log: str, records: Sequence[Record]
) -> None:
    record = middle(records, "StepTaken")
    overwrite(log, record.position, b"\x00\xff\x1b[31m")

    result = replay(log, "latest")

    assert result.exit_code == 1
    assert f"position {record.position}: StepTaken: payload is not JSON" in result.stderr
    assert "\x1b" not in result.stderr


def test_what_cannot_be_looked_at_exits_with_2(log: str, tmp_path: Path) -> None:
    ghost = replay(log, "ghost")
    with unguarded(log) as connection:
        connection.execute("ALTER TABLE blobs RENAME TO hidden")
        connection.execute("CREATE TABLE blobs AS SELECT * FROM hidden WHERE 1 = 0")
    no_bars = replay(log, "latest")
    no_log = replay(f"sqlite:///{tmp_path}/no/such/folder.db", "latest")
    no_share = replay(log, "latest", "--tolerance", "lots")

    assert [r.exit_code for r in (ghost, no_bars, no_log, no_share)] == [2, 2, 2, 2]
    assert "ghost" in ghost.stderr
    assert "0.1%" in no_share.stderr


def test_a_tolerance_may_be_given_and_nothing_need_be_written(
    log: str, records: Sequence[Record]
) -> None:
    record = middle(records, "EvaluationStepTaken")
    payload = orjson.loads(record.payload)
    payload["equity"] += 1
    overwrite(log, record.position, codec.canonical(payload))

    exits = [
        replay(log, "latest", "--no-record", *options).exit_code
        for options in ((), ("--tolerance", "0.1%"), ("--tolerance", "0"))
    ]

    assert exits == [1, 0, 1]
    store = open_store(log)
    assert store.head().size == len(records)
    store.close()


def test_the_report_as_json_has_money_in_whole_micros_and_all_versions(log: str) -> None:
    report = json.loads(replay(log, "latest", "--json").stdout)

    [level] = report["levels"]
    assert report["clean"] is level["clean"] is True
    assert level["level"] == "ledger"
    assert type(level["recorded_profit"]) is int
    assert level["recorded_profit"] == sum(part["recorded"] for part in level["profits"])
    assert level["threshold"] == {"share": 0.001, "exact": True}
    assert report["libraries"]["numpy"] == report["recorded_libraries"]["numpy"]
    assert level["findings"] == []


def test_replay_needs_neither_learner_nor_environment(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    store = open_store(url)
    train(store)
    store.close()
    code = (
        "import sys; from stairways.cli import main\n"
        "try: main(['--log-level', 'error', 'replay', 'latest'])\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    environment = {**os.environ, "STAIRWAYS_DATABASE_URL": url}

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )

    assert done.stdout.splitlines()[-1] == "[]"
