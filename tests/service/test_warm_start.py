"""A run may start from somebody's parameters, which are then its first reference."""

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stairways import cli
from stairways.core import events as e
from stairways.core.values import Digest, digest_of
from stairways.errors import ModelRefusedError, SpaceMismatchError
from stairways.market.canonical import encode_bars
from stairways.market.exporting import as_table
from stairways.market.simulation import simulate
from stairways.service.replay.reexecution import Reexecution
from stairways.service.stairway.journal import LANDMARKS, decoded
from stairways.service.stairway.run import Job, run_stairway
from stairways.service.stairway.warm_start import Start
from stairways.store.contract import Context, EventStore
from stairways.store.memory import MemoryStore
from stairways.store.opening import open_store
from stairways.training.export import archive_of
from stairways.training.state import unpack_parameters
from tests.small_run import SMALL, Quiet, small_plan

BARS = simulate(("AAA", "BBB"), 600, seed=5).bars
ONE = {"stairway__targets": "0.7", "stairway__learning_rates": "3e-3"}


def new_store() -> MemoryStore:
    store = MemoryStore(lambda: datetime(2026, 1, 5, tzinfo=UTC))
    store.put_blob(encode_bars(BARS))
    return store


def job_of(store: EventStore, run: str, warm_start: Digest | None = None, **changes: str) -> Job:
    numbers = itertools.count()
    return Job(
        run=run,
        plan=small_plan(**{**ONE, **changes}),
        bars=BARS,
        store=store,
        context=lambda: Context(actor="t", correlation=run, append_id=f"{run}-{next(numbers)}"),
        watcher=Quiet(),
        warm_start=warm_start,
    )


@pytest.fixture(scope="module")
def log() -> MemoryStore:
    """A log in which the model ``default`` was promoted once."""
    store = new_store()
    run_stairway(job_of(store, "r1"))
    return store


def copy(log: MemoryStore) -> MemoryStore:
    """Return another store with the blobs of a log."""
    store = new_store()
    for blob in vars(log)["_blobs"].values():
        store.put_blob(blob)
    return store


def found(store: EventStore, kind: type, run: str) -> list[e.Event]:
    records = (r for r in store.read(types=[kind.__name__]) if r.correlation == run)
    return [decoded(record) for record in records]


def promoted(log: EventStore) -> Digest:
    (event,) = found(log, e.ModelPromoted, "r1")
    assert isinstance(event, e.ModelPromoted)
    return event.parameters


@pytest.mark.parametrize("by", ["name", "digest", "safetensors", "zip"])
def test_whatever_names_them_the_parameters_are_the_same(
    log: MemoryStore, tmp_path: Path, by: str
) -> None:
    wanted = promoted(log)
    content = log.get_blob(wanted)
    (tmp_path / "m.safetensors").write_bytes(content)
    zipped = archive_of(unpack_parameters(content), 0.0, small_plan().ppo, 2)
    (tmp_path / "m.zip").write_bytes(zipped)
    what = {"name": "default", "digest": str(wanted)}.get(by, str(tmp_path / f"m.{by}"))
    start = Start(what, 2, small_plan().ppo.hidden)
    start.find_in(log)
    assert start.keep_in(log) == wanted


def test_parameters_of_any_update_may_be_named(log: MemoryStore) -> None:
    first = found(log, e.PolicyUpdated, "r1")[0]
    assert isinstance(first, e.PolicyUpdated)
    start = Start(first.parameters, 2, small_plan().ppo.hidden)
    start.find_in(log)
    assert start.keep_in(log) == first.parameters


def test_the_run_starts_from_them_with_a_fresh_optimiser(log: MemoryStore) -> None:
    wanted, store = promoted(log), copy(log)
    run_stairway(job_of(store, "r2", wanted, run__seed="8"))
    start, cycle = found(store, e.RunStarted, "r2")[0], found(store, e.CycleStarted, "r2")[0]
    assert isinstance(start, e.RunStarted)
    assert isinstance(cycle, e.CycleStarted)
    assert start.warm_start == cycle.parent == wanted
    first = found(store, e.PolicyUpdated, "r2")[0]
    assert isinstance(first, e.PolicyUpdated)
    assert first.reference == wanted
    assert first.divergence > 0


def test_what_was_imported_is_what_a_rollback_returns_to(log: MemoryStore) -> None:
    wanted, store = promoted(log), copy(log)
    run_stairway(job_of(store, "r2", wanted, stairway__divergence_limit="1e-9"))
    backs = found(store, e.ModelRolledBack, "r2")
    assert [b.parameters for b in backs if isinstance(b, e.ModelRolledBack)] == [wanted] * 3
    (diverged, *_) = found(store, e.DivergenceDetected, "r2")
    assert isinstance(diverged, e.DivergenceDetected)
    assert diverged.reference == wanted
    retried = found(store, e.CycleStarted, "r2")[1]
    assert isinstance(retried, e.CycleStarted)
    assert retried.parent == wanted


