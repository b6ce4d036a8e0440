"""Metrics leave the program: scraped, pushed, printed; and nobody ever waits for them."""

import contextlib
import itertools
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from stairways import cli
from stairways.core import events as e
from stairways.core.values import Position
from stairways.errors import LogUnavailableError, MetricsUnavailableError, PushFailedError
from stairways.metrics.exporter import ALERTS, Exporter
from stairways.metrics.exposition import push, text_of
from stairways.metrics.follower import Follower
from stairways.metrics.rules import MetricsRules
from stairways.service.stairway.journal import decoded
from stairways.store.contract import Context, EventStore, Head
from stairways.store.memory import MemoryStore
from stairways.store.opening import open_store
from tests import made_up, trained
from tests.prometheus_parts import answer, free_port, program, pushgateway, wait_for

QUICK = MetricsRules(interval=0.05, timeout=0.5, report_every=3_600.0)
NUMBERS = itertools.count()


def context() -> Context:
    return Context(actor="test", correlation="metrics", append_id=f"metrics-{next(NUMBERS)}")


def now() -> datetime:
    return datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryStore:
    """The log of one made-up run."""
    made = trained.new_store()
    made_up.write(made, [made_up.registration(), *made_up.appends("r1")], "r1")
    return made


def exporter(store: EventStore, rules: MetricsRules, *, serve: bool = False) -> Exporter:
    return Exporter(store, rules, context, now, serve=serve)


def reports(store: EventStore) -> list[e.AlertPushFailed]:
    events = (decoded(record) for record in store.read(types=["AlertPushFailed"]))
    return [event for event in events if isinstance(event, e.AlertPushFailed)]


def dead() -> str:
    """The URL of a gateway that is not there."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a gateway that takes every call and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def trickling() -> Iterator[str]:
    """The URL of a gateway that answers byte by byte and comes to no end."""

    def answer_slowly(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not over.wait(0.05):
                connection.sendall(b"a")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                caller = server.accept()[0]
                threading.Thread(target=answer_slowly, args=(caller,), daemon=True).start()

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        over.set()


def pushed(gateway: str) -> dict[str, dict[tuple[str, ...], float]]:
    """What a gateway holds: name, then job, schedule and model, then value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer(f"{gateway}/metrics")):
        for sample in family.samples:
            key = tuple(sample.labels.get(name, "") for name in ("job", "schedule", "model"))
            found.setdefault(sample.name, {})[key] = sample.value
    return found


