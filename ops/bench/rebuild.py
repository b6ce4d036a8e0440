"""How fast read models are built anew, beside ``eventsourcing`` rebuilding an aggregate.

Trains one real cycle of 6,000 steps on AAPL and MSFT (bokeh-sampledata) into a log, appends its
events under further runs, and builds all tables of the read models from position 1, on either
database. Beside it stand the rows merely fetched, and an ``eventsourcing`` 9.5.6 repository that
gets an aggregate of 1,000 controller events with the same values. Exits with 1 where building
takes more than a twelfth of that aggregate's time for an event.

    python ops/bench/rebuild.py [--copies 20]
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from ops.bench.aggregates import environment_of, open_application, updated_controller
from ops.bench.append import columns, server
from ops.bench.demo_job import demo_bars, job_on
from stairways.bootstrap import App
from stairways.core.values import StreamName
from stairways.readmodels.projector import Projector
from stairways.service.stairway.run import begin
from stairways.store.contract import Encoded
from stairways.store.opening import open_sql_store, upgrade
from stairways.store.sql import SqlStore

LIMIT = 12.0
AGGREGATE = 1000
ROUNDS = 5


def train(app: App, store: SqlStore) -> None:
    """Record one cycle as the run ``first``."""
    job = replace(job_on(app, store, demo_bars()), run="first")
    begin(job).train(job.plan.programme.cycles[0], 1)


def appends(store: SqlStore) -> Iterator[list[Encoded]]:
    """Yield the events of the run ``first``, as they were appended."""
    records = store.read(stream=StreamName("run-first"))
    for _, group in groupby(records, key=lambda record: record.append_id):
        yield [Encoded(one.type, one.schema, one.payload) for one in group]


def fill(app: App, store: SqlStore, trained: Iterable[list[Encoded]], copies: int) -> None:
    """Append a run's events as those of further runs."""
    known = list(trained)
    for number in range(copies):
        for events in known:
            store.append(StreamName(f"run-copy{number}"), None, events, app.context("bench"))


def shortest(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the seconds of the quickest round: others can only make one longer."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def compare(kind: str, ours: str, theirs: str, trained: list[list[Encoded]], copies: int) -> bool:
    """Print events a second on one database; say whether the limit is kept."""
    app = App()
    upgrade(ours)
    store = open_sql_store(ours)
    fill(app, store, trained, copies)
    size = store.head().size
    application = open_application(environment_of(theirs))
    controller = updated_controller(columns(AGGREGATE))
    application.save(controller)
    taken = {
        "rows fetched": shortest(lambda: sum(1 for _ in store.read())) / size,
        "read models built": shortest(Projector(store).rebuild) / size,
        "aggregate rebuilt": shortest(lambda: application.repository.get(controller.id))
        / AGGREGATE,
    }
    for name, seconds in taken.items():
        print(f"{kind:9} {name:18} {1 / seconds:10,.0f} events/s")
    ratio = taken["aggregate rebuilt"] / taken["read models built"]
    print(f"{kind:9} {ratio:.1f} times as fast over {size:,} events (wanted: {LIMIT:.0f})")
    application.close()
    store.close()
    return ratio >= LIMIT


def main() -> int:
    """Compare on both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=20)
    copies = parser.parse_args().copies
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        upgrade(f"sqlite:///{folder}/trained.db")
        first = open_sql_store(f"sqlite:///{folder}/trained.db")
        train(App(), first)
        trained = list(appends(first))
        first.close()
        here = f"sqlite:///{folder}"
        kept = [compare("sqlite", f"{here}/ours.db", f"{here}/theirs.db", trained, copies)]
        with server(folder) as url:
            kept.append(compare("postgres", url("ours"), url("theirs"), trained, copies))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
