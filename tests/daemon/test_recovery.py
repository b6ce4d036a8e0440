"""What goes wrong around a daemon and its runs: nothing is lost, and what to do is said once."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from stairways.core import events as e
from stairways.service.replay.run import replay_run
from stairways.service.verify.log import verify_log
from stairways.store.opening import open_store, upgrade
from tests.conftest import Postgres
from tests.daemon.programs import LONGEST, Place
from tests.processes import ROOT, bars_file, finish, train_command

NewPlace = Callable[[str], Place]
MEGABYTE = 2**20


def spoken(place: Place, words: str) -> int:
    return place.said.read_text().count(words)


def sound(place: Place) -> None:
    """The one due time was trained by one run to its end, and the log is as it should be."""
    (fired,) = place.events(e.ScheduleFired)
    assert [one.run for one in place.events(e.ScheduleFinished)] == [fired.run]
    assert place.events(e.ScheduleFailed) == []
    assert verify_log(place.url).clean
    store = open_store(place.url)
    assert replay_run(store, fired.run).clean
    store.close()


def ordered(place: Place, cycles: int, attempts: int = 20) -> "subprocess.Popen[bytes]":
    """Start a daemon that trains one run of so many cycles."""
    place.settle(cycles=cycles, cron="0 3 1 jan *", attempts=attempts)
    daemon = place.start()
    place.wait_for(e.ScheduleDefined)
    place.run("daemon", "trigger", "nightly", "--reason", "the test")
    return daemon


@contextlib.contextmanager
def mounted(disk: Path) -> Iterator[Path]:
    """Mount a disk of its own, of 24 MB."""
    disk.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)],  # noqa: S607 - of the system
        capture_output=True,
        check=False,
    )
    if mounting.returncode != 0:
        pytest.skip("Mounting a small disk needs the rights of root.")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)  # noqa: S607 - of the system


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def small_disk_of_postgres(own_postgres: Postgres) -> Iterator[Path]:
    """A small disk where the user of the server gets to."""
    with mounted(own_postgres.folder.parent / "disk") as disk:
        disk.chmod(0o755)
        yield disk


def test_a_disk_that_is_full_stops_a_run_which_goes_on_when_there_is_room(
    small_disk: Path,
) -> None:
    url = f"sqlite:///{small_disk}/log.db"
    upgrade(url)
    place = Place(small_disk, url)
    place.said = small_disk.parent / "said.txt"
    filler = small_disk / "filler"
    try:
        ordered(place, 5)
        place.wait_for(e.PolicyUpdated)
        fill(filler)
        place.wait(lambda: spoken(place, "cannot keep a schedule") > 0, "word of a full disk")
        steps = len(place.events(e.PolicyUpdated))
        time.sleep(2)
        assert spoken(place, "cannot keep a schedule") == 1
        assert spoken(place, "database or disk is full") >= 2
        filler.unlink()
        place.wait_for(e.RunResumed)
        assert len(place.events(e.PolicyUpdated)) >= steps
        place.wait_for(e.ScheduleFinished)
        place.stop()
        sound(place)
    finally:
        place.clean_up()


def test_a_full_disk_of_postgres_stops_a_run_which_goes_on_when_there_is_room(
    own_postgres: Postgres, small_disk_of_postgres: Path, tmp_path: Path
) -> None:
    place = Place(tmp_path, on_disk(own_postgres, small_disk_of_postgres))
    filler = small_disk_of_postgres / "filler"
    try:
        ordered(place, 5)
        place.wait_for(e.PolicyUpdated)
        fill(filler)
        place.wait(lambda: spoken(place, "No space left on device") > 0, "word of a full disk")
        time.sleep(2)
        assert spoken(place, "Traceback") == 0
        filler.unlink()
        place.wait_for(e.ScheduleFinished)
        place.stop()
        sound(place)
    finally:
        place.clean_up()


def on_disk(server: Postgres, disk: Path) -> str:
    """Make a database of a server whose tables lie on another disk, with an empty log."""
    tables = disk / "tables"
    tables.mkdir()
    shutil.chown(tables, server.user)
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{tables}'")
        connection.execute("CREATE DATABASE small TABLESPACE small")
    url = server.url.replace("/postgres?", "/small?")
    upgrade(url)
    return url


def fill(file: Path) -> None:
    """Write until the disk holds no byte more."""
    with file.open("wb", buffering=0) as full, contextlib.suppress(OSError):
        while full.write(bytes(MEGABYTE // 16)):
            continue


def test_a_file_that_may_not_grow_stops_train_with_one_sentence(tmp_path: Path) -> None:
    url, bars = f"sqlite:///{tmp_path}/log.db", bars_file(tmp_path)
    upgrade(url)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, MEGABYTE))

    stopped = subprocess.run(
        train_command(url, bars, 4),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=limit,
    )

    assert stopped.returncode == 2
    (said,) = (line for line in stopped.stderr.splitlines() if line.startswith("stairways: "))
    assert f"The log {tmp_path}/log.db cannot be used" in said
    assert "Traceback" not in stopped.stderr
    finish(train_command(url, bars, 4))
    store = open_store(url)
    assert replay_run(store, "latest").clean
    store.close()
    assert verify_log(url).clean


def test_a_database_that_becomes_read_only_is_waited_for(
    own_postgres: Postgres, tmp_path: Path
) -> None:
    upgrade(own_postgres.url)
    place = Place(tmp_path, own_postgres.url)
    try:
        ordered(place, 5)
        place.wait_for(e.PolicyUpdated)
        allow_writing(own_postgres, allowed=False)
        place.wait(lambda: spoken(place, "read-only transaction") >= 1, "word of a read-only log")
        allow_writing(own_postgres, allowed=True)
        place.wait_for(e.ScheduleFinished)
        place.stop()
        sound(place)
    finally:
        place.clean_up()


def allow_writing(server: Postgres, *, allowed: bool) -> None:
    """Let a database be written, or only read, also by who is connected already."""
    word = "off" if allowed else "on"
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE postgres SET default_transaction_read_only = {word}")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = 'postgres' AND pid <> pg_backend_pid()"
        )


NO_RIGHTS = "dac_override,-dac_read_search"
"""What lets root write a file whose mode forbids it (capabilities(7))."""


@pytest.fixture
def strict_place(new_place: NewPlace) -> Iterator[Place]:
    """A place on SQLite where modes of files hold for root as well."""
    place = new_place("sqlite")
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("Root may write every file, and setpriv, which takes that away, is absent.")
        place.before = ("setpriv", f"--bounding-set=-{NO_RIGHTS}", f"--inh-caps=-{NO_RIGHTS}")
    yield place
    forbid(place, file=0o644, folder=0o755)


def forbid(place: Place, file: int, folder: int) -> None:
    """Set the modes of the log's file and folder."""
    log = Path(place.url.removeprefix("sqlite:///"))
    log.parent.chmod(folder)
    for one in log.parent.glob(f"{log.name}*"):
        one.chmod(file)


