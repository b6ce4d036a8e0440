"""Metrics are a projection: the same log gives the same figures, however it was read."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stairways.core import events as e
from stairways.core.values import Digest, Micros, Position, StreamName, Version
from stairways.daemon.schedule import Schedule
from stairways.metrics import figures as f
from stairways.metrics.families import families, log_families, schedule_families
from stairways.metrics.follower import Follower, Snapshot
from stairways.service.stairway.journal import LANDMARKS, decoded, encoded
from stairways.store.contract import Encoded, EventStore, Record
from stairways.store.memory import MemoryStore
from tests import made_up, trained

Kind = TypeVar("Kind")
DAY = datetime(2026, 3, 2, 6, tzinfo=UTC)


def samples(snapshot: Snapshot, period: float = 0.0) -> dict[str, dict[tuple[str, ...], float]]:
    """Every metric as name, then values of the labels besides the model, then value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    made = (log_families(snapshot), schedule_families(snapshot), families(snapshot, period))
    for metric in (one for several in made for one in several):
        for sample in metric.samples:
            labels = tuple(v for k, v in sample.labels.items() if k != "model")
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def with_more(store: EventStore, *events: e.Event, stream: str = "operator") -> EventStore:
    store.append(StreamName(stream), None, encoded(events), trained.context())
    return store


@pytest.fixture(scope="module")
def real() -> MemoryStore:
    """The log of a run that was really trained, with a divergence in it."""
    store = trained.new_store()
    trained.train(store)
    return store


@pytest.fixture
def copied(real: MemoryStore) -> MemoryStore:
    """That log, to be written to."""
    store = trained.new_store()
    trained.written(store, list(real.read()))
    return store


def events_of(store: EventStore, kind: type[Kind]) -> list[Kind]:
    events = (decoded(record) for record in store.read(types=[kind.__name__]))
    return [event for event in events if isinstance(event, kind)]


def test_a_run_that_was_really_trained_is_told_as_its_own_events_tell_it(real: MemoryStore) -> None:
    last_updates = list(real.read(types=["PolicyUpdated"]))[-2:]
    own = list(real.read(after=last_updates[0].position, until=last_updates[1].position))
    rollout = [decoded(r) for r in own if r.type in ("StepTaken", "ControllerUpdated")]
    steps = [event for event in rollout if isinstance(event, e.StepTaken)]
    steered = [event for event in rollout if isinstance(event, e.ControllerUpdated)]
    update = decoded(last_updates[1])
    validation = events_of(real, e.EvaluationFinished)[-1]
    assert isinstance(update, e.PolicyUpdated)

    told = samples(Follower(real).catch_up())

    assert told["stairways_training_steps_total"][()] == len(events_of(real, e.StepTaken))
    assert told["stairways_policy_updates_total"][()] == len(events_of(real, e.PolicyUpdated))
    assert told["stairways_reward_basis_points"][()] == fmean(step.reward for step in steps)
    assert told["stairways_traded_ratio"][("training",)] == fmean(any(s.shares) for s in steps)
    assert told["stairways_portfolio_value_dollars"] == {
        ("training",): pytest.approx(fmean(step.equity for step in steps[-4:]) / 1e6, rel=1e-12),
        ("validation",): validation.final_equity / 1e6,
    }
    assert told["stairways_hold_rate_ratio"] == {
        ("training",): steered[-1].hold_rate,
        ("validation",): validation.hold_rate,
    }
    assert told["stairways_effectiveness_ratio"][("validation",)] == validation.effectiveness
    for name, value in (
        ("controller_error", steered[-1].error),
        ("controller_fast", steered[-1].fast),
        ("controller_slow", steered[-1].slow),
        ("hold_bonus_basis_points", steered[-1].bonus),
        ("decision_margin", steered[-1].margin),
        ("regime_score", steered[-1].regime),
        ("divergence_ratio", update.divergence),
        ("trades_per_day", validation.trades_per_day),
    ):
        assert told[f"stairways_{name}"][()] == value
    assert told["stairways_log_position"][()] == real.head().size
    assert told["stairways_metrics_position"][()] == real.head().size


