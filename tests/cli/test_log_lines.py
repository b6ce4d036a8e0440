"""Log lines: as their schema says, never against the log, and without secrets."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import structlog
from rich.console import Console

from stairways import logs
from stairways.bootstrap import App
from stairways.cli.watching import Watcher
from stairways.core import events as e
from stairways.core.progress import Progress
from stairways.core.values import Position
from stairways.service.stairway.journal import decoded
from stairways.store.opening import open_store
from tests import processes
from tests.cli.test_logs import pipe, said, untouched  # noqa: F401 - a fixture that is used by itself

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "log-line.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
Line = dict[str, Any]


def spoken(*words: str) -> list[Line]:
    """Run the program and return what it said, which must be JSON line by line."""
    done = subprocess.run(
        [sys.executable, "-m", "stairways", "--json-logs", "--log-level", "debug", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Line]]:
    """The log of a run with divergences in it, and what was said while it trained."""
    folder = tmp_path_factory.mktemp("lines")
    url, bars = f"sqlite:///{folder}/log.db", processes.bars_file(folder)
    command = processes.train_command(url, bars, cycles=2)
    words = command[command.index("train") :]
    again = ["--set", "stairway.divergence_limit=0.0001"]
    return url, spoken("--database-url", url, *words, *again)


def test_every_line_of_a_run_is_as_the_schema_says(trained: tuple[str, list[Line]]) -> None:
    _, lines = trained

    wrong = [(line, error.message) for line in lines for error in VALIDATOR.iter_errors(line)]

    assert wrong == []
    assert len(lines) > 10


def test_the_schema_is_a_schema_and_refuses_what_is_no_line() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    line = {"timestamp": "2026-01-05T14:30:00.000000Z", "level": "info", "event": "x"}
    assert not VALIDATOR.is_valid(line)
    assert VALIDATOR.is_valid({**line, "run": None, "cycle": None, "position": None})
    assert not VALIDATOR.is_valid({**line, "run": "r", "cycle": 0, "position": 1})


def test_a_line_that_names_a_position_says_what_the_event_there_says(
    trained: tuple[str, list[Line]],
) -> None:
    url, lines = trained
    store = open_store(url)
    events = {record.position: decoded(record) for record in store.read()}
    streams = {record.position: record.stream for record in store.read()}
    store.close()
    compared = set()

    for line in (line for line in lines if line["position"] is not None):
        event = events[line["position"]]
        for name in set(line) & set(getattr(type(event), "__slots__", ())) - {"event"}:
            assert line[name] == getattr(event, name), (line, event)
            compared.add((type(event).__name__, name))
        if isinstance(event, e.PolicyUpdated) and "note" in line:
            assert line["note"].endswith(f"holding {event.hold_rate:.0%}")
        assert streams[line["position"]] in (f"run-{line['run']}", "model-default")

    assert {
        ("DivergenceDetected", "divergence"),
        ("DivergenceDetected", "limit"),
        ("ModelRolledBack", "learning_rate"),
        ("EvaluationFinished", "hold_rate"),
        ("EvaluationFinished", "profit"),
        ("CycleVerdict", "promoted"),
        ("RunFinished", "steps"),
    } <= compared


def test_every_line_of_training_names_its_run_and_from_its_first_event_on_its_position(
    trained: tuple[str, list[Line]],
) -> None:
    _, lines = trained
    first = next(number for number, line in enumerate(lines) if line["event"] == "run started")
    last = next(number for number, line in enumerate(lines) if line["event"] == "run finished")
    positions = [line["position"] for line in lines[first : last + 1]]

    assert {line["run"] for line in lines[first : last + 1]} == {lines[first]["run"]}
    assert positions == sorted(positions)
    assert {line["cycle"] for line in lines[first + 1 : last]} == {1, 2}


def test_lines_of_a_run_that_goes_on_amid_a_cycle_name_the_cycle() -> None:
    plan = App(environment={}).plan()
    watcher, cycle = Watcher(plan), plan.programme.cycles[2]
    judged = {"cycle": 4, "attempt": 1, "parameters": "", "first_bar": 0, "last_bar": 9}
    judged |= dict.fromkeys(("target", "setpoint", "base_margin", "margin_spread"), 0.0)
    began = e.EvaluationStarted(**judged, authority=0.0, margin_reach=None)  # type: ignore[arg-type]  # any will do

    with structlog.contextvars.bound_contextvars(run="r", cycle=None, position=None):
        watcher.advanced(Progress(cycle=3, attempt=1, update=1, hold_rates=(0.7,)), cycle)
        trained = structlog.contextvars.get_contextvars()["cycle"]
        watcher.noted(began, Position(7))
        validated = structlog.contextvars.get_contextvars()["cycle"]

    assert (trained, validated) == (3, 4)


def test_what_the_page_names_is_what_is_said(trained: tuple[str, list[Line]]) -> None:
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    _, lines = trained
    reasons = ("promoted", "rejected", "run 2")

    of_the_log = (line["event"] for line in lines if line["position"] is not None)
    told = {event for event in of_the_log if not event.startswith(reasons)}

    assert told <= set(re.findall(r"^\| ([a-z ]+) \|", page, re.MULTILINE)), told


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize(
    "facts",
    [
        {"log": "postgresql+psycopg://ann:s3cret@db/log"},
        {"why": "http://ann:s3cret@gate:9091 does not answer"},
        {"password": "s3cret"},
        {"api_token": "s3cret"},
        {"nested": {"of": ["redis://:s3cret@x", {"client_secret": "s3cret"}]}},
    ],
)
def test_a_secret_is_not_written_whoever_logs_it(style: str, facts: dict[str, Any]) -> None:
    console: Console = pipe()
    logs.configure(console, level="info", style=style)

    structlog.get_logger().info("x", **facts)

    text = "\n".join(said(console))
    assert "s3cret" not in text
    assert "***" in text


def fail() -> None:
    raise ValueError("cannot reach postgresql://ann:s3cret@db/log")


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_secret_is_not_written_in_a_traceback(style: str) -> None:
    console = pipe()
    logs.configure(console, level="info", style=style)

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("failed: http://ann:s3cret@gate")

    text = "\n".join(said(console))
    assert "cannot reach postgresql://ann:***@db/log" in text
    assert "s3cret" not in text


def test_what_looks_like_a_secret_and_is_none_is_written() -> None:
    console = pipe()
    logs.configure(console, level="info", style="json")

    structlog.get_logger().info("x", tokens_seen=3, mail="ann@desk", url="http://host/a@b:c")

    [line] = [json.loads(one) for one in said(console)]
    assert (line["tokens_seen"], line["mail"], line["url"]) == (3, "ann@desk", "http://host/a@b:c")


def test_figures_are_rounded_for_eyes_only_and_empty_places_are_left_out_there() -> None:
    facts = {"divergence": 0.123456789, "run": None, "position": 7}
    for_eyes, for_programs = pipe(), pipe()
    logs.configure(for_eyes, level="info", style="text")
    structlog.get_logger().info("x", **facts)
    logs.configure(for_programs, level="info", style="json")
    structlog.get_logger().info("x", **facts)

    [shown], [kept] = said(for_eyes), said(for_programs)
    assert "0.1235" in shown
    assert "run=" not in shown
    assert json.loads(kept)["divergence"] == 0.123456789
    assert json.loads(kept)["run"] is None