@pytest.mark.parametrize("modes", [(0o444, 0o755), (0o644, 0o555)], ids=["file", "folder"])
def test_a_file_or_folder_that_may_not_be_written_is_said_and_waited_for(
    strict_place: Place, modes: tuple[int, int]
) -> None:
    place, (file, folder) = strict_place, modes
    place.settle(cycles=1, cron="0 3 1 jan *", attempts=20)
    forbid(place, file, folder)
    assert place.start().wait(60) == 2
    (sentence,) = place.said.read_text().splitlines()
    assert "This account needs the right to write the file and its folder." in sentence
    refused = place.run("halt", "--reason", "the test")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"{sentence} Nothing was halted.")
    assert place.run("verify").returncode == 0

    forbid(place, 0o644, 0o755)
    place.start()
    place.wait_for(e.ScheduleDefined)
    place.run("daemon", "trigger", "nightly", "--reason", "the test")
    place.wait_for(e.ScheduleFinished)
    place.stop()
    sound(place)


def test_a_file_that_becomes_read_only_fails_the_attempt_and_the_run_goes_on_later(
    strict_place: Place,
) -> None:
    place = strict_place
    place.settle(cycles=1, cron="0 3 1 jan *", attempts=20)
    place.start()
    place.wait_for(e.ScheduleDefined)
    place.run("daemon", "trigger", "nightly", "--reason", "the test")
    forbid(place, 0o444, 0o755)  # the daemon has it open, its run does not yet
    place.wait_for(e.ScheduleRetried)
    forbid(place, 0o644, 0o755)
    place.wait_for(e.ScheduleFinished)
    place.stop()

    assert "needs the right to write the file" in place.events(e.ScheduleRetried)[0].reason
    sound(place)


