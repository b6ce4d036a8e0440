"""How long the console's pages take over a large log, and whether its memory stays flat.

A run that was really trained is appended again and again through the store, each time as a run
of another name, until the log in PostgreSQL holds ``--events``; it is signed, and `stairways
serve` is started over it as an account that only reads. Each page is asked ``ROUNDS`` times; its
time is what the server says it took (Server-Timing), so neither this script nor the network
counts. Exits with 1 when a page's median is 200 ms or more.

    python ops/bench/console.py --events 10000000 --source sqlite:///demo/stairways.db

Without ``--source`` the main job is trained first. ``--keep`` leaves the database for another
look and prints its URL; ``--log URL`` measures a log that is there.
"""

import argparse
import http.client
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from ops.bench.copying import context, copy_runs, train_demo
from stairways.console.people import new_token, token_entry
from stairways.core.values import Position
from stairways.service.seal import seal_log
from stairways.store.opening import open_sql_store, upgrade
from stairways.store.seal import new_key
from tests.conftest import Postgres

LIMIT = 200.0  # milliseconds
ROUNDS = 15
PROGRAM = [sys.executable, "-m", "stairways"]
ROOT = Path(__file__).parents[2]
LONGEST_START = 900.0


def main() -> int:
    """Build, measure, print; return the exit code."""
    options = _options()
    with ExitStack() as open_things:
        folder = Path(open_things.enter_context(tempfile.TemporaryDirectory(prefix="console-")))
        folder.chmod(0o755)
        url = options.log or _built(open_things, folder, options)
        token = new_token()
        console = open_things.enter_context(_serving(url, token))
        _wait_until_read(console, token)
        found = _measured(console, token, _addresses(url))
        _print(url, found, console)
    return 1 if max(statistics.median(times) for times in found.values()) >= LIMIT else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--source", default="")
    parser.add_argument("--log", default="")
    parser.add_argument("--keep", action="store_true")
    return parser.parse_args()


def _built(open_things: ExitStack, folder: Path, options: argparse.Namespace) -> str:
    """Build the large log in a server of its own, and return its URL."""
    source = options.source or train_demo(folder / "demo")
    place = Path(tempfile.mkdtemp(prefix="console-pg-")) / "pg" if options.keep else folder / "pg"
    place.parent.chmod(0o755)
    server = Postgres(place, fsync=False)
    server.create()
    server.start()
    if options.keep:
        print(f"kept: {server.url}")
    else:
        open_things.callback(server.remove)
    upgrade(server.url)
    store = open_sql_store(server.url)
    began = time.perf_counter()
    copy_runs(store, source, options.events)
    seal_log(store, new_key("example.org/bench"), context("seal", "seal"))
    size = store.head().size
    seconds = time.perf_counter() - began
    print(f"{size:,} events appended in {seconds:.0f} s, {size / seconds:,.0f} a second")
    store.close()
    return server.url


@contextmanager
def _serving(url: str, token: str) -> Iterator["Console"]:
    """Start `stairways serve` over a log, and end it afterwards."""
    environment = {
        **os.environ,
        "STAIRWAYS_DATABASE_URL": url,
        "STAIRWAYS_CONSOLE__TOKENS": token_entry("auditor", "bench", token),
        "STAIRWAYS_CONSOLE__RATE": "100000",
        "STAIRWAYS_CONSOLE__BURST": "100000",
        "STAIRWAYS_LOG__LEVEL": "error",
    }
    process = subprocess.Popen(  # noqa: S603 - the product's own command
        [*PROGRAM, "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True,
        cwd=ROOT,
    )  # fmt: skip
    try:
        said = process.stderr.readline() if process.stderr else ""
        port = re.search(r":(\d+)$", said.strip())
        if port is None:
            raise SystemExit(f"the console did not start: {said}")
        yield Console(process.pid, int(port[1]))
    finally:
        process.terminate()
        process.wait(20)


class Console(NamedTuple):
    """A console that runs as a process of its own."""

    pid: int
    port: int

    def get(self, path: str, token: str) -> tuple[int, float, str]:
        """Return status, milliseconds the server took, and text of a page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/html"}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        took = re.search(r"dur=([\d.]+)", answer.headers.get("Server-Timing", ""))
        return answer.status, float(took[1]) if took else 0.0, text

    def memory(self) -> float:
        """Return how many MB the process has in memory."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def _wait_until_read(console: Console, token: str) -> None:
    """Wait until the console has read the log into its tree."""
    began = time.perf_counter()
    while "Proved" not in console.get("/events/5", token)[2]:
        if time.perf_counter() - began > LONGEST_START:
            raise SystemExit("the console did not read the log in time")
        time.sleep(0.5)
    print(f"read and proving after {time.perf_counter() - began:.0f} s (pages answer meanwhile)")


def _addresses(url: str) -> list[str]:
    """Return every page, and the filters that are hardest."""
    store = open_sql_store(url, read_only=True)
    runs = [stream.removeprefix("run-") for stream in store.streams("run-")]
    size = store.head().size
    data = next(store.read(types=("DataRegistered",), until=Position(1000)))
    digest = orjson.loads(data.payload)["digest"]
    store.close()
    first, last = quote(runs[0]), quote(runs[-1])
    return [
        "/runs", f"/runs/{first}", f"/runs/{last}", f"/runs/{last}/live",
        f"/runs/{first}/curves.json", f"/runs/{last}/curves.json",
        f"/runs/{first}/cycles/2/2", f"/runs/{last}/cycles/8/1",
        "/events", f"/events?before={size // 2}", f"/events?after={size // 2}",
        "/events?type=GateDecided", f"/events?type=GateDecided&run={first}",
        "/events?type=EvaluationStepTaken", "/events?type=StepTaken&type=GateDecided",
        f"/events?run={first}", f"/events?run={last}", f"/events?stream=run-{first}",
        "/events?stream=model-default", "/events?actor=nobody",
        "/events?type=StepTaken&actor=nobody", "/events?type=GateDecided&actor=nobody",
        "/events?until=2000-01-01", "/events?since=2000-01-01",
        f"/events?correlation={first}", "/events?causation=5", f"/events?type=RunFailed&run={last}",
        "/events/5", f"/events/{size // 2}", f"/events/{size}", f"/events/{size // 2}/proof",
        "/models", "/models/default", "/data", f"/data/{digest}", "/integrity", "/daemon",
    ]  # fmt: skip


def _measured(console: Console, token: str, addresses: Sequence[str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {address: [] for address in addresses}
    before = console.memory()
    for number in range(ROUNDS):
        for address in addresses:
            status, took, text = console.get(address, token)
            if status != 200:  # noqa: PLR2004 - HTTP
                raise SystemExit(f"{address}: {status} {text[:300]}")
            found[address].append(took)
        if number == 0:
            before = console.memory()
    print(f"memory: {before:.0f} MB after one round, {console.memory():.0f} MB after {ROUNDS}")
    return found


def _print(url: str, found: dict[str, list[float]], console: Console) -> None:
    store = open_sql_store(url, read_only=True)
    runs = len(store.streams("run-"))
    print(f"{store.head().size:,} events of {runs} runs; {console.memory():.0f} MB")
    store.close()
    print(f"{'median':>8} {'largest':>8}  ms, page")
    for address, times in sorted(found.items(), key=lambda one: -statistics.median(one[1])):
        print(f"{statistics.median(times):8.1f} {max(times):8.1f}  {address}")


if __name__ == "__main__":
    raise SystemExit(main())