def test_every_gate_verdict_and_rollback_is_counted(real: MemoryStore) -> None:
    gates = {one.gate: one for one in events_of(real, e.GateDecided)}
    verdicts = [one.promoted for one in events_of(real, e.CycleVerdict)]
    back = [one.reason for one in events_of(real, e.ModelRolledBack)]

    told = samples(Follower(real).catch_up())

    assert told["stairways_gate_value"] == {(name,): gate.value for name, gate in gates.items()}
    assert told["stairways_gate_passed"] == {
        (name, str(gate.blocking).lower()): gate.passed for name, gate in gates.items()
    }
    assert told["stairways_cycles_decided_total"] == {
        ("promoted",): sum(verdicts),
        ("rejected",): len(verdicts) - sum(verdicts),
    }
    assert back, "the run must have been rolled back for this to say anything"
    assert told["stairways_rollbacks_total"][("divergence",)] == back.count("divergence")
    assert sum(told["stairways_rollbacks_total"].values()) == len(back)


def test_a_gate_that_held_nothing_to_its_limit_tells_none() -> None:
    gate = e.GateDecided(
        run="r",
        cycle=1,
        attempt=1,
        gate="divergence",
        value=0.187,
        threshold=0.15,
        passed=True,
        blocking=True,
        reason="no promoted model yet",
        evidence=(),
    )

    told = f._gate(gate), f._gate(replace(gate, value=0.1)), f._gate(replace(gate, passed=False))

    assert [one.threshold for one in told] == [None, 0.15, 0.15]


def landmarks() -> list[Record]:
    """A made-up log's landmarks, with everything else that changes a figure."""
    store = trained.new_store()
    made_up.write(store, [made_up.registration(), *made_up.appends("r1")], "r1")
    made_up.write(store, list(made_up.appends("r2")), "r2")
    with_more(store, *schedule_events(), stream="schedule-nightly")
    with_more(store, *audits())
    return [record for record in store.read() if record.type in LANDMARKS or is_tenth(record)]


def is_tenth(record: Record) -> bool:
    """Thin the steps out: they are many, and all alike."""
    return record.position % 10 == 0


def audits() -> Iterator[e.Event]:
    for findings in (2, 0):
        for run, level in (("r1", "ledger"), ("r2", "ledger"), ("r2", "policy")):
            yield replayed(run, level, findings)
        yield verified(findings)
    yield e.AlertPushFailed(schedule="nightly", gateway="http://g", reason="gone", failures=1)


def replayed(run: str, level: str, findings: int) -> e.ReplayFinished:
    return e.ReplayFinished(
        run=run,
        level=level,
        checked=10,
        findings=findings,
        first_position=None,
        first_field="",
        recorded_profit=Micros(0),
        replayed_profit=Micros(0),
        libraries={},
    )


def verified(findings: int) -> e.LogVerified:
    return e.LogVerified(
        size=7, root=Digest("0" * 64), findings=findings, first_position=None, first_field=""
    )


def fired(day: int, trigger: str = "time") -> e.ScheduleFired:
    return e.ScheduleFired(
        schedule="nightly",
        due=DAY + timedelta(days=day),
        run=f"n{day}",
        model="pair",
        seed=1,
        late=0.0,
        trigger=trigger,
        holder="1@host",
        epoch=1,
    )


def schedule_events() -> list[e.Event]:
    return [
        e.DaemonStarted(holder="1@host", code_version="0.1.0", schedules=("nightly", "weekly")),
        e.ScheduleDefined(
            schedule="nightly",
            since=DAY,
            trigger="every 86400 s",
            model="pair",
            definition=Schedule(every=86_400, data="bars").definition(),
        ),
        fired(0),
        e.ScheduleFinished(schedule="nightly", due=DAY, run="n0", attempts=1),
        fired(1),
        e.ScheduleFailed(
            schedule="nightly", due=DAY + timedelta(days=1), run="n1", attempts=3, reason="no"
        ),
        fired(4),  # over a weekend
    ]


ALL = landmarks()


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(1, len(ALL) - 1), max_size=8))
def test_read_in_whatever_pieces_the_log_gives_the_same_figures(cuts: set[int]) -> None:
    whole, store = trained.new_store(), trained.new_store()
    made_up_again(whole, ALL)
    follower = Follower(store)
    for start, end in itertools.pairwise([0, *sorted(cuts), len(ALL)]):
        made_up_again(store, ALL[start:end])
        follower.catch_up()

    assert follower.snapshot == Follower(whole).catch_up()


