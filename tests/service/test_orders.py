"""An operator puts a model back or overrides the gates; runs follow at their next cycle."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stairways import cli
from stairways.core import events as e
from stairways.core.progress import Progress
from stairways.core.projections import model_state
from stairways.core.stairway import Cycle
from stairways.core.values import Digest, StreamName
from stairways.errors import ModelRefusedError, NoSuchEventError
from stairways.market.canonical import encode_bars
from stairways.market.simulation import simulate
from stairways.service.replay.reexecution import Reexecution
from stairways.service.stairway.journal import decoded
from stairways.service.stairway.orders import OPERATOR, override, roll_back
from stairways.service.stairway.run import Job, run_stairway
from stairways.store.contract import Context, EventStore
from stairways.store.memory import MemoryStore
from stairways.store.opening import open_store
from tests.small_run import Quiet, small_plan

BARS = simulate(("AAA", "BBB"), 600, seed=5).bars
CALM = {"stairway__divergence_limit": "10"}
_NUMBERS = itertools.count()


def context(correlation: str = OPERATOR) -> Context:
    return Context(actor="ann", correlation=correlation, append_id=str(next(_NUMBERS)))


@dataclass
class Ordering(Quiet):
    """A watcher that gives an operator's order while cycle 2 is being trained."""

    store: EventStore | None = None
    given: list[Digest] = field(default_factory=list)

    def advanced(self, progress: Progress, cycle: Cycle) -> None:
        if (cycle.number, progress.update) == (2, 1) and self.store is not None:
            (first, *_) = events(self.store, e.ModelPromoted)
            assert isinstance(first, e.ModelPromoted)
            to = first.parameters[:16]
            roll_back(self.store, "default", to, reason="too bold", who="Ann", context=context())
            self.given.append(first.parameters)


def job_of(store: EventStore, watcher: Quiet | None = None, **changes: str) -> Job:
    store.put_blob(encode_bars(BARS))
    plan = small_plan(**{**CALM, **changes})
    return Job(
        run="r1",
        plan=plan,
        bars=BARS,
        store=store,
        context=lambda: context("r1"),
        watcher=watcher or Quiet(),
    )


def new_store() -> MemoryStore:
    return MemoryStore(lambda: datetime(2026, 1, 5, tzinfo=UTC))


def events(store: EventStore, kind: type) -> list[e.Event]:
    return [decoded(record) for record in store.read(types=[kind.__name__])]


def served(store: EventStore) -> tuple[Digest | None, float]:
    state = model_state(decoded(r) for r in store.read(stream=StreamName("model-default")))
    return state.served, state.base_margin


@pytest.fixture
def finished() -> MemoryStore:
    """Three cycles, all promoted."""
    store = new_store()
    run_stairway(job_of(store))
    return store


def promotions(store: EventStore) -> list[e.ModelPromoted]:
    return [p for p in events(store, e.ModelPromoted) if isinstance(p, e.ModelPromoted)]


def test_a_rollback_serves_the_earlier_model_with_its_margin(finished: MemoryStore) -> None:
    first = promotions(finished)[0]
    assert served(finished)[0] == promotions(finished)[-1].parameters
    back = roll_back(
        finished, "default", first.parameters, reason="losses", who="Ann", context=context()
    )
    assert served(finished) == (first.parameters, first.base_margin)
    assert (back.by, back.reason, back.cycle) == ("Ann", "losses", 1)


@pytest.mark.parametrize(
    ("model", "to", "said"),
    [
        ("default", "0" * 64, "is not the digest of one model promoted"),
        ("default", "", "is not the digest of one model promoted"),
        ("nobody", "0" * 64, "knows no promoted model nobody"),
    ],
)
def test_an_unknown_digest_is_refused(
    finished: MemoryStore, model: str, to: str, said: str
) -> None:
    size = finished.head().size
    with pytest.raises(ModelRefusedError, match=said):
        roll_back(finished, model, to, reason="x", who="Ann", context=context())
    assert finished.head().size == size


def test_an_order_without_a_name_or_reason_is_refused(finished: MemoryStore) -> None:
    to = promotions(finished)[0].parameters
    with pytest.raises(ModelRefusedError, match="A name and a reason"):
        roll_back(finished, "default", to, reason=" ", who="Ann", context=context())


