"""The read models of a run that was really trained."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from stairways.core import curves, projections
from stairways.core import events as e
from stairways.core.progress import Progress
from stairways.core.stairway import Cycle
from stairways.core.values import Position
from stairways.market.canonical import encode_bars
from stairways.market.simulation import simulate
from stairways.readmodels import queries
from stairways.readmodels.batch import run_of
from stairways.readmodels.projector import Projector
from stairways.service.stairway.journal import decoded
from stairways.service.stairway.run import Job, run_stairway
from stairways.store.contract import Context
from stairways.store.opening import open_sql_store
from stairways.store.sql import SqlStore
from tests.small_run import small_plan

BARS = simulate(("AAA", "BBB"), 700, seed=5).bars


@dataclass
class Follower:
    """Watches a run and keeps the read models in step with it while it trains."""

    projector: Projector
    seen: list[int] = field(default_factory=list)

    def advanced(self, progress: Progress, cycle: Cycle) -> None:
        self.seen.append(self.projector.catch_up())

    def noted(self, event: e.Event, position: Position) -> None: ...


@pytest.fixture
def trained(
    database_url: str, clock: Callable[[], datetime]
) -> Iterator[tuple[SqlStore, Follower]]:
    store = open_sql_store(database_url, clock=clock)
    follower = Follower(Projector(store))
    numbers = itertools.count()

    def context() -> Context:
        return Context(actor="test", correlation="r1", append_id=f"r1-{next(numbers)}")

    store.put_blob(encode_bars(BARS))
    run_stairway(
        Job(
            run="r1",
            plan=small_plan(),
            bars=BARS,
            store=store,
            context=context,
            watcher=follower,
        )
    )
    follower.projector.catch_up()
    yield store, follower
    store.close()


def test_rows_kept_while_training_equal_the_folds_and_a_rebuild(
    trained: tuple[SqlStore, Follower],
) -> None:
    store, follower = trained
    kept = queries.everything(store)

    assert len(set(follower.seen)) > 5
    Projector(store).rebuild()
    assert queries.everything(store) == kept

    events = [event for record in store.read() if run_of(record, event := decoded(record)) == "r1"]
    summary, _ = queries.run_with_span(store, "r1") or pytest.fail("the run is not there")
    assert summary == projections.run_summary(events)
    assert summary.status == "finished"
    assert queries.model(store, summary.model) == projections.model_state(events)
    points = list(curves.pnl_curve(events))
    assert [row["equity"] for row in queries.pnl(store, "r1")] == [one.equity for one in points]
    trace = list(curves.controller_trace(events))
    assert [row["slow"] for row in queries.controller(store, "r1")] == [one.slow for one in trace]
    assert {point.kind for point in points} == {"training", "validation"}
