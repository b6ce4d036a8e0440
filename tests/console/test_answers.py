"""The console asked over HTTP: pages, filters, files, roles, and attacks that come to nothing."""

import contextlib
import csv
import hashlib
import html
import io
import json
import select
import shutil
import socket
import subprocess
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stairways.console.pages import PAGES
from stairways.core.merkle import leaf_hash
from stairways.core.values import Position
from stairways.service.audit.browsing import ROWS
from stairways.service.audit.sentences import sentence
from stairways.service.seal import check_proof, checkpoint_of
from stairways.store.records import record_bytes
from stairways.store.seal import new_key, parse_public_key
from stairways.store.sql import SqlStore
from tests.console.conftest import (
    AUDITOR,
    HOSTILE,
    LONGEST_WAIT,
    OPERATOR,
    Console,
    new_digest,
    serving,
)

PARTS = {
    "run": "r1", "cycle:int": "1", "attempt:int": "1", "position": "5", "model": "default",
    "digest": new_digest("evil"), "number:int": "1",
}  # fmt: skip


def addresses() -> list[str]:
    """Every page, with parts that the small run has."""
    found = []
    for page in PAGES:
        path = page.path
        for name, part in PARTS.items():
            path = path.replace(f"{{{name}}}", part)
        found.append(path)
    return found


def covered(store: SqlStore) -> int:
    """Return the last position under the newest signed checkpoint."""
    return checkpoint_of(store.checkpoints()[-1].decode()).size


def positions(answer: str) -> list[int]:
    return [row["position"] for row in json.loads(answer)]


@pytest.mark.parametrize("path", addresses())
def test_every_page_answers(console: Console, path: str) -> None:
    answer = console.get(path)

    assert answer.status == 200, answer.text


@pytest.mark.parametrize("path", addresses())
def test_no_page_answers_without_a_token_or_with_a_wrong_one(console: Console, path: str) -> None:
    assert console.get(path, None).status == 303
    assert console.get(path, None, Accept="*/*").status == 401
    assert console.get(path, "wrong", Accept="*/*").status == 401
    assert console.get(path, AUDITOR[:-1], Accept="*/*").status == 401
    assert console.get(path, None, Cookie="stairways=forged.session.cookie").status == 303


def test_an_operator_sees_runs_and_no_records(console: Console) -> None:
    for path in ("/runs", "/models", "/models/default", "/data", "/daemon"):
        assert console.get(path, OPERATOR).status == 200
    assert "/events" not in console.get("/runs/r1/cycles/1/1", OPERATOR).text
    for path in (
        "/events",
        "/events/5",
        "/events/5/proof",
        "/events/5/record",
        "/events/5/check",
        "/integrity",
    ):
        assert console.get(path, OPERATOR).status == 403


def test_the_pages_of_the_log_hold_every_record_once(console: Console, store: SqlStore) -> None:
    seen: list[int] = []
    page = console.get("/events?format=json").text
    while found := positions(page):
        seen += found
        page = console.get(f"/events?format=json&before={found[-1]}").text
    assert seen == list(range(store.head().size, 0, -1))


@pytest.mark.parametrize(
    ("asked", "column", "value"),
    [
        ("type=GateDecided", "type", {"GateDecided"}),
        ("type=StepTaken", "type", {"StepTaken"}),
        ("type=StepTaken&type=RunStarted&last=30", "type", {"StepTaken", "RunStarted"}),
        ("stream=model-default", "stream", {"model-default"}),
        ("actor=nobody", "actor", set()),
        ("actor=test&type=CycleVerdict", "actor", {"test"}),
        ("correlation=r1", "correlation", {"r1"}),
        ("causation=1", "causation", {1}),
        ("since=2100-01-01", "position", set()),
        ("until=2000-01-01T10:00", "position", set()),
        ("run=nix", "position", set()),
    ],
)
def test_a_filter_lets_through_what_it_says(
    console: Console, asked: str, column: str, value: set[Any]
) -> None:
    rows = json.loads(console.get(f"/events?format=json&{asked}").text)

    assert {row[column] for row in rows} == value


