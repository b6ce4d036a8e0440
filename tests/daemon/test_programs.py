"""Real daemons on real logs: killed, stopped, ordered about, told to halt."""

import os
import signal
import socket
from collections.abc import Callable

import pytest

from stairways.core import events as e
from stairways.service.replay.run import replay_run
from stairways.service.verify.log import verify_log
from stairways.store.opening import open_sql_store
from tests.daemon.programs import LONGEST, Place

NewPlace = Callable[[str], Place]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_of_three_daemons_one_trains_and_another_goes_on_when_it_is_killed(
    kind: str, new_place: NewPlace
) -> None:
    place = new_place(kind)
    place.settle(cycles=40, every=1, late=600)
    for _ in range(3):
        place.start()
    place.wait_for(e.PolicyUpdated)

    place.keeper().kill()
    assert place.wait_for(e.LeaseTaken, 2) < 5
    place.wait_for(e.RunResumed)
    assert place.stop() < 15  # ten for the rollout, and a busy machine

    (fired,) = place.events(e.ScheduleFired)
    assert [one.run for one in place.events(e.ScheduleFinished, e.ScheduleFailed)] == []
    taken = place.events(e.LeaseTaken)
    assert [one.epoch for one in taken] == [1, 2]
    assert taken[1].previous == taken[0].holder == fired.holder
    assert place.events(e.RunResumed, e.RunStopped)[-1].reason.startswith("SIGTERM")
    store = open_sql_store(place.url)
    assert [lease.name for lease in store.leases() if lease.holder] == []
    store.close()
    assert verify_log(place.url).clean


def test_orders_from_another_shell_are_followed_and_a_halt_stops_all(new_place: NewPlace) -> None:
    place = new_place("sqlite")
    place.settle(cycles=90, cron="0 3 1 jan *")
    daemon = place.start()
    place.wait_for(e.ScheduleDefined)

    ordered = place.run("daemon", "trigger", "nightly", "--reason", "new bars")
    assert ordered.returncode == 0, ordered.stderr
    place.wait_for(e.PolicyUpdated)
    assert place.run("daemon", "pause", "nightly", "--reason", "holiday").returncode == 0
    (row,) = place.status()["schedules"]
    assert (row["result"], row["paused"], row["ordered"]) == ("running", "ada: holiday", 0)

    text = (place.folder / "stairways.toml").read_text()
    (place.folder / "stairways.toml").write_text("[schedule.nightly\n")
    daemon.send_signal(signal.SIGHUP)
    place.wait(lambda: "the old settings are kept" in place.said.read_text(), "word of settings")
    (place.folder / "stairways.toml").unlink()
    daemon.send_signal(signal.SIGHUP)
    place.wait(lambda: "have no schedule" in place.said.read_text(), "word of no settings")
    (place.folder / "stairways.toml").write_text(text.replace("0 3 1", "0 4 1"))
    daemon.send_signal(signal.SIGHUP)
    place.wait_for(e.ScheduleDefined, 2)

    assert place.run("halt", "--reason", "smoke").returncode == 0
    assert place.wait_for(e.RunStopped) < 10
    refused = place.run("daemon", "trigger", "nightly", "--reason", "again")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "ada halted all training and serving: smoke." in refused.stderr
    assert place.run("daemon", "status").returncode == 1
    assert place.run("halt", "--lift", "--reason", "no fire").returncode == 0

    place.wait_for(e.RunResumed)
    (fired,) = place.events(e.ScheduleFired)
    assert fired.trigger == "ada"
    (row,) = place.status()["schedules"]
    assert (row["run"], row["result"], row["cycles"]) == (fired.run, "running", 90)
    assert 0 < row["progress"] < 1
    shown = place.run("daemon", "status")
    assert shown.returncode == 0
    assert shown.stderr == "nightly is paused by ada: holiday.\n"
    place.stop()
    store = open_sql_store(place.url)
    assert replay_run(store, fired.run).clean
    store.close()


def test_a_daemon_says_that_it_is_ready_once_a_reload_no_longer_ends_it_and_then_that_it_lives(
    new_place: NewPlace,
) -> None:
    place = new_place("sqlite")
    place.settle(cycles=1, cron="0 3 1 jan *")
    name = f"stairways-test-{place.folder.name}-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind("\0" + name)
        supervisor.settimeout(LONGEST)
        daemon = place.start(NOTIFY_SOCKET=f"@{name}")

        told = [supervisor.recv(64)]
        daemon.send_signal(signal.SIGHUP)
        told += [supervisor.recv(64), supervisor.recv(64)]

    assert told == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    place.wait(lambda: "settings were read again" in place.said.read_text(), "reload")
    place.stop()  # a supervisor that is gone does not matter
