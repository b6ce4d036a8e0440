"""A console that really serves a small real run, on SQLite and on PostgreSQL."""

import http.client
import shutil
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from stairways.console.desk import Desk
from stairways.console.people import Door, new_token, token_entry
from stairways.console.rules import ConsoleRules
from stairways.console.serving import Server, keep_reading, server_of
from stairways.core import events as e
from stairways.core.values import Position, StreamName
from stairways.service.seal import seal_log
from stairways.service.stairway.journal import encoded
from stairways.store.contract import Context, Encoded, Record
from stairways.store.opening import open_sql_store, upgrade
from stairways.store.seal import new_key
from stairways.store.sql import SqlStore
from tests.trained import new_store, train, written

AUDITOR, OPERATOR = new_token(), new_token()
TOKENS = (
    token_entry("auditor", "alice", AUDITOR),
    token_entry("operator-read", "bob", OPERATOR),
)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}\u202e\x07=1+1"
EVIL_KEY = "<script>alert(3)</script>"
LONGEST_WAIT = 30.0


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    text: str


@dataclass(slots=True)
class Console:
    """A running console, and ways to ask it."""

    url: str
    desk: Desk
    noted: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def get(self, path: str, token: str | None = AUDITOR, **headers: str) -> Answer:
        """Ask for a page as a browser does, with a token."""
        given = {"Accept": "text/html", **headers}
        if token:
            given["Authorization"] = f"Bearer {token}"
        return self.send("GET", path, headers=given)

    def send(
        self,
        method: str,
        path: str,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, and follow no redirect."""
        host = self.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=LONGEST_WAIT)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def login(self, token: str, then: str = "/runs", **headers: str) -> Answer:
        """Log in as the form does."""
        body = urllib.parse.urlencode({"token": token, "next": then})
        return self.send("POST", "/login", body, headers)


@contextmanager
def serving(store: SqlStore, **changes: Any) -> Iterator[Console]:  # noqa: ANN401 - rules
    """Serve a log on a free port of this machine."""
    often = {"rate": 1e6, "burst": 10**6, "logins_per_minute": 1e6}
    rules = ConsoleRules(port=0, **{"tokens": TOKENS, **often, **changes})
    desk = Desk(
        store=store,
        rules=rules,
        clock=lambda: datetime.now(UTC),
        door=Door(rules, time.monotonic),
    )
    console = Console("", desk)
    desk.note = lambda question, arguments: console.noted.append((question, arguments))
    ports: list[int] = []
    listening, stopping = threading.Event(), threading.Event()

    def ready(port: int) -> None:
        ports.append(port)
        listening.set()

    server: Server = server_of(desk, ready)
    threads = [
        threading.Thread(target=server.run),
        threading.Thread(target=keep_reading, args=(desk, stopping)),
    ]
    for thread in threads:
        thread.start()
    try:
        assert listening.wait(LONGEST_WAIT), "the console does not listen"
        console.url = f"http://127.0.0.1:{ports[0]}"
        wait_until(lambda: desk.subtrees.proves(store.head().size))
        yield console
    finally:
        server.should_exit = True
        stopping.set()
        for thread in threads:
            thread.join(LONGEST_WAIT)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def context(number: int = 0, **changes: Any) -> Context:  # noqa: ANN401 - fields
    return Context(
        **{"actor": "test", "correlation": "r1", "append_id": f"more-{number}", **changes}
    )


def write_hostile(store: SqlStore) -> None:
    """Write what somebody would write who wants to run code in an auditor's browser."""
    evil = context(1, actor=HOSTILE, correlation=HOSTILE, append_id=HOSTILE, causation=1)
    registered = e.DataRegistered(
        digest=new_digest("evil"), name=HOSTILE, symbols=(HOSTILE, "B,C"), frequency=HOSTILE,
        adjustment="raw", timezone="UTC", calendar=HOSTILE, simulated=True,
        first=datetime(2020, 1, 1, tzinfo=UTC), last=datetime(2020, 2, 1, tzinfo=UTC), rows=3,
        dropped={EVIL_KEY: 1}, sources={EVIL_KEY: new_digest("file")}, findings=1,
    )  # fmt: skip
    found = e.DataFindingRaised(kind=HOSTILE, symbol=HOSTILE, row=1, time=None, detail=HOSTILE)
    stream = StreamName(f"data-{new_digest('evil')[:16]}")
    store.append(stream, None, encoded([registered, found]), evil)
    override = e.GateOverridden(
        run="r1", cycle=1, who=HOSTILE, why=HOSTILE, promoted=True, verdict=Position(1)
    )
    store.append(StreamName("model-default"), None, encoded([override]), context(2, actor=HOSTILE))
    store.append(StreamName(f"model-{HOSTILE}"), None, encoded([override]), context(3))
    operating: list[e.Event] = [
        e.DaemonStarted(holder=HOSTILE, code_version="1", schedules=(HOSTILE,)),
        e.ScheduleDefined(
            schedule=HOSTILE, since=datetime(2026, 1, 1, tzinfo=UTC), trigger=HOSTILE,
            model=HOSTILE, definition={EVIL_KEY: HOSTILE},
        ),
        e.SchedulePaused(schedule=HOSTILE, who=HOSTILE, reason=HOSTILE),
        e.TrainingHalted(who=HOSTILE, reason=HOSTILE),
    ]  # fmt: skip
    store.append(StreamName("daemon-host"), None, encoded(operating), context(5))
    failed = e.RunFailed(reason=HOSTILE, cycle=1, step=1)
    started = next(store.read(types=("RunStarted",)))
    store.append(StreamName("run-r2"), None, [_as_encoded(started), *encoded([failed])], context(4))


def new_digest(name: str) -> Any:  # noqa: ANN401 - a digest
    return name.encode().hex().ljust(64, "0")


def _as_encoded(record: Record) -> Any:  # noqa: ANN401 - an encoded event
    return Encoded(record.type, record.schema, record.payload)


@pytest.fixture(scope="session")
def records() -> list[Record]:
    """A small run that was really trained."""
    store = new_store()
    train(store)
    return list(store.read())


@pytest.fixture(scope="module", params=("sqlite", "postgres"))
def store(
    request: pytest.FixtureRequest,
    records: list[Record],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SqlStore]:
    """The small run and hostile texts in a log that is signed."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('console')}/log.db"
        upgrade(url)
    else:
        url = request.getfixturevalue("module_log")
    made = open_sql_store(url)
    written(made, records)
    write_hostile(made)
    seal_log(made, new_key("example.org/log"), context(9))
    yield made
    made.close()


@pytest.fixture(scope="module")
def console(store: SqlStore) -> Iterator[Console]:
    """A console over that log."""
    with serving(store) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> str:
    """The Chromium of this machine."""
    found = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if found is None or not Path(found).exists():
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    return found