def test_a_walk_with_a_filter_finds_what_reading_the_log_finds(
    console: Console, store: SqlStore
) -> None:
    for kinds in (["GateDecided"], ["StepTaken", "BalanceAsserted"]):
        asked = "&".join(f"type={kind}" for kind in kinds) + "&run=r1&first=20"
        seen: list[int] = []
        page = console.get(f"/events?format=json&{asked}").text
        while found := positions(page):
            seen += found
            page = console.get(f"/events?format=json&{asked}&before={found[-1]}").text
        there = [one.position for one in store.read(types=kinds) if one.position >= 20]
        assert seen == there[::-1]
        third = min(ROWS, len(seen) - 1)
        back = positions(console.get(f"/events?format=json&{asked}&after={seen[third]}").text)
        assert back == seen[:ROWS]


def test_a_file_has_exactly_the_rows_of_the_page_and_is_noted(console: Console) -> None:
    asked = "/events?type=GateDecided&last=3000"
    shown = console.get(asked).text
    before = len(console.noted)
    as_json = json.loads(console.get(f"{asked}&format=json").text)
    rows = list(csv.DictReader(io.StringIO(console.get(f"{asked}&format=csv").text)))

    assert [row["position"] for row in rows] == [str(row["position"]) for row in as_json]
    assert all(f'href="/events/{row["position"]}"' in shown for row in rows)
    assert [question for question, _ in console.noted[before:]] == ["console export"] * 2
    assert console.noted[-1][1]["who"] == "alice"


def test_a_file_holds_no_formula(console: Console) -> None:
    rows = csv.reader(io.StringIO(console.get("/events?format=csv").text))

    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@", "\t"))]


def test_a_proof_holds_and_names_the_record(console: Console, store: SqlStore) -> None:
    [said] = [json.loads(one.payload) for one in store.read(types=("KeyRotated",))]
    for position in (1, 5, covered(store)):
        text = console.get(f"/events/{position}/proof").text
        found, _ = check_proof(text, [parse_public_key(said["key"])])
        [record] = store.read(after=Position(position - 1), until=Position(position))
        assert found.extra == record_bytes(record)
        assert "Proved" in console.get(f"/events/{position}").text


def test_the_command_that_a_record_names_prints_its_leaf(console: Console, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    page = console.get("/events/5").text
    command = page.split('<pre tabindex="0">')[1].split("</pre>")[0].replace("&#39;", "'")
    (tmp_path / "5.json").write_text(console.get("/events/5/record").text, encoding="utf-8")

    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    assert done.stdout.split()[-1] in page
    assert done.stdout.split()[-1] == leaf_hash((tmp_path / "5.json").read_bytes()).hex()


@pytest.mark.parametrize("position", [1, 2, 5, 1000, -1])
def test_openssl_alone_checks_a_record_and_finds_a_changed_one(
    console: Console, store: SqlStore, tmp_path: Path, position: int
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    at = position if position > 0 else covered(store)
    for part, name in (("record", f"{at}.json"), ("proof", f"{at}.tlog-proof"), ("check", "c.sh")):
        text = console.get(f"/events/{at}/{part}").text
        (tmp_path / name).write_text(text, encoding="utf-8")
    [said] = [json.loads(one.payload) for one in store.read(types=("KeyRotated",))]
    other = str(new_key("example.org/log").public)

    assert checked(tmp_path, said["key"]) == 0
    assert checked(tmp_path, other) != 0
    record = (tmp_path / f"{at}.json").read_text(encoding="utf-8")
    (tmp_path / f"{at}.json").write_text(record.replace(":", " :", 1), encoding="utf-8")
    assert checked(tmp_path, said["key"]) == 1


def checked(folder: Path, key: str) -> int:
    """Run the script as an auditor does; return its exit code."""
    done = subprocess.run(
        ["/bin/sh", "c.sh", key], capture_output=True, text=True, check=False, cwd=folder
    )
    return done.returncode


SQL = (
    "' OR '1'='1", "'; DROP TABLE events; --", "1 OR 1=1", "%", "_", "\\", "?", "%s", "NULL",
    "x' UNION SELECT content FROM blobs --", "$$", "{{7*7}}", "../../etc/passwd", "😀" * 50,
)  # fmt: skip
TEXTS = ("run", "stream", "actor", "correlation")
OTHERS = ("type", "causation", "since", "until", "first", "last", "before", "after", "format")


@pytest.mark.parametrize("name", [*TEXTS, *OTHERS])
def test_sql_in_a_filter_finds_nothing_and_breaks_nothing(
    console: Console, store: SqlStore, name: str
) -> None:
    size = store.head().size
    for text in SQL:
        answer = console.get(f"/events?{name}={urllib.parse.quote(text)}")
        assert answer.status == (200 if name in TEXTS else 400), (text, answer.text)
        assert "0 records" in answer.text or answer.status == 400
        assert "Traceback" not in answer.text
    assert store.head().size == size


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/events?position=99999999999999999999", 400),
        ("/events?before=0", 400),
        ("/events?before=-1", 400),
        ("/events?before=9007199254740993", 400),
        ("/events?before=%D9%A1", 400),  # a digit, but not one of ours
        ("/events?since=99999-01-01", 400),
        ("/events?since=0001-01-01T00:00%2B14:00", 400),
        ("/events?actor=%00", 400),
        ("/events?actor=%ff", 200),
        ("/events?actor=" + "a" * 201, 400),
        ("/events?actor=a&actor=b", 400),
        ("/events?typ=GateDecided", 400),
        ("/events?" + "&".join(["type=StepTaken"] * 41), 400),
        ("/events?actor=" + "a" * 5_000, 414),
        ("/" + "a" * 2_000, 414),
        ("/events/0", 404),
        ("/events/-1", 404),
        ("/events/99999999", 404),
        ("/events/5%2F..%2F6", 404),
        ("/runs/%3Cscript%3E", 404),
        ("/runs/r1/cycles/1/99", 404),
        ("/runs/r1/cycles/99999999999999999999999/1", 404),
        ("/static/../app.py", 404),
        ("/static/..%2fapp.py", 404),
        ("/static/%2e%2e/%2e%2e/settings.py", 404),
        ("/static//etc/passwd", 404),
        ("/nowhere", 404),
    ],
)
def test_rubbish_is_refused_and_nothing_leaks(console: Console, path: str, status: int) -> None:
    answer = console.get(path)

    assert answer.status == status
    for secret in ("Traceback", "/site-packages/", "psycopg", "sqlite3", "SELECT ", "root:x:"):
        assert secret not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/events", "/runs/r1", "/events/5/proof", "/openapi.json", "/"])
