"""The real Prometheus parts, each on a free port of this machine."""

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

PATIENCE = 30.0


def program(*names: str) -> str:
    """Return the path of the first of ``names`` that is installed, or skip the test."""
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"{names[0]} is not installed (Debian: apt-get install {names[-1]})")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as page:  # noqa: S310 - of this machine
        return str(page.read().decode())


def wait_for(what: str, happened: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until something is so; a service that does not answer yet is not so."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            if happened():
                return
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)


@contextlib.contextmanager
def running(command: Sequence[str], ready: str, folder: Path) -> Iterator[None]:
    """Run a server until the end of the block; ``ready`` is the URL that says it is up."""
    name = Path(command[0]).name
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            wait_for(name, lambda: answer(ready) is not None)
            yield
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def pushgateway(folder: Path, address: str = "") -> Iterator[str]:
    """Run a Pushgateway and give its URL."""
    url = address or f"127.0.0.1:{free_port()}"
    command = [program("pushgateway", "prometheus-pushgateway"), f"--web.listen-address={url}"]
    command.append("--persistence.file=")  # Debian keeps what was pushed; a test must not see it
    with running(command, f"http://{url}/-/ready", folder):
        yield f"http://{url}"
