"""Measure what pushing and being scraped cost a run.

Trains two cycles of 6,000 steps on AAPL and MSFT (bokeh-sampledata) with the whole log on SQLite,
in turn alone, with the thread that pushes, and with the thread that answers scrapes, which stands
in the daemon's process otherwise. Both look at the log every second instead of every five, so that
there is something to measure; the gateway and whoever scrapes, once a second, are processes of
their own. What one look with its push or scrape takes of a processor, and so what share of one
metrics take at the default interval, does not depend on how busy the machine is; the training
thread's own time is printed beside it. Parameters must come out the same, bit for bit.
"""

import argparse
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from ops.bench.demo_job import demo_bars, demo_job
from stairways.bootstrap import App
from stairways.core.values import Digest
from stairways.market.aligned import Aligned
from stairways.metrics.exporter import Exporter
from stairways.metrics.rules import MetricsRules
from stairways.service.stairway.run import run_stairway
from stairways.store.contract import EventStore

LIMIT = 0.01
"""Share of one processor at the default interval."""

WAYS = ("alone", "pushing", "scraped")
EVERY = 1.0

GATEWAY = """
import http.server
class Gateway(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
    do_PUT = do_POST
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Gateway)
print(server.server_port, flush=True)
server.serve_forever()
"""

SCRAPER = """
import sys, time, urllib.request
while True:
    urllib.request.urlopen(sys.argv[1]).read()
    time.sleep(float(sys.argv[2]))
"""


class Spent(NamedTuple):
    """Seconds of the processor, of the training thread on it, and of the clock on the wall."""

    processor: float
    training: float
    wall: float


def now() -> Spent:
    """Return the clocks."""
    return Spent(time.process_time(), time.thread_time(), time.perf_counter())


@contextmanager
def program(code: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a small program meanwhile."""
    with subprocess.Popen(  # noqa: S603 - this very file
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def metrics(app: App, store: EventStore, way: str) -> Iterator[None]:
    """Keep metrics in one of the ways meanwhile."""
    if way == "alone":
        yield
        return
    with contextlib.ExitStack() as stack:
        gateway = None
        if way == "pushing":
            sink = stack.enter_context(program(GATEWAY))
            assert sink.stdout  # noqa: S101 - a pipe
            gateway = f"http://127.0.0.1:{int(sink.stdout.readline())}"
        rules = MetricsRules(port=0 if gateway else _free_port(), gateway=gateway, interval=EVERY)
        exporter = Exporter(
            store, rules, lambda: app.context("bench"), app.clock, serve=way == "scraped"
        )
        stack.enter_context(exporter)
        if exporter.port:
            address = f"http://127.0.0.1:{exporter.port}/metrics"
            stack.enter_context(program(SCRAPER, address, str(EVERY)))
        yield


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def trained(app: App, aligned: Aligned, way: str) -> tuple[Spent, Digest]:
    """Train once in a log of its own; return what was spent and the parameters."""
    with demo_job(app, aligned) as job, metrics(app, job.store, way):
        start = now()
        finished = run_stairway(job)
        spent = Spent(*(end - begin for begin, end in zip(start, now(), strict=True)))
    return spent, finished.parameters


def main() -> int:
    """Measure, print, and fail when metrics cost more than they may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    app = App()
    app.flags.give("stairway.targets", "0.75,0.70", "the benchmark")
    app.flags.give("stairway.learning_rates", "3e-4,2e-4", "the benchmark")
    aligned = demo_bars()
    spent: dict[str, list[Spent]] = {way: [] for way in WAYS}
    made = set()
    for number in range(rounds + 1):
        for way in WAYS if number % 2 else WAYS[::-1]:
            one, parameters = trained(app, aligned, way)
            made.add(parameters)
            if number:  # the first round compiles and warms up
                spent[way].append(one)
    if len(made) != 1:
        print("the trainings differ")
        return 2
    return report(spent)


def report(spent: dict[str, list[Spent]]) -> int:
    """Print the times, and return 1 when metrics cost more than they may."""
    alone = min(one.training for one in spent["alone"])
    every, worst = MetricsRules().interval, 0.0
    for way in WAYS[1:]:
        looks = [(one.processor - one.training) / (one.wall / EVERY + 1) for one in spent[way]]
        share, training = min(looks) / every, min(one.training for one in spent[way])
        print(
            f"{way}: {1e3 * min(looks):.1f} ms of a processor a look, {share:.2%} of one at every "
            f"{every:g} s; the training thread took {training:.3f} s, alone {alone:.3f} s "
            f"(ratio {training / alone:.3f}; shortest of {len(looks)})"
        )
        worst = max(worst, share)
    print(f"share of a processor: {worst:.2%} at most (allowed: {LIMIT:.0%})")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