def test_there_is_nothing_to_change(console: Console, method: str, path: str) -> None:
    answer = console.send(method, path, "x=1", {"Authorization": f"Bearer {AUDITOR}"})

    assert answer.status == 405


def test_stored_markup_is_text_on_every_page(console: Console, store: SqlStore) -> None:
    size = store.head().size
    paths = [*addresses(), "/runs/r2", *(f"/events/{size - n}" for n in range(8))]
    for path in paths:
        text = console.get(path).text
        for evil in ("<script>alert", "<img src=x", "\u202e", "\x07", "49\u202e"):
            assert evil not in text, path
    assert "&lt;script&gt;alert(1)" in console.get("/events").text


def test_a_record_is_told_in_words_above_its_fields(console: Console, store: SqlStore) -> None:
    gate = next(store.read(types=("GateDecided",)))

    assert sentence(gate) in html.unescape(console.get(f"/events/{gate.position}").text)


def test_every_answer_carries_the_policy(console: Console) -> None:
    for path in ("/runs", "/login", "/nowhere", "/static/console.css", "/events?before=x"):
        headers = console.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "Server" not in headers


def test_a_login_gives_a_cookie_that_scripts_and_other_sites_cannot_use(console: Console) -> None:
    answer = console.login(AUDITOR)

    assert answer.status == 303
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    session = cookie.split(";")[0]
    assert console.get("/runs", None, Cookie=session).status == 200
    assert console.get("/runs", None, Cookie=session[:-2] + "xx").status == 303
    assert ("console login", "alice") in [(q, a.get("who")) for q, a in console.noted]


def test_a_session_that_was_ended_is_over(console: Console) -> None:
    session = console.login(AUDITOR).headers["Set-Cookie"].split(";")[0]

    assert console.send("POST", "/logout", "", {"Cookie": session}).status == 303
    assert console.get("/runs", None, Cookie=session).status == 303


def test_another_site_can_log_nobody_in(console: Console) -> None:
    assert console.login(AUDITOR, Origin="https://evil.example").status == 403
    assert console.login(AUDITOR, **{"Sec-Fetch-Site": "cross-site"}).status == 403