def made_up_again(store: MemoryStore, records: list[Record]) -> None:
    for record in records:
        event = Encoded(record.type, record.schema, record.payload)
        store.append(record.stream, None, [event], trained.context())


def test_a_replay_that_found_something_counts_until_the_same_one_is_clean() -> None:
    store = trained.new_store()
    made_up.write(store, [*made_up.appends("r1"), *made_up.appends("r2")], "r1")
    follower = Follower(store)

    with_more(store, replayed("r1", "ledger", 3), replayed("r2", "ledger", 0))
    found = samples(follower.catch_up())["stairways_replays_with_findings"]
    with_more(store, replayed("r2", "policy", 1), replayed("r1", "ledger", 0))
    other = samples(follower.catch_up())["stairways_replays_with_findings"]
    with_more(store, replayed("r2", "policy", 0))
    clean = samples(follower.catch_up())["stairways_replays_with_findings"]

    assert (found[()], other[()], clean[()]) == (1, 1, 0)


def test_the_newest_verification_is_what_counts(real: MemoryStore, copied: MemoryStore) -> None:
    with_more(copied, verified(4))
    found = samples(Follower(copied).catch_up())
    with_more(copied, verified(0))
    clean = samples(Follower(copied).catch_up())

    assert "stairways_verify_findings" not in samples(Follower(real).catch_up())
    assert (found["stairways_verify_findings"][()], clean["stairways_verify_findings"][()]) == (
        4,
        0,
    )
    assert clean["stairways_verified_events"][()] == 7


def test_rejections_divergences_and_rollbacks_count_until_a_model_is_promoted() -> None:
    store = trained.new_store()
    made_up.write(store, list(made_up.appends("r1")), "r1")
    bad = samples(Follower(store).catch_up())
    with_more(store, made_up.promotion("r1", cycle=2), stream="model-pair")
    good = samples(Follower(store).catch_up())

    def standing(told: dict[str, dict[tuple[str, ...], float]]) -> list[float]:
        names = ("rejections_in_a_row", "divergences_since_promotion", "rollbacks_since_promotion")
        return [told[f"stairways_{name}"][()] for name in names]

    assert standing(bad) == [1, 1, 2]
    assert standing(good) == [0, 0, 0]


def test_a_schedule_tells_its_longest_gap_its_failures_and_its_last_success() -> None:
    store = with_more(trained.new_store(), *schedule_events())

    told = samples(Follower(store).catch_up())

    assert told["stairways_schedule_period_seconds"] == {("nightly",): 3 * 86_400}
    assert told["stairways_schedule_failed_in_a_row"][("nightly",)] == 1
    assert told["stairways_schedule_since_timestamp_seconds"][("nightly",)] == DAY.timestamp()
    assert ("nightly",) in told["stairways_schedule_last_success_timestamp_seconds"]
    assert told["stairways_schedule_fires_total"][("nightly", "fired")] == 3


def test_a_schedule_that_was_never_due_twice_says_itself_how_often_it_is() -> None:
    defined = schedule_events()[:3]

    told = samples(Follower(with_more(trained.new_store(), *defined)).catch_up())

    assert told["stairways_schedule_period_seconds"][("nightly",)] == 86_400


def test_a_run_that_somebody_triggered_says_nothing_about_how_often_a_schedule_is_due() -> None:
    events = [fired(0), fired(1), fired(9, trigger="ann")]

    told = samples(Follower(with_more(trained.new_store(), *events)).catch_up())

    assert told["stairways_schedule_period_seconds"][("nightly",)] == 86_400


def test_a_schedule_that_the_settings_dropped_is_not_missed_any_more() -> None:
    gone = e.DaemonStarted(holder="2@host", code_version="0.1.0", schedules=("weekly",))

    told = samples(Follower(with_more(trained.new_store(), *schedule_events(), gone)).catch_up())

    assert set(told["stairways_schedule_paused"]) == {("weekly",)}


