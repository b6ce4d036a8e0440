"""The alerts that ship: each is tested by promtool, has a page, and reaches who should know."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import processes
from tests.prometheus_parts import free_port, program, pushgateway, running, wait_for

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "ops" / "prometheus"
CASES = sorted((FOLDER / "tests").glob("*.yml"))
RULES = (FOLDER / "rules.yml").read_text(encoding="utf-8")
ALERTS = dict(re.findall(r"- alert: (\w+)\n.*?runbook_url: (\S+)", RULES, re.DOTALL))


def checked(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_an_alert_fires_when_it_should_and_at_no_other_time(case: Path) -> None:
    checked(program("promtool", "prometheus"), "test", "rules", str(case))


@pytest.mark.parametrize(("alert", "page"), ALERTS.items())
def test_an_alert_has_a_case_that_fires_one_that_is_silent_and_a_page(
    alert: str, page: str
) -> None:
    case = FOLDER / "tests" / f"{Path(page).stem}.yml"
    told = re.findall(
        rf"eval_time: \S+\n +alertname: {alert}\n( +exp_alerts:)?", case.read_text(encoding="utf-8")
    )

    assert {bool(fires) for fires in told} == {True, False}
    assert (ROOT / page).read_text(encoding="utf-8").startswith(f"# {alert}\n")


def test_no_case_is_left_over() -> None:
    assert {case.stem for case in CASES} == {Path(page).stem for page in ALERTS.values()}


def test_a_case_fails_when_its_alert_is_broken(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "rules.yml").write_text(RULES.replace(") > 2\n", ") > 3\n"))
    case = tmp_path / "tests" / "gates-failing.yml"
    case.write_bytes((FOLDER / "tests" / case.name).read_bytes())

    done = subprocess.run(
        [program("promtool", "prometheus"), "test", "rules", str(case)],
        capture_output=True,
        check=False,
    )

    assert done.returncode == 1


def test_prometheus_and_alertmanager_accept_what_ships() -> None:
    checked(program("promtool", "prometheus"), "check", "config", "prometheus.yml")
    checked(program("amtool", "prometheus-alertmanager"), "check-config", "alertmanager.yml")


@dataclass
class Receiver:
    """A webhook that remembers what it was told: status and name of each alert."""

    told: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[Mapping[str, Any]] = field(default_factory=list)
    url: str = ""

    def heard(self, status: str, alert: str) -> bool:
        return (status, alert) in self.told


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.bodies.append(body)
            made.told += [(one["status"], one["labels"]["alertname"]) for one in body["alerts"]]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def alertmanager(folder: Path, receiver: Receiver) -> tuple[str, list[str]]:
    """Return address and command of an Alertmanager with what ships, only quicker."""
    shipped = (FOLDER / "alertmanager.yml").read_text(encoding="utf-8")
    quick = shipped.replace("http://alert-receiver:8080/", receiver.url)
    quick = quick.replace("group_wait: 10s", "group_wait: 0s")
    quick = quick.replace("group_interval: 1m", "group_interval: 1s")
    (folder / "alertmanager.yml").write_text(quick)
    address = f"127.0.0.1:{free_port()}"
    return address, [
        program("alertmanager", "prometheus-alertmanager"),
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/alertmanager",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]


def prometheus(folder: Path, places: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return address and command of a Prometheus with what ships, only quicker."""
    quick = (FOLDER / "prometheus.yml").read_text(encoding="utf-8").replace("15s", "1s")
    for shipped, here in places.items():
        quick = quick.replace(shipped, here)
    (folder / "prometheus.yml").write_text(quick)
    (folder / "rules.yml").write_text(RULES)
    address = f"127.0.0.1:{free_port()}"
    return address, [
        program("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address={address}",
    ]


def test_a_run_that_diverges_is_told_to_a_webhook_and_so_is_its_recovery(
    tmp_path: Path, receiver: Receiver
) -> None:
    url, bars = f"sqlite:///{tmp_path}/log.db", processes.bars_file(tmp_path)
    train = processes.train_command(url, bars, cycles=2)
    alerts, alertmanager_command = alertmanager(tmp_path, receiver)
    with (
        pushgateway(tmp_path) as gateway,
        running(alertmanager_command, f"http://{alerts}/-/ready", tmp_path),
    ):
        places = {"pushgateway:9091": gateway.removeprefix("http://"), "alertmanager:9093": alerts}
        address, command = prometheus(tmp_path, places)
        with running(command, f"http://{address}/-/ready", tmp_path):
            push = ["--set", f"metrics.gateway={gateway}", "--set", "metrics.schedule=nightly"]
            processes.finish([*train, *push, "--set", "stairway.divergence_limit=0.0001"])
            wait_for("the alert", lambda: receiver.heard("firing", "StairwaysDiverged"))
            assert not receiver.heard("resolved", "StairwaysDiverged")

            processes.finish([*train, *push, "--set", "stairway.divergence_limit=10"])
            wait_for("its end", lambda: receiver.heard("resolved", "StairwaysDiverged"))

    fired = next(body for body in receiver.bodies if body["status"] == "firing")
    [alert] = fired["alerts"]
    assert alert["labels"]["model"] == "default"
    assert alert["annotations"]["runbook_url"] in ALERTS.values()
    assert "StairwaysVerifyFailed" not in {name for _, name in receiver.told}