@pytest.mark.parametrize("then", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_the_way_in_leads_nowhere_else(console: Console, then: str) -> None:
    answer = console.login(AUDITOR, then)

    assert answer.headers["Location"] == "/runs"


def test_a_name_that_points_here_but_is_not_ours_is_refused(console: Console) -> None:
    assert console.get("/runs", Host="evil.example").status == 421


def test_guessing_tokens_is_slow(store: SqlStore) -> None:
    with serving(store, logins_per_minute=5.0) as console:
        statuses = [console.login(f"guess {n}").status for n in range(7)]
        assert statuses == [401] * 5 + [429] * 2
        assert int(console.login("once more").headers["Retry-After"]) > 0
        refused = [one for one in console.noted if one[0] == "console login refused"]
        assert len(refused) == 5


def test_too_many_requests_are_refused(store: SqlStore) -> None:
    with serving(store, rate=1.0, burst=10) as console:
        statuses = [console.get("/health").status for _ in range(15)]
        assert statuses[:10] == [200] * 10
        assert 429 in statuses[10:]


def test_a_proxy_is_believed_only_at_its_address(store: SqlStore) -> None:
    users = ("operator-read:carol@example.org",)
    with serving(store, proxies=("127.0.0.0/8",), proxy_users=users) as console:
        named = {"X-Forwarded-User": "carol@example.org"}
        assert console.get("/runs", None, **named).status == 200
        assert console.get("/events", None, **named).status == 403
        assert console.get("/runs", None, **{"X-Forwarded-User": "mallory"}).status == 303
    with serving(store, proxies=("10.0.0.0/8",), proxy_users=users) as console:
        assert console.get("/runs", None, **named).status == 303


def test_a_client_that_sends_a_byte_now_and_then_is_cut_off(store: SqlStore) -> None:
    with serving(store, header_seconds=0.5) as console:
        port = int(console.url.rpartition(":")[2])
        slow = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(40)]
        for one in slow:
            one.sendall(b"GET /runs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
        assert console.get("/runs").status == 200
        left, deadline = slow, time.monotonic() + LONGEST_WAIT
        while left and time.monotonic() < deadline:  # a byte now and then
            time.sleep(0.1)
            left = [one for one in left if still_taken(one)]
        for one in slow:
            one.close()
        assert left == []
        assert console.get("/runs").status == 200


def still_taken(client: socket.socket) -> bool:
    """Send a byte more; say whether the other end still listens."""
    try:
        client.sendall(b"a")
        client.settimeout(0.01)
        return client.recv(100) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def test_a_client_that_reads_nothing_is_cut_off(store: SqlStore) -> None:
    asking = b"GET /static/vendor/uPlot-1.6.32.iife.min.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with serving(store, header_seconds=0.5) as console, contextlib.ExitStack() as open_ones:
        port = int(console.url.rpartition(":")[2])
        for _ in range(5):
            deaf = open_ones.enter_context(contextlib.closing(socket.socket()))
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", port))
            deaf.sendall(asking * 200)  # answers of 10 MB, more than any buffer takes
            assert is_hung_up(deaf, asking)
        assert console.get("/runs").status == 200


def is_hung_up(client: socket.socket, asking: bytes) -> bool:
    """Read nothing, ask for more now and then, and say whether the other end gave up."""
    ended = select.poll()
    ended.register(client, select.POLLERR | select.POLLHUP)
    deadline = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < deadline:
        if ended.poll(200):
            return True
        with contextlib.suppress(ConnectionError):
            client.send(asking)
    return False


def test_hundreds_that_only_connect_keep_nobody_out(store: SqlStore) -> None:
    with serving(store, header_seconds=20) as console, contextlib.ExitStack() as opened:
        port = int(console.url.rpartition(":")[2])
        for _ in range(400):
            one = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            with contextlib.suppress(OSError):  # those that wait longest are cut off meanwhile
                one.sendall(b"GET /runs HTTP/1.1\r\n")

        assert [console.get("/runs").status for _ in range(5)] == [200] * 5


def test_a_form_that_never_arrives_is_no_fault(
    store: SqlStore, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(store, header_seconds=0.5) as console:
        port = int(console.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as late:
            late.sendall(
                b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken="
            )
            while late.recv(1000):
                pass
        assert console.get("/runs").status == 200
    said = capsys.readouterr()
    assert "ClientDisconnect" not in said.out + said.err


def test_a_record_that_was_changed_is_called_broken(store: SqlStore) -> None:
    class Changed(SqlStore):
        def rows(self, statement: str, parameters: Any) -> Any:  # noqa: ANN401 - rows
            found = super().rows(statement, parameters)
            return [
                tuple(b'{"x":1}' if isinstance(c, bytes) and c[:1] == b"{" else c for c in row)
                for row in found
            ]

    changed = Changed(store.driver, store.clock, 1.0)
    with serving(changed) as console:
        assert "Broken" in console.get("/events/5").text
        assert "not what was hashed" in console.get("/events").text
        assert "left out here" in console.get("/runs").text


def test_digests_of_exports_are_noted(console: Console) -> None:
    content = console.get("/runs?format=csv").text.encode()

    assert console.noted[-1][1]["sha256"] == hashlib.sha256(content).hexdigest()


def test_hostile_texts_are_really_in_the_log(store: SqlStore) -> None:
    assert HOSTILE in {record.actor for record in store.read()}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("token=" + "a" * 5_000, 413),
        ("&".join(["token=a"] * 9), 400),
        ("token=%ff%fe", 400),
        ("", 401),
        ("token", 401),
        ("token=\x00", 401),
        ("next=/runs", 401),
    ],
)
def test_a_form_of_rubbish_lets_nobody_in(console: Console, body: str, status: int) -> None:
    answer = console.send("POST", "/login", body)

    assert answer.status == status
    assert "Set-Cookie" not in answer.headers


def test_headers_without_end_are_refused(console: Console) -> None:
    with contextlib.suppress(ConnectionError):  # it may hang up while we still send
        assert console.get("/runs", **{"X-Long": "a" * 1_000_000}).status == 400
    assert console.get("/runs").status == 200


def test_clients_that_read_nothing_hold_nobody_up(console: Console) -> None:
    port = int(console.url.rpartition(":")[2])
    idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(30)]
    asking = (
        "GET /events?format=json HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {AUDITOR}\r\nAccept: text/html\r\n\r\n"
    )
    for one in idle:
        one.sendall(asking.encode() * 5)
    began = time.monotonic()
    assert console.get("/runs").status == 200
    assert time.monotonic() - began < LONGEST_WAIT / 2
    for one in idle:
        one.close()


