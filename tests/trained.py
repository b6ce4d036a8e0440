"""The log of a small real run, to be replayed, copied and damaged."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

from stairways.market.canonical import encode_bars
from stairways.market.simulation import simulate
from stairways.service.stairway.run import Job, run_stairway
from stairways.store.contract import Context, Encoded, EventStore, Record
from stairways.store.memory import MemoryStore
from tests.small_run import Quiet, small_plan

BARS = simulate(("AAA", "BBB"), 600, seed=5).bars
_NUMBERS = itertools.count()


def context() -> Context:
    return Context(actor="test", correlation="r1", append_id=f"test-{next(_NUMBERS)}")


def new_store() -> MemoryStore:
    return MemoryStore(lambda: datetime(2026, 1, 5, tzinfo=UTC))


def train(store: EventStore, **changes: str) -> None:
    """Train two cycles as run r1, with episodes so short that they end inside a rollout."""
    store.put_blob(encode_bars(BARS))
    rules = {
        "stairway__targets": "0.7,0.6",
        "stairway__learning_rates": "3e-3,1e-3",
        "trading__episode_length": "30",
        "trading__borrow_rate": "0.03",
        "trading__impact_bp": "5",
    }
    plan = small_plan(**{**rules, **changes})
    run_stairway(Job(run="r1", plan=plan, bars=BARS, store=store, context=context, watcher=Quiet()))


def written(to: EventStore, records: Sequence[Record]) -> None:
    """Write records into an empty log as if they had happened like this."""
    to.put_blob(encode_bars(BARS))
    for stream, some in itertools.groupby(records, key=lambda record: record.stream):
        events = [Encoded(record.type, record.schema, record.payload) for record in some]
        to.append(stream, None, events, context())
