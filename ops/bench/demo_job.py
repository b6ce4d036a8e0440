"""The job that several benchmarks train: the demo's bars and defaults, on a log of its own."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from stairways.bootstrap import App
from stairways.cli.demo import SYMBOLS, bars_file
from stairways.cli.watching import Watcher
from stairways.market.aligned import Aligned
from stairways.market.loading import load_bars
from stairways.service.data import register_bars
from stairways.service.stairway.run import Job
from stairways.store.contract import EventStore
from stairways.store.opening import open_store


def demo_bars() -> Aligned:
    """Return the daily bars of AAPL and MSFT that bokeh-sampledata carries."""
    return load_bars([bars_file()], symbols=SYMBOLS, adjustment="splits+dividends")


def job_on(app: App, store: EventStore, aligned: Aligned) -> Job:
    """Register bars in a log and return the job of a run there."""
    register_bars(store, aligned, "bench", app.context("bench"))
    plan = app.plan()
    return Job(
        run=f"{uuid.uuid4()}",
        plan=plan,
        bars=aligned.bars,
        store=store,
        context=lambda: app.context("bench"),
        watcher=Watcher(plan),
    )


@contextmanager
def demo_job(app: App, aligned: Aligned) -> Iterator[Job]:
    """Give a job on a new log in SQLite, which is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'log.db'}")
        yield job_on(app, store, aligned)
        store.close()


def another(job: Job) -> Job:
    """Return the job of one more run on the same log."""
    return replace(job, run=f"{uuid.uuid4()}")
