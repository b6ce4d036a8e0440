"""Runs in processes of their own, so that a crash of one never takes the daemon along.

A worker is `stairways train` with everything said on its command line; only the log's URL, which
may hold a password, goes through the environment. It stops at its next rollout when its standard
input ends, which it does at the latest when the daemon is gone.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from stairways.daemon.schedule import Schedule

_SAID, _WRONG = "stairways: ", "Error: "  # before the sentence of ours, and of the command line
_LOG = structlog.get_logger("daemon")


class Worker(Protocol):
    """A process that trains."""

    def ended(self) -> bool:
        """Tell whether it has ended."""
        ...

    def stop(self) -> None:
        """Ask it to finish its rollout and end."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...

    def reason(self) -> str:
        """Return in a sentence why it ended."""
        ...


class Launcher(Protocol):
    """Starts workers."""

    def __call__(self, name: str, schedule: Schedule, run: str, seed: int, /) -> Worker:
        """Start to train ``run`` of the schedule ``name``, or to go on with it."""
        ...


def arguments(schedule: Schedule, run: str, seed: int) -> list[str]:
    """Return the command line of a run, complete: no file or variable adds a setting to it."""
    settings = {**schedule.settings, "run.seed": str(seed)}
    given = [part for name, text in settings.items() for part in ("--set", f"{name}={text}")]
    files = [part for file in schedule.bars for part in ("--bars", file)]
    source = files or ["--data", schedule.data]
    own = ["--run", run, "--until-input-ends"]
    return ["--config", os.devnull, *given, "train", *source, *schedule.options, *own]


class Process:
    """A worker as a real process; what it says on stderr goes on to this one's.

    Where that ``is_json``, a line that is none becomes one.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        is_json: bool = False,
        run: str | None = None,
    ) -> None:
        self._is_json = is_json
        self._run = run
        self._process = subprocess.Popen(  # noqa: S603 - this program again
            command,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for the daemon, which then stops its workers
        )
        self._last = ""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def ended(self) -> bool:
        """Tell whether it has ended."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Ask it to finish its rollout and end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()

    def reason(self) -> str:
        """Return in a sentence why it ended."""
        self._listener.join(1.0)
        self._close()
        code = self._process.wait()
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"The training process was killed by {signal.Signals(-code).name}."
        return self._last or f"The training process ended with exit code {code}."

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _listen(self) -> None:
        stream = self._process.stderr
        assert stream is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(ValueError, OSError):  # closed meanwhile
            for line in stream:
                self._pass_on(line)
                if line.startswith((_SAID, _WRONG)):
                    self._last = line.removeprefix(_SAID).removeprefix(_WRONG).strip()

    def _pass_on(self, line: str) -> None:
        if not self._is_json or line.startswith("{"):
            sys.stderr.write(line)
        elif line.strip():
            _LOG.warning("a training process says", run=self._run, said=line.strip())
