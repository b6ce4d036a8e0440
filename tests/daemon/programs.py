"""Daemons as real processes, with a settings file in a folder of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stairways.core import events as e
from stairways.service.stairway.journal import decoded
from stairways.store.opening import open_sql_store
from tests.processes import ROOT, bars_file
from tests.small_run import SMALL

LONGEST = 300.0
"""Seconds that anything may take on a busy machine, before a test gives up."""


class Place:
    """A folder with bars and settings, a log, and the daemons that were started on it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.before: Sequence[str] = ()  # words before the program's own, as `setpriv …`
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.said = folder / "said.txt"
        bars_file(folder)

    def settle(
        self, cycles: int, changes: Mapping[str, str] | None = None, **schedule: object
    ) -> None:
        """Write settings with one schedule, ``nightly``, whose runs have so many cycles."""
        small = {
            **SMALL,
            **(changes or {}),
            "stairway.targets": ",".join(["0.7"] * cycles),
            "stairway.learning_rates": ",".join(["3e-3"] * cycles),
        }
        lines = ["[daemon]", "poll_seconds = 0.2", "lease_seconds = 5", "[metrics]", "port = 0"]
        lines += ["[schedule.nightly]", 'bars = ["bars.parquet"]', "backoff = 1"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in schedule.items()]
        lines += ["[schedule.nightly.settings]"]
        lines += [f'"{key}" = "{value}"' for key, value in small.items()]
        (self.folder / "stairways.toml").write_text("\n".join(lines))

    def start(self, **changes: str) -> "subprocess.Popen[bytes]":
        with self.said.open("ab") as said:
            daemon = subprocess.Popen(
                [*self.before, sys.executable, "-m", "stairways", "daemon"],
                cwd=self.folder,
                env=self._environment(changes),
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        self.daemons.append(daemon)
        return daemon

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run another command of the program on the same log, from another folder."""
        return subprocess.run(
            [*self.before, sys.executable, "-m", "stairways", *words],
            cwd="/",
            env=self._environment({}),
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST,
        )

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("daemon", "status", "--json").stdout)
        return found

    def events(self, *types: type[e.Event]) -> list[Any]:
        store = open_sql_store(self.url)
        try:
            return [decoded(one) for one in store.read(types=[kind.__name__ for kind in types])]
        finally:
            store.close()

    def wait_for(self, kind: type[e.Event], count: int = 1) -> float:
        """Wait until the log has so many events of a type; return the seconds that took."""
        return self.wait(lambda: len(self.events(kind)) >= count, kind.__name__)

    def wait(self, until: Callable[[], bool], what: str) -> float:
        begun = time.monotonic()
        while not until():
            assert time.monotonic() - begun < LONGEST, f"no {what}:\n{self.said.read_text()}"
            time.sleep(0.05)
        return time.monotonic() - begun

    def keeper(self) -> "subprocess.Popen[bytes]":
        """Return the daemon that keeps the schedule, as the lease names it."""
        store = open_sql_store(self.url)
        (lease,) = store.leases("schedule-")
        store.close()
        assert lease.holder
        return next(
            one for one in self.daemons if lease.holder.name.startswith(f"pid {one.pid} on")
        )

    def stop(self, daemons: Sequence["subprocess.Popen[bytes]"] | None = None) -> float:
        """Let daemons end by SIGTERM; return the seconds that took.

        One that is only starting would die of it: it is given the time to listen.
        """
        running = [one for one in daemons or self.daemons if one.poll() is None]
        self.wait(lambda: all(map(listens, running)), "daemon that listens to SIGTERM")
        begun = time.monotonic()
        for one in running:
            one.send_signal(signal.SIGTERM)
        for one in running:
            assert one.wait(LONGEST) == 0, self.said.read_text()
        return time.monotonic() - begun

    def clean_up(self) -> None:
        for one in self.daemons:
            if one.poll() is None:
                one.kill()
            one.wait()

    def _environment(self, changes: dict[str, str]) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "STAIRWAYS_DATABASE_URL": self.url,
            "STAIRWAYS_ACTOR": "ada",
            **changes,
        }


def listens(daemon: "subprocess.Popen[bytes]") -> bool:
    """Tell whether a process catches SIGTERM; one that has ended need not."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return daemon.poll() is not None or bool(caught >> (signal.SIGTERM - 1) & 1)