@pytest.mark.parametrize("level", ["policy", "training"])
def test_a_warm_run_replays_clean(log: MemoryStore, level: str) -> None:
    store = copy(log)
    job = job_of(store, "r2", promoted(log), stairway__divergence_limit="0.02")
    run_stairway(job)
    report = getattr(Reexecution(job, lambda _: None), level)()
    assert report.found == 0, report.findings


class Cut(Exception):  # noqa: N818 - a power cut is no error of ours
    """The process is gone."""


def cutting(store: MemoryStore, left: int) -> EventStore:
    """Return a store that dies after its n-th append."""
    counts = iter(range(1, 10_000))
    append: Callable[..., object] = store.append

    class Cutting:
        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def append(self, *what: object) -> object:
            appended = append(*what)
            if next(counts) == left:
                raise Cut
            return appended

    return Cutting()  # type: ignore[return-value] # all the rest is the store's


@pytest.mark.parametrize("left", [1, 2, 5])
def test_a_warm_run_that_is_cut_ends_like_one_never_cut(log: MemoryStore, left: int) -> None:
    wanted, whole, store = promoted(log), copy(log), copy(log)
    run_stairway(job_of(whole, "r2", wanted))
    with pytest.raises(Cut):
        run_stairway(job_of(cutting(store, left), "r2", wanted))
    resumed = replace(job_of(store, "r2"), context=lambda: context_of(store))
    run_stairway(resumed)
    kinds = [kind for kind in LANDMARKS if kind not in ("RunResumed", "CycleVerdict")]
    ends = [
        [decoded(r) for r in one.read(types=kinds) if isinstance(decoded(r), e.PolicyUpdated)]
        for one in (whole, store)
    ]
    assert ends[0] == ends[1]
    assert found(store, e.RunFinished, "r2") == found(whole, e.RunFinished, "r2")


def context_of(store: MemoryStore) -> Context:
    return Context(actor="t", correlation="r2", append_id=f"resumed-{store.head().size}")


@pytest.mark.parametrize("what", ["nobody", "0" * 64])
def test_what_the_log_does_not_hold_is_refused(log: MemoryStore, what: str) -> None:
    size = log.head().size
    with pytest.raises(ModelRefusedError, match=r"is no model|holds no parameters"):
        Start(what, 2, (64, 64)).find_in(log)
    assert log.head().size == size


def test_a_model_of_other_symbols_is_refused_with_both_spaces(log: MemoryStore) -> None:
    with pytest.raises(SpaceMismatchError, match=r"default: .*\(26,\).*\(39,\)"):
        Start("default", 3, (64, 64)).find_in(log)


def train(folder: Path, *arguments: str) -> Result:
    """Train on bars in ``folder``, one small cycle."""
    as_table(BARS).drop("simulated").write_parquet(folder / "bars.parquet")
    small = {**SMALL, "stairway.targets": "0.7", "stairway.learning_rates": "3e-3"}
    settings = [part for name, text in small.items() for part in ("--set", f"{name}={text}")]
    log = ("--database-url", f"sqlite:///{folder}/log.db", "--log-level", "error")
    bars = ("--bars", str(folder / "bars.parquet"))
    options = (*log, "train", *settings, *bars, *arguments)
    return CliRunner().invoke(cli.main, options, prog_name="stairways")


@pytest.mark.parametrize("what", ["model.zip", "gone.zip", "nobody", "0" * 64])
def test_a_refused_start_is_one_sentence_exit_2_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.zip").write_bytes(b"PK\x03\x04 and then nothing")
    result = train(tmp_path, "--warm-start", what)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.match(r"stairways: (model.zip:|gone.zip cannot|There is no log)", result.stderr)
    assert result.stderr.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bars.parquet", "model.zip"]


def test_the_command_starts_from_a_file_and_goes_on_with_it(
    log: MemoryStore, tmp_path: Path
) -> None:
    (tmp_path / "m.safetensors").write_bytes(log.get_blob(promoted(log)))
    result = train(tmp_path, "--warm-start", str(tmp_path / "m.safetensors"))
    assert result.exit_code == 0, result.stderr
    store = open_store(f"sqlite:///{tmp_path}/log.db")
    (start,) = [decoded(r) for r in store.read(types=["RunStarted"])]
    store.close()
    assert isinstance(start, e.RunStarted)
    assert start.warm_start == digest_of((tmp_path / "m.safetensors").read_bytes())
