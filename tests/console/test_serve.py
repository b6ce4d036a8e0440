"""``stairways serve`` as a process, and the rules by which it starts."""

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from stairways.cli import main
from stairways.console.people import Door
from stairways.console.rules import ConsoleRules
from stairways.console.shield import cookie_name
from stairways.settings import Given, build
from stairways.store.opening import open_sql_store
from tests import made_up

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(database_url: str) -> str:
    """A log with a made-up run."""
    store = open_sql_store(database_url)
    made_up.write(store, [made_up.registration(), *made_up.appends("r1")], "r1")
    store.close()
    return database_url


@contextmanager
def served(url: str, *options: str) -> Iterator[tuple[int, str]]:
    """Start the command; give its port and its token, and end it as an operator does."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "stairways",
            "--database-url",
            url,
            *options,
            "serve",
            "--port",
            "0",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "STAIRWAYS_ACTOR": "console@host"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = [process.stderr.readline() for _ in range(2)]
        token = said[0].split()[-1]
        port = re.search(r":(\d+)$", said[1].strip())
        assert port, said
        yield int(port[1]), token
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode in (0, 130)


def ask(port: int, path: str, token: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_the_token_that_is_printed_lets_in_and_nothing_is_written(url: str) -> None:
    store = open_sql_store(url)
    before = store.head()
    with served(url) as (port, token):
        status, text = ask(port, "/runs", token)
        assert ask(port, "/runs", f"{token}x")[0] == 401
        assert ask(port, "/runs?format=json", token)[0] == 200
    assert status == 200
    assert ">r1<" in text
    assert store.head() == before
    store.close()


def test_access_is_recorded_where_that_is_wanted(url: str) -> None:
    with served(url, "--set", "console.record_access=true") as (port, token):
        assert ask(port, "/runs?format=csv", token)[0] == 200
        assert ask(port, "/runs", token)[0] == 200
        assert ask(port, "/runs/r1/live", token)[0] == 200
        assert ask(port, "/runs/r1/curves.json", token)[0] == 200
        assert ask(port, "/events?type=x&nonsense=1", token)[0] == 400
    store = open_sql_store(url)
    records = list(store.read(types=("AuditAsked",)))
    said = [orjson.loads(record.payload) for record in records]
    store.close()
    assert [(one["question"], one["arguments"]["page"]) for one in said] == [
        ("console export", "/runs?format=csv"),
        ("console page", "/runs"),
    ]
    assert {one["arguments"]["who"] for one in said} == {"owner"}
    assert {record.actor for record in records} == {"console@host"}


def test_beyond_this_machine_it_wants_to_know_its_address(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        main,
        ["--database-url", f"sqlite:///{tmp_path}/log.db", "serve", "--host", "0.0.0.0"],  # noqa: S104 - refused
    )

    assert done.exit_code == 2
    assert "console.public_url" in done.output


def test_a_new_token_is_kept_as_its_digest_alone() -> None:
    done = CliRunner().invoke(main, ["serve", "--new-token", "bob", "--role", "operator-read"])

    token, entry = done.stdout.strip(), done.stderr.strip().split(": ")[1]
    assert token not in entry
    rules = build([Given("console.tokens", entry, "the test")]).console
    person = Door(rules, lambda: 0.0).by_token(token)
    assert person is not None
    assert (person.name, person.role) == ("bob", "operator-read")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tokens", "auditor:alice:secret"),
        ("tokens", "root:alice:" + "0" * 64),
        ("proxies", "somewhere"),
        ("proxy_users", "alice"),
        ("proxy_header", "X Y"),
        ("public_url", "audit.example.org"),
        ("port", "70000"),
        ("rate", "0"),
    ],
)
def test_rules_that_make_no_sense_are_refused(name: str, value: str) -> None:
    done = CliRunner().invoke(main, ["--set", f"console.{name}={value}", "serve"])

    assert done.exit_code == 2
    assert f"console.{name}" in done.output


def test_behind_https_the_cookie_is_bound_to_the_host() -> None:
    assert cookie_name(ConsoleRules(public_url="https://audit.example.org")) == "__Host-stairways"
    assert ConsoleRules(public_url="https://audit.example.org").is_secure


def test_a_port_that_is_taken_is_named(url: str) -> None:
    with served(url) as (port, _):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "stairways",
                "--database-url",
                url,
                "serve",
                "--port",
                str(port),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert f"Nothing can listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