def test_a_run_that_takes_its_daemon_down_every_time_is_given_up(new_place: NewPlace) -> None:
    place = new_place("sqlite")
    place.settle(cycles=1, cron="0 3 1 jan *", crashes=2)
    (place.folder / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if 'train' in sys.orig_argv:\n"
        "    os.kill(os.getppid(), signal.SIGKILL)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    deadly = f"{place.folder}{os.pathsep}{ROOT}"
    daemon = place.start(PYTHONPATH=deadly)
    place.wait_for(e.ScheduleDefined)
    place.run("daemon", "trigger", "nightly", "--reason", "the test")
    for _ in range(2):
        assert daemon.wait(LONGEST) == -signal.SIGKILL
        daemon = place.start(PYTHONPATH=deadly)
    place.wait_for(e.ScheduleFailed)

    (failed,) = place.events(e.ScheduleFailed)
    assert failed.reason.startswith("2 daemons in a row died while they trained this run")
    (row,) = place.status()["schedules"]
    assert row["result"] == "failed"
    assert daemon.poll() is None
    place.stop()
    daemon = place.start()
    place.run("daemon", "trigger", "nightly", "--reason", "mended")
    place.wait_for(e.ScheduleFinished)
    place.stop()


def test_a_postgres_that_restarts_is_waited_for(own_postgres: Postgres, tmp_path: Path) -> None:
    upgrade(own_postgres.url)
    place = Place(tmp_path, own_postgres.url)
    try:
        ordered(place, 5)
        place.wait_for(e.PolicyUpdated)
        own_postgres.stop()
        time.sleep(2)
        own_postgres.start()
        place.wait_for(e.ScheduleFinished)
        place.stop()
        sound(place)
        assert spoken(place, "the log went away; waiting") in (1, 2)  # the daemon, and its run
        assert spoken(place, "Traceback") == 0
    finally:
        place.clean_up()


@pytest.fixture
def clock_file(tmp_path: Path) -> Path:
    """A file that says how far the clock of a process is off; it is read at every look."""
    if find_spec("libfaketime") is None:
        pytest.skip("The clock of a process is set with libfaketime, which is for Linux only.")
    file = tmp_path / "clock"
    file.write_text("+0")
    return file


def with_clock(file: Path) -> dict[str, str]:
    """Return the environment of a process, and of those it starts, whose clock the file sets.

    Only the clock on the wall: what measures how long something takes goes on, as when
    somebody sets the time of a machine.
    """
    spec = find_spec("libfaketime")
    assert spec is not None
    assert spec.origin is not None
    library = Path(spec.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_clock_that_is_put_back_an_hour_amid_a_run_loses_nothing_and_fires_nothing_twice(
    clock_file: Path, new_place: NewPlace, kind: str
) -> None:
    place = new_place(kind)
    place.settle(cycles=3, every=1)
    daemon = place.start(**with_clock(clock_file))
    place.wait_for(e.PolicyUpdated)
    clock_file.write_text("-3600")
    place.wait_for(e.ScheduleFinished)
    handled = place.status()["schedules"][0]["skipped"]
    time.sleep(2)
    (fired,) = place.events(e.ScheduleFired)
    assert place.status()["schedules"][0]["skipped"] == handled

    clock_file.write_text("+0")
    place.wait_for(e.ScheduleFired, 2)
    place.stop([daemon])

    again = place.events(e.ScheduleFired)[1]
    assert again.due > fired.due
    assert [one.run for one in place.events(e.ScheduleFinished)] == [fired.run]
    store = open_store(place.url)
    assert replay_run(store, fired.run).clean
    store.close()
    assert verify_log(place.url).clean


def test_a_gateway_that_is_down_costs_a_warning_and_an_event(new_place: NewPlace) -> None:
    place = new_place("sqlite")
    place.settle(cycles=1, cron="0 3 1 jan *")
    settings = place.folder / "stairways.toml"
    settings.write_text(
        settings.read_text().replace("port = 0", 'port = 0\ngateway = "http://127.0.0.1:9"')
    )
    place.start()
    place.wait_for(e.ScheduleDefined)
    place.run("daemon", "trigger", "nightly", "--reason", "the test")
    place.wait_for(e.ScheduleFinished)
    place.stop()

    sound(place)
    failed = place.events(e.AlertPushFailed)
    assert [one.schedule for one in failed] == ["nightly"]
    assert failed[0].gateway == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[schedule.nightly\n", "cannot be read"),
        ("[schedule.nightly]\nevery = 5\n", "give either bars or data"),
        ("", "The settings have no schedule"),
    ],
)
def test_settings_that_are_not_fit_stop_a_daemon_before_it_touches_the_log(
    new_place: NewPlace, text: str, said: str
) -> None:
    place = new_place("sqlite")
    (place.folder / "stairways.toml").write_text(text)

    assert place.start().wait(60) == 2

    (sentence,) = place.said.read_text().splitlines()
    assert sentence.startswith("stairways: ")
    assert said in sentence
    assert place.events(e.DaemonStarted) == []