def ordered() -> tuple[MemoryStore, Job]:
    """Train while an operator rolls back to cycle 1 during cycle 2."""
    store = new_store()
    watcher = Ordering()
    watcher.store = store
    job = job_of(store, watcher)
    run_stairway(job)
    assert len(watcher.given) == 1
    return store, job


def test_a_run_follows_at_its_next_cycle() -> None:
    store, _ = ordered()
    first = promotions(store)[0]
    backs = [b for b in events(store, e.ModelRolledBack) if isinstance(b, e.ModelRolledBack)]
    assert [(b.run, b.by) for b in backs] == [("r1", "Ann"), ("r1", "Ann")]
    assert backs[1].parameters == first.parameters
    third = events(store, e.CycleStarted)[2]
    update = next(
        u for u in events(store, e.PolicyUpdated) if isinstance(u, e.PolicyUpdated) and u.cycle == 3
    )
    assert isinstance(third, e.CycleStarted)
    assert third.parent == update.reference == first.parameters


def test_a_run_that_followed_an_order_replays_clean_at_both_levels() -> None:
    _, job = ordered()
    for level in ("policy", "training"):
        report = getattr(Reexecution(job, lambda _: None), level)()
        assert report.found == 0, report.findings


def test_states_that_were_not_kept_do_not_disturb_a_replay() -> None:
    store = new_store()
    job = job_of(store, stairway__state_every="2", stairway__divergence_limit="0.02")
    run_stairway(job)
    report = Reexecution(job, lambda _: None).policy()
    assert report.found == 0, report.findings


def test_an_old_order_does_not_touch_a_new_run(finished: MemoryStore) -> None:
    to = promotions(finished)[0].parameters
    roll_back(finished, "default", to, reason="x", who="Ann", context=context())
    backs = len(events(finished, e.ModelRolledBack))
    job = job_of(finished)
    run_stairway(Job(**{n: getattr(job, n) for n in job.__slots__} | {"run": "r2"}))
    assert len(events(finished, e.ModelRolledBack)) == backs


def decide(store: EventStore, cycle: int, *, promote: bool) -> None:
    override(
        store, "default", "r1", cycle, promote=promote, who="Ann", why="I know", context=context()
    )


def test_a_promoted_cycle_can_be_rejected_and_the_one_before_is_served(
    finished: MemoryStore,
) -> None:
    decide(finished, 3, promote=False)
    assert served(finished)[0] == promotions(finished)[1].parameters
    (word,) = events(finished, e.GateOverridden)
    assert isinstance(word, e.GateOverridden)
    assert (word.who, word.why, word.promoted) == ("Ann", "I know", False)


def test_a_rejected_cycle_can_be_promoted_by_name() -> None:
    store = new_store()
    run_stairway(job_of(store, gates__effectiveness="0.999"))
    assert promotions(store) == []
    decide(store, 2, promote=True)
    (promoted,) = promotions(store)
    finished = events(store, e.CycleFinished)[1]
    assert isinstance(finished, e.CycleFinished)
    assert served(store)[0] == promoted.parameters == finished.parameters


def test_what_cannot_be_overridden_is_refused(finished: MemoryStore) -> None:
    with pytest.raises(NoSuchEventError, match="has no verdict"):
        decide(finished, 9, promote=True)
    with pytest.raises(ModelRefusedError, match="is promoted already"):
        decide(finished, 1, promote=True)
    with pytest.raises(ModelRefusedError, match="there is no model to return to"):
        decide(finished, 1, promote=False)
    assert events(finished, e.GateOverridden) == []


def call(url: str, *arguments: str) -> Result:
    options = ("--database-url", url, "--log-level", "error", *arguments)
    return CliRunner().invoke(cli.main, options, prog_name="stairways")


def test_the_commands_record_who_and_why(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    store = open_store(url)
    run_stairway(job_of(store))
    digests: Sequence[str] = [p.parameters for p in promotions(store)]
    result = call(url, "override", "latest", "3", "--reject", "--who", "Ann", "--reason", "no")
    assert (result.exit_code, result.stdout[:8]) == (0, "Cycle 3 "), result.stderr
    result = call(url, "rollback", "default", "--to", digests[0], "--reason", "calm")
    assert (result.exit_code, result.stdout) == (0, f"{digests[0]}\n"), result.stderr
    assert served(store)[0] == digests[0]
    store.close()
    refused = call(url, "rollback", "default", "--to", "f" * 64, "--reason", "calm")
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
