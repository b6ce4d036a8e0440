"""Any model of any moment comes back from the log, whether its state was kept or not."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from click.testing import CliRunner, Result
from stable_baselines3 import PPO

from stairways import cli, codec
from stairways.core import events as e
from stairways.core.values import Digest, Position, digest_of
from stairways.env.spaces import action_space, observation_space
from stairways.env.tape import tape_of
from stairways.errors import BlobMissingError, NoSuchEventError
from stairways.market.canonical import encode_bars
from stairways.market.simulation import simulate
from stairways.service.rebuild import Moment, landmarks, rebuild
from stairways.service.stairway.journal import decoded
from stairways.service.stairway.run import Job, run_stairway
from stairways.store.contract import Context, Encoded, EventStore, Record
from stairways.store.memory import MemoryStore
from stairways.store.opening import open_store
from stairways.training.calibration import observations
from stairways.training.evaluator import best
from stairways.training.export import archive_of
from stairways.training.policy import MarginPolicy, build_ppo
from tests.small_run import Quiet, small_plan

BARS = simulate(("AAA", "BBB"), 600, seed=5).bars
FIRST = datetime(2026, 1, 5, tzinfo=UTC)


def trained(store: EventStore, **changes: str) -> Job:
    """Train two small cycles and return their job."""
    numbers = iter(range(10_000))
    targets = {"stairway__targets": "0.7,0.6", "stairway__learning_rates": "3e-3,1e-3"}
    store.put_blob(encode_bars(BARS))
    job = Job(
        run="r1",
        plan=small_plan(**targets, **changes),
        bars=BARS,
        store=store,
        context=lambda: Context(actor="t", correlation="r1", append_id=str(next(numbers))),
        watcher=Quiet(),
    )
    run_stairway(job)
    return job


def ticking() -> MemoryStore:
    seconds = iter(range(10_000_000))
    return MemoryStore(lambda: FIRST + timedelta(seconds=next(seconds)))


@pytest.fixture(scope="module")
def job() -> Job:
    return trained(ticking())


@pytest.fixture(scope="module")
def sparse() -> Job:
    """The same run with the state of every second update only."""
    return trained(ticking(), stairway__state_every="2")


def updates(job: Job) -> list[tuple[Record, e.PolicyUpdated]]:
    found = ((r, decoded(r)) for r in job.store.read(types=["PolicyUpdated"]))
    return [(r, event) for r, event in found if isinstance(event, e.PolicyUpdated)]


def test_a_position_beyond_the_log_is_refused(job: Job) -> None:
    size = job.store.head().size
    with pytest.raises(NoSuchEventError, match=f"log has {size} events; ask for a position up"):
        rebuild(job, Moment(position=Position(size + 1)))
    assert rebuild(job, Moment(position=Position(size)))


def test_every_update_is_rebuilt_to_its_recorded_digest(job: Job) -> None:
    for record, event in updates(job):
        rebuilt = rebuild(job, Moment(position=record.position))
        assert digest_of(rebuilt.safetensors()) == rebuilt.digest == event.parameters
        assert rebuilt.reexecuted == 0


def test_between_two_changes_the_earlier_one_counts(job: Job) -> None:
    (record, event), (later, _) = updates(job)[:2]
    rebuilt = rebuild(job, Moment(position=Position(later.position - 1)))
    assert (rebuilt.digest, rebuilt.standing.position) == (event.parameters, record.position)


def test_after_a_rollback_the_model_is_the_promoted_one_again(job: Job) -> None:
    places = {type(decoded(r)): (r.position, decoded(r)) for r in landmarks(job)}
    position, back = places[e.ModelRolledBack]
    assert isinstance(back, e.ModelRolledBack)
    assert rebuild(job, Moment(position=position)).digest == back.parameters


def test_a_cycle_is_rebuilt_as_its_last_update_left_it(job: Job) -> None:
    last = [event for _, event in updates(job) if event.cycle == 1][-1]
    assert rebuild(job, Moment(cycle=1)).digest == last.parameters


def test_a_time_means_the_last_event_until_then(job: Job) -> None:
    record, event = updates(job)[2]
    assert rebuild(job, Moment(time=record.recorded_at)).digest == event.parameters
    earlier = record.recorded_at - timedelta(microseconds=1)
    assert rebuild(job, Moment(time=earlier)).digest == updates(job)[1][1].parameters


@pytest.mark.parametrize(
    "moment", [Moment(position=Position(1)), Moment(cycle=7), Moment(time=FIRST - timedelta(1))]
)
def test_before_there_was_a_model_there_is_none(job: Job, moment: Moment) -> None:
    with pytest.raises(NoSuchEventError, match=r"Run r1 (had|has) no"):
        rebuild(job, moment)


def test_a_state_that_was_not_kept_is_executed_again(job: Job, sparse: Job) -> None:
    kept = [event.state is not None for _, event in updates(sparse)]
    assert kept[:3] == [False, True, True]  # every second one, and the last of an attempt
    assert [u.parameters for _, u in updates(sparse)] == [u.parameters for _, u in updates(job)]
    for record, event in updates(sparse)[:5]:
        rebuilt = rebuild(sparse, Moment(position=record.position))
        assert digest_of(rebuilt.safetensors()) == event.parameters
        assert rebuilt.reexecuted == (event.state is None)


def test_a_recorded_digest_that_execution_does_not_meet_is_refused(sparse: Job) -> None:
    forged, wrong = ticking(), "0" * 64
    for blob in vars(sparse.store)["_blobs"].values():
        forged.put_blob(blob)
    _copy(sparse, forged, wrong)
    first = updates(sparse)[0][0].position
    with pytest.raises(BlobMissingError, match=f"position {first}: parameters"):
        rebuild(replace(sparse, store=forged), Moment(position=first))


def _copy(job: Job, to: MemoryStore, parameters: str) -> None:
    """Copy a log, with other parameters in its first update."""
    changed = False
    for number, record in enumerate(job.store.read()):
        payload = record.payload
        event = decoded(record)
        if isinstance(event, e.PolicyUpdated) and not changed:
            event = replace(event, parameters=Digest(parameters))
            payload, changed = codec.encode(event), True
        context = Context(actor="t", correlation=record.correlation, append_id=str(number))
        to.append(record.stream, None, [Encoded(record.type, record.schema, payload)], context)


@pytest.mark.parametrize("cycle", [1, 2])
def test_an_archive_loads_with_plain_ppo_and_acts_alike(
    job: Job, tmp_path: Path, cycle: int
) -> None:
    rebuilt = rebuild(job, Moment(cycle=cycle))
    file = tmp_path / "model.zip"
    file.write_bytes(rebuilt.archive(job))
    loaded = PPO.load(file, device="cpu")
    assert type(loaded.policy).__name__ == "ActorCriticPolicy"
    assert rebuilt.calibration is not None
    seen = observations(tape_of(BARS, job.plan.trading), (60, 600))
    wanted = _acts(rebuilt.safetensors(), seen, rebuilt.calibration[1])
    assert loaded.predict(seen, deterministic=True)[0].tolist() == wanted
    assert 4 in wanted


def _acts(content: bytes, seen: np.ndarray, margin: float) -> list[int]:
    """Act by the network written out in full, raised by the margin at decision time."""
    p = {n: torch.from_numpy(a) for n, a in safetensors.numpy.load(content).items()}
    x = torch.from_numpy(seen)
    for layer in (0, 2):
        net = f"mlp_extractor.policy_net.{layer}"
        x = torch.tanh(x @ p[f"{net}.weight"].T + p[f"{net}.bias"])
    logits = x @ p["action_net.weight"].T + p["action_net.bias"]
    logits[:, 4] += margin
    return [int(choice) for choice in best(logits[:, None])[:, 0]]


@pytest.mark.parametrize("symbols", [1, 3])
def test_every_symbol_gets_the_margin_where_each_has_a_choice_of_its_own(
    symbols: int, tmp_path: Path
) -> None:
    plan = small_plan()
    ours = build_ppo(observation_space(symbols), action_space(symbols), plan.ppo, seed=3).policy
    assert isinstance(ours, MarginPolicy)
    ours.margin = 0.9
    with torch.no_grad():
        dict(ours.named_parameters())["action_net.weight"].mul_(100.0)  # as if it had learned
    arrays = {n: v.numpy().copy() for n, v in ours.state_dict().items()}
    file = tmp_path / "model.zip"
    file.write_bytes(archive_of(arrays, 0.9, plan.ppo, symbols))
    loaded = PPO.load(file, device="cpu")
    seen = np.random.default_rng(1).normal(size=(200, 13 * symbols)).astype(np.float32)
    acted = loaded.predict(seen, deterministic=True)[0]
    assert np.array_equal(acted, ours.predict(seen, deterministic=True)[0])
    assert 0 < (acted == 1).mean() < 1


def test_the_command_writes_the_file_and_prints_the_digest(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    store = open_store(url)
    job = trained(store)
    wanted = [event for _, event in updates(job)][-1].parameters
    store.close()
    result = _rebuild(url, "--cycle", "2", "--out", str(tmp_path / "model.safetensors"))
    assert (result.exit_code, result.stdout) == (0, f"{wanted}\n")
    assert digest_of((tmp_path / "model.safetensors").read_bytes()) == wanted
    zipped = _rebuild(url, "--cycle", "2", "--out", str(tmp_path / "model.zip"))
    assert "is in the hold bias" in zipped.stderr
    assert PPO.load(tmp_path / "model.zip", device="cpu").action_space == action_space(2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "m.zip"], "Say when"),
        (["--cycle", "1", "--at", "3", "--out", "m.zip"], "Say when"),
        (["--cycle", "1", "--out", "m.pt"], "must end in .safetensors or .zip"),
        (["--time", "yesterday", "--out", "m.zip"], "is no time"),
        (["--cycle", "1", "--out", "m.zip"], "There is no log"),
    ],
)
def test_what_cannot_be_rebuilt_is_one_sentence_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _rebuild(f"sqlite:///{tmp_path}/none.db", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


def _rebuild(url: str, *arguments: str) -> Result:
    options = ("--database-url", url, "--log-level", "error", "rebuild", *arguments)
    return CliRunner().invoke(cli.main, options, prog_name="stairways")