def test_the_text_is_what_prometheus_itself_accepts(store: MemoryStore) -> None:
    text = text_of(Follower(store).catch_up(), 60.0)

    done = subprocess.run(
        [program("promtool", "prometheus"), "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {family.name for family in text_string_to_metric_families(text)} >= {
        "stairways_log_position",
        "stairways_training_steps",
        "stairways_gate_passed",
    }


def test_the_log_is_one_group_and_a_schedule_is_another_and_neither_knows_a_run(
    store: MemoryStore, gateway: str
) -> None:
    push(Follower(store).catch_up(), replace(QUICK, gateway=gateway, schedule="nightly"))

    found = pushed(gateway)

    assert found["stairways_log_position"] == {("stairways", "", ""): store.head().size}
    assert found["stairways_training_steps_total"] == {("stairways", "nightly", "pair"): 900}
    groups = {key[:2] for values in found.values() for key in values if key[0]}
    assert groups == {("stairways", ""), ("stairways", "nightly")}


def test_a_push_that_knows_less_leaves_what_stands_there(store: MemoryStore, gateway: str) -> None:
    rules = replace(QUICK, gateway=gateway)
    push(Follower(store).catch_up(), rules)

    push(Follower(trained.new_store()).catch_up(), rules)

    found = pushed(gateway)
    assert found["stairways_log_position"] == {("stairways", "", ""): 0}
    assert ("stairways", "manual", "pair") in found["stairways_last_success_timestamp_seconds"]


def test_only_the_models_that_are_named_are_pushed(store: MemoryStore, gateway: str) -> None:
    push(Follower(store).catch_up(), replace(QUICK, gateway=gateway), ["other"])

    assert "stairways_training_steps_total" not in pushed(gateway)


def test_a_user_and_a_password_in_the_url_are_sent_and_never_told(store: MemoryStore) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hear() -> None:
            with server.accept()[0] as connection:
                heard.append(connection.recv(65_536))
                connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

        listener = threading.Thread(target=hear)
        listener.start()
        gateway = f"http://ann:s3cret@127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(PushFailedError, match="refused the metrics: 401") as refusal:
            push(Follower(store).catch_up(), replace(QUICK, gateway=gateway))
        listener.join(10)

    assert b"Authorization: Basic YW5uOnMzY3JldA==" in heard[0]
    assert "s3cret" not in str(refusal.value)


def test_what_is_followed_is_pushed_again_when_the_log_has_grown(
    store: MemoryStore, gateway: str
) -> None:
    def size() -> float:
        return pushed(gateway).get("stairways_log_position", {}).get(("stairways", "", ""), 0)

    with exporter(store, replace(QUICK, gateway=gateway)):
        wait_for("the first push", lambda: size() == store.head().size)
        made_up.write(store, list(made_up.appends("r2")), "r2")
        wait_for("the second push", lambda: size() == store.head().size)

    assert pushed(gateway)["stairways_runs_total"]


def test_the_end_of_a_short_run_is_pushed_though_no_look_was_due(
    store: MemoryStore, gateway: str
) -> None:
    with exporter(store, replace(QUICK, gateway=gateway, interval=600.0)):
        made_up.write(store, list(made_up.appends("r2")), "r2")

    assert (
        pushed(gateway)["stairways_training_steps_total"][("stairways", "manual", "pair")] == 1800
    )


@pytest.mark.parametrize("kind", ["dead", "silent", "trickling"])
def test_a_gateway_that_is_gone_costs_one_warning_and_one_event(
    store: MemoryStore, silent: str, trickling: str, kind: str
) -> None:
    gateways = {"dead": dead(), "silent": silent, "trickling": trickling}
    size, gateway = store.head().size, gateways[kind]
    with capture_logs() as lines, exporter(store, replace(QUICK, gateway=gateway)):
        wait_for("the report", lambda: reports(store))
        time.sleep(0.5)

    told = reports(store)
    assert [line["log_level"] for line in lines] == ["warning"]
    assert [(one.schedule, one.gateway, one.failures) for one in told] == [("manual", gateway, 1)]
    assert "does not answer" in told[0].reason
    assert [record.stream for record in store.read(after=Position(size))] == [ALERTS]


def test_another_process_does_not_report_again_what_the_log_tells_of_the_last_hour(
    store: MemoryStore,
) -> None:
    gone = replace(QUICK, gateway=dead())
    for schedule in ("manual", "manual", "nightly"):
        with exporter(store, replace(gone, schedule=schedule)):
            pass

    assert [one.schedule for one in reports(store)] == ["manual", "nightly"]


def test_a_gateway_that_comes_back_gets_everything(store: MemoryStore, tmp_path: Path) -> None:
    port = free_port()
    rules = replace(QUICK, gateway=f"http://127.0.0.1:{port}")
    address = f"127.0.0.1:{port}"
    with capture_logs() as lines, exporter(store, rules):
        wait_for("the report", lambda: reports(store))
        with pushgateway(tmp_path, address) as gateway:
            wait_for("the push", lambda: "stairways_training_steps_total" in pushed(gateway))
            wait_for("the word", lambda: len(lines) == 2)

    assert [line["event"] for line in lines][1] == "metrics reach the Pushgateway again"


def test_stopping_waits_no_longer_than_a_push_may_take(store: MemoryStore, silent: str) -> None:
    begun = time.monotonic()
    with exporter(store, replace(QUICK, gateway=silent, timeout=0.5)):
        pass

    assert time.monotonic() - begun < 3.0


def test_a_scrape_is_answered_on_this_machine_only_and_from_the_last_look(
    store: MemoryStore,
) -> None:
    port = free_port()
    with exporter(store, replace(QUICK, port=port), serve=True) as served:
        wait_for("the metrics", lambda: "stairways_log_position" in scraped(port))
        wait_for("the last look", lambda: scraped(port)["stairways_log_position"] > 0)
        assert served.port == port
        with socket.socket() as other, pytest.raises(OSError, match="refused"):
            other.connect(("127.0.0.2", port))

    with pytest.raises(OSError, match="refused"):
        answer(f"http://127.0.0.1:{port}/metrics")


def scraped(port: int) -> dict[str, float]:
    families = text_string_to_metric_families(answer(f"http://127.0.0.1:{port}/metrics"))
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_a_port_that_is_taken_is_one_clear_sentence(store: MemoryStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(MetricsUnavailableError, match=f"127.0.0.1:{port}.*in use"):
            exporter(store, replace(QUICK, port=port), serve=True).start()


class Leaving(MemoryStore):
    """A log whose database goes away and comes back."""

    gone = False

    def head(self) -> Head:
        if self.gone:
            raise LogUnavailableError("The database is gone.")
        return super().head()


def test_while_the_database_is_gone_the_last_figures_stand_and_say_so() -> None:
    store, port = Leaving(now), free_port()
    made_up.write(store, list(made_up.appends("r1")), "r1")
    size = store.head().size

    def reachable() -> float:
        return scraped(port).get("stairways_log_reachable", -1)

    with capture_logs() as lines, exporter(store, replace(QUICK, port=port), serve=True):
        wait_for("the first look", lambda: scraped(port)["stairways_log_position"] == size)
        store.gone = True
        wait_for("the loss", lambda: reachable() == 0)
        time.sleep(0.3)
        assert scraped(port)["stairways_training_steps_total"] == 900
        store.gone = False
        wait_for("the return", lambda: reachable() == 1)

    assert len(lines) == 1


@pytest.fixture
def log(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/stairways.db"
    written = open_store(url)
    made_up.write(written, [made_up.registration(), *made_up.appends("r1")], "r1")
    written.close()
    return url


def run(url: str, *words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli.main, ["--database-url", url, "metrics", *words])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_prints_the_log_as_it_stands_and_changes_nothing(log: str) -> None:
    first, second = run(log), run(log)

    assert first == second
    assert (first[0], first[2]) == (0, "")
    assert 'stairways_training_steps_total{model="pair"} 900.0' in first[1]


def test_the_command_pushes_once(log: str, gateway: str) -> None:
    code, out, said = run(log, "--push", gateway, "--schedule", "nightly")

    assert (code, out) == (0, "")
    assert "pushed" in said
    assert ("stairways", "nightly", "pair") in pushed(gateway)["stairways_runs_total"]


def test_the_command_says_in_one_sentence_that_nobody_answers(log: str) -> None:
    gateway = dead()

    code, out, said = run(log, "--push", gateway)

    assert (code, out) == (2, "")
    assert said == f"stairways: The Pushgateway {gateway} does not answer: Connection refused.\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--push", "ftp://x"], "gateway 'ftp://x' must be an http(s) URL"),
        (["--push", "http://[::1"], "gateway 'http://[::1' must be an http(s) URL"),
        (["--push", "http://bad host:9/"], "gateway 'http://bad host:9/' must be an http(s) URL"),
        (["--push", "http://x:77777"], "gateway 'http://x:77777' must be an http(s) URL"),
        (["--push", "http://x", "--serve", "1234"], "Give --push or --serve, not both."),
        (["--schedule", "nightly"], "give --push as well"),
        (["--push", "http://x", "--schedule", "a/b"], "schedule 'a/b' must be letters"),
        (["--serve", "0"], "0 is not in the range"),
    ],
)
def test_rubbish_is_refused_before_anything_is_done(
    log: str, words: list[str], complaint: str
) -> None:
    code, out, said = run(log, *words)

    assert (code, out) == (2, "")
    assert complaint in said


def test_a_port_that_another_process_has_is_served_as_soon_as_it_is_free(
    store: MemoryStore,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        rules = replace(QUICK, port=taken.getsockname()[1])
        waiting = Exporter(store, rules, context, now, serve=True, waits=True)
        with capture_logs() as lines:
            waiting.start()
            time.sleep(0.3)
            assert waiting.port is None
            taken.close()
            wait_for("the port", lambda: waiting.port)

    assert "stairways_log_position" in answer(f"http://127.0.0.1:{rules.port}/metrics")
    waiting.stop()
    assert [line["log_level"] for line in lines] == ["warning", "info"]


def test_the_daemon_s_exporter_keeps_the_read_models_in_step(log: str) -> None:
    store = open_store(log)
    with Exporter(store, QUICK, context, now, project=True) as kept:
        wait_for("the read models", lambda: kept.snapshot.projected == store.head().size > 0)
        made_up.write(store, list(made_up.appends("r2")), "r2")
        wait_for("the rest", lambda: kept.snapshot.projected == store.head().size)
    store.close()