def test_no_second_request_hides_in_the_body_of_one(console: Console) -> None:
    """A proxy that believed the length would pass the second on as its own, with its rights."""
    port = int(console.url.rpartition(":")[2])
    hidden = f"GET /runs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {AUDITOR}\r\n\r\n"
    body = f"0\r\n\r\n{hidden}"
    head = (
        "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Length: {len(body)}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sent:
        sent.sendall((head + body).encode())
        answers = b"".join(iter(lambda: sent.recv(65_536), b""))

    assert answers.startswith(b"HTTP/1.1 400")
    assert answers.count(b"HTTP/1.1 ") == 1
    assert console.get("/runs").status == 200


@pytest.mark.parametrize("others", ["nobody's", AUDITOR], ids=["another", "the same"])
def test_of_two_authorization_headers_neither_counts(console: Console, others: str) -> None:
    port = int(console.url.rpartition(":")[2])
    asked = "".join(
        f"Authorization: Bearer {token}\r\n" for token in (AUDITOR, others)
    )  # RFC 9110, 5.3: a field that is no list is sent once
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sent:
        head = "GET /runs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        sent.sendall(f"{head}{asked}\r\n".encode())
        answer = b"".join(iter(lambda: sent.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Send one Authorization header" in answer


def test_bytes_that_are_no_request_are_answered_and_forgotten(console: Console) -> None:
    port = int(console.url.rpartition(":")[2])
    for rubbish in (
        b"\x16\x03\x01" + bytes(300),
        b"GET\r\n\r\n",
        b"\x00" * 50,
        b"GET / HTTP/9\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sent:
            sent.sendall(rubbish)
            sent.shutdown(socket.SHUT_WR)
            answer = sent.recv(4_000)
            assert b"Traceback" not in answer
            assert answer.startswith(b"HTTP/1.1 400") or answer == b""
    assert console.get("/runs").status == 200


def test_many_at_once_are_answered(console: Console) -> None:
    paths = ["/runs", "/events?type=StepTaken", "/events/5", "/runs/r1/curves.json"] * 12
    with ThreadPoolExecutor(16) as readers:
        statuses = list(readers.map(lambda path: console.get(path).status, paths))

    assert statuses == [200] * len(paths)