def test_a_schedule_that_only_another_machine_keeps_is_missed_all_the_same() -> None:
    other = e.DaemonStarted(holder="2@elsewhere", code_version="0.1.0", schedules=("weekly",))
    log = with_more(trained.new_store(), *schedule_events(), stream="daemon-here")

    told = samples(Follower(with_more(log, other, stream="daemon-elsewhere")).catch_up())

    assert set(told["stairways_schedule_paused"]) == {("nightly",), ("weekly",)}


def test_pause_and_halt_are_told_until_they_are_lifted() -> None:
    store = with_more(
        trained.new_store(),
        e.TrainingHalted(who="ann", reason="maintenance"),
        e.SchedulePaused(schedule="nightly", who="ann", reason="maintenance"),
    )
    stopped = samples(Follower(store).catch_up())
    with_more(
        store,
        e.HaltLifted(who="ann", reason="done"),
        e.ScheduleResumed(schedule="nightly", who="ann", reason="done"),
    )
    running = samples(Follower(store).catch_up())

    for told, on in ((stopped, 1), (running, 0)):
        assert told["stairways_halted"][()] == on
        assert told["stairways_schedule_paused"][("nightly",)] == on


def test_a_period_is_told_only_of_models_that_no_schedule_trains(copied: MemoryStore) -> None:
    alone = samples(Follower(copied).catch_up(), period=60.0)
    event = replace(fired(0), model="default")
    scheduled = samples(Follower(with_more(copied, event)).catch_up(), period=60.0)

    assert alone["stairways_period_seconds"] == {(): 60.0}
    assert "stairways_period_seconds" not in scheduled
    assert "stairways_period_seconds" not in samples(Follower(copied).catch_up())


def test_a_landmark_that_cannot_be_read_is_counted_and_passed_over(copied: MemoryStore) -> None:
    before = samples(Follower(copied).catch_up())
    broken = Encoded("CycleVerdict", 1, b'{"promoted":7}')
    copied.append(StreamName("model-default"), None, [broken], trained.context())

    after = samples(Follower(copied).catch_up())

    assert after["stairways_unreadable_events"][()] == 1
    assert after["stairways_cycles_decided_total"] == before["stairways_cycles_decided_total"]
    assert after["stairways_metrics_position"][()] == copied.head().size


def record_at(position: int, event: e.Event, seconds: float, stream: str = "run-r") -> Record:
    [one] = encoded([event])
    return Record(
        position=Position(position),
        stream=StreamName(stream),
        version=Version(position),
        recorded_at=DAY + timedelta(seconds=seconds),
        actor="ann",
        correlation="r",
        causation=None,
        append_id=str(position),
        leaf=b"",
        **one._asdict(),
    )


def folded(*records: Record) -> f.Figures:
    state = f.Figures()
    for record in records:
        state = f.evolve(state, record, decoded(record))
    return state


def begun() -> list[Record]:
    stream, numbers = StreamName("run-r"), {"cycle": 1, "attempt": 1, "first": 0}
    cycle = made_up.training(stream, **numbers, target=0.7, divergence=0.0)
    [started] = next(iter(cycle))[1]
    return [record_at(1, made_up.started(), 0.0), record_at(2, started, 1.0)]


def test_speed_is_the_steps_of_a_rollout_over_the_time_to_its_update() -> None:
    state = folded(*begun(), record_at(103, made_up.update(1, 1, 1, 100, 0.0), 5.0))

    span = state.models["pair"].rollout
    assert span == f.RolloutSpan(StreamName("run-r"), Position(2), Position(103), 100, 4.0)


def test_a_rollout_that_was_interrupted_has_no_speed_and_stands_where_it_stood() -> None:
    resumed = e.RunResumed(state=None, position=Position(2), reason="unfinished run")

    state = folded(
        *begun(),
        record_at(103, resumed, 9_000.0),
        record_at(104, made_up.update(1, 1, 1, 100, 0.0), 9_001.0),
    )

    span = state.models["pair"].rollout
    assert span == f.RolloutSpan(StreamName("run-r"), Position(2), Position(104), 100, None)


def test_the_landmarks_leave_out_single_steps() -> None:
    assert {"StepTaken", "ControllerUpdated"}.isdisjoint(LANDMARKS)
