"""Fixtures of a small stairway on simulated bars, quick enough to run many times."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from stairways.market.bars import Bars
from stairways.market.canonical import encode_bars
from stairways.market.simulation import simulate
from stairways.service.stairway.run import Job
from stairways.store.contract import Context, EventStore
from stairways.store.memory import MemoryStore
from tests.small_run import NewJob, Quiet, small_plan


@pytest.fixture(scope="session")
def bars() -> Bars:
    return simulate(("AAA", "BBB"), 700, seed=5).bars


@pytest.fixture(scope="session")
def new_job(bars: Bars) -> NewJob:
    """Make the job of a run; the same arguments make the same run."""
    numbers = itertools.count()

    def make(store: EventStore, run: str = "r1", **changes: str) -> Job:
        def context() -> Context:
            return Context(actor="test", correlation=run, append_id=f"{run}-{next(numbers)}")

        store.put_blob(encode_bars(bars))
        return Job(
            run=run,
            plan=small_plan(**changes),
            bars=bars,
            store=store,
            context=context,
            watcher=Quiet(),
        )

    return make


@pytest.fixture(scope="session")
def new_memory() -> Callable[[], MemoryStore]:
    return lambda: MemoryStore(lambda: datetime(2026, 1, 5, tzinfo=UTC))
