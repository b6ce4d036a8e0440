"""A real run replays clean, and whatever is changed or damaged in its log is named."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import orjson
import pytest

from stairways import codec
from stairways.core import events as e
from stairways.core.replay.report import LevelReport
from stairways.core.values import Position, StreamName
from stairways.errors import BlobMissingError, NoSuchRunError
from stairways.market.canonical import encode_bars
from stairways.market.simulation import simulate
from stairways.service.replay.run import evaluation_findings, record_report, replay_run
from stairways.store.contract import EventStore, Record
from stairways.store.memory import MemoryStore
from tests.trained import context, new_store, train, written

Payload = dict[str, Any]
RUN = StreamName("run-r1")
STEP_FIELDS = (
    *("step", "bar", "bar_time", "shares", "prices", "costs", "clipped", "interest", "borrow"),
    *("cash", "positions", "lots", "equity", "terminated", "truncated"),
)
BY_SYMBOL = ("shares", "prices", "costs", "clipped", "positions", "lots")
SKILL_FIELDS = sorted(
    {field.name for field in fields(e.SkillMeasured)} - {"window", "data", "reason"}
)


@pytest.fixture(scope="module")
def trained() -> MemoryStore:
    store = new_store()
    train(store)
    return store


@pytest.fixture(scope="module")
def records(trained: MemoryStore) -> Sequence[Record]:
    return list(trained.read())


def replayed(records: Sequence[Record], at: Position, payload: bytes) -> LevelReport:
    """Replay a log in which one payload is another."""
    store = new_store()
    written(store, [r._replace(payload=payload) if r.position == at else r for r in records])
    [level] = replay_run(store, "r1").levels
    return level


def middle(records: Sequence[Record], type_: str) -> Record:
    of_type = [record for record in records if record.type == type_]
    return of_type[len(of_type) * 2 // 5]


def test_a_real_run_replays_clean_in_every_store(
    store: EventStore, records: Sequence[Record]
) -> None:
    written(store, records)

    report = replay_run(store, "latest")

    [level] = report.levels
    assert report.clean
    assert report.run == "r1"
    assert level.findings == []
    assert level.events == len([record for record in records if record.stream == RUN])
    assert level.checked["quantities"] > 20 * level.checked["StepTaken"] > 20 * 480
    assert level.recorded_profit == level.replayed_profit != 0
    began = [r.position for r in records if r.type in ("CycleStarted", "EvaluationStarted")]
    assert [profit.position for profit in level.profits] == began
    assert len(began) > len([record for record in records if record.type == "RunFinished"]) * 4


@pytest.mark.parametrize("share", [0.1, 0.35, 0.5, 0.75, 0.99])
def test_a_run_that_is_not_finished_replays_clean(records: Sequence[Record], share: float) -> None:
    rollout_ends = [i for i, r in enumerate(records) if r.type == "PolicyUpdated"]
    store = new_store()
    written(store, records[: rollout_ends[int(len(rollout_ends) * share)]])

    assert replay_run(store, "r1").clean


def changed_value(value: Any) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if "T" in value:
            return "2001-01-01T00:00:00.000000Z"
        case str():
            return codec.real_text(float(value) + 0.5)
        case _:
            return [value[0], changed_value(value[1]), *value[2:]]


@pytest.mark.parametrize(
    ("type_", "field"),
    [
        *(("StepTaken", field) for field in (*STEP_FIELDS, "lane")),
        *(("EvaluationStepTaken", field) for field in STEP_FIELDS),
        *(("BalanceAsserted", f) for f in ("lane", "bar", "cash", "positions", "equity")),
        *(("EvaluationStarted", field) for field in ("first_bar", "last_bar")),
        *(("EvaluationFinished", field) for field in ("decisions", "holds", "hold_rate")),
        *(("EvaluationFinished", field) for field in ("start_equity", "final_equity", "profit")),
        *(("EvaluationFinished", field) for field in ("drawdown", "trades", "evidence")),
        *(("EvaluationFinished", field) for field in ("sharpe", "trades_per_day", "win_rate")),
        *(("BaselinesMeasured", f) for f in ("buy_and_hold", "always_hold", "random", "evidence")),
        *(("SkillMeasured", field) for field in SKILL_FIELDS),
        *(("CycleFinished", field) for field in ("steps", "hold_rate")),
        *(("ControllerUpdated", "step"), ("RunFinished", "steps")),
    ],
)
def test_one_changed_value_is_one_finding_that_names_position_field_and_symbol(
    records: Sequence[Record], type_: str, field: str
) -> None:
    record = middle(records, type_)
    payload = orjson.loads(record.payload)
    symbol = "BBB" if isinstance(payload[field], list) and field in BY_SYMBOL else ""
    payload[field] = changed_value(payload[field])

    level = replayed(records, record.position, codec.canonical(payload))

    found = [(f.position, f.type, f.field, f.symbol) for f in level.findings]
    assert found == [(record.position, type_, field, symbol)]
    assert level.found == 1
    assert not level.clean


def without(field: str) -> Callable[[Payload], bytes]:
    return lambda p: codec.canonical({key: value for key, value in p.items() if key != field})


def having(field: str, value: Any) -> Callable[[Payload], bytes]:  # noqa: ANN401 - any JSON
    return lambda p: orjson.dumps({**p, field: value}, option=orjson.OPT_SORT_KEYS)


DAMAGES: list[tuple[str, str, Callable[[Payload], bytes]]] = [
    ("StepTaken", "payload", lambda _: b"not JSON"),
    ("StepTaken", "payload", lambda _: b""),
    ("StepTaken", "payload", lambda _: b"\xff\xfe\x00"),
    ("StepTaken", "payload", lambda _: b"[1,2]"),
    ("StepTaken", "payload", lambda _: b"null"),
    ("StepTaken", "payload", lambda p: codec.canonical(p).replace(b":", b": ", 1)),
    ("StepTaken", "payload", lambda p: codec.canonical(p)[:-1]),
    ("StepTaken", "payload", lambda p: codec.canonical(p).replace(b'"cash"', b'"cash":1,"cash"')),
    ("StepTaken", "cash", without("cash")),
    ("StepTaken", "cash", having("cash", "NaN")),
    ("StepTaken", "cash", having("cash", None)),
    ("StepTaken", "cash", having("cash", 1.5)),
    ("StepTaken", "cash", having("cash", 2**53)),
    ("StepTaken", "cash", having("cash", True)),  # noqa: FBT003 - the damage
    ("StepTaken", "cash", having("cash", {"a": 1})),
    ("StepTaken", "shares", having("shares", [1])),
    ("StepTaken", "shares", having("shares", [1, 2, 3])),
    ("StepTaken", "shares", having("shares", "12")),
    ("StepTaken", "shares", having("shares", [1, "2"])),
    ("StepTaken", "shares", without("shares")),
    ("StepTaken", "positions", having("positions", [None, None])),
    ("StepTaken", "clipped", having("clipped", [0, 1])),
    ("StepTaken", "terminated", having("terminated", 0)),
    ("StepTaken", "bar", having("bar", 10**6)),
    ("StepTaken", "bar", having("bar", -1)),
    ("StepTaken", "bar_time", having("bar_time", 5)),
    ("StepTaken", "bar_time", having("bar_time", "yesterday")),
    ("StepTaken", "action", having("action", "4")),
    ("StepTaken", "action", having("action", 9)),
    ("StepTaken", "reward", having("reward", "NaN")),
    ("StepTaken", "reward", having("reward", "inf")),
    ("StepTaken", "reward", having("reward", "1.50")),
    ("StepTaken", "reward", having("reward", 1)),
    ("StepTaken", "value", without("value")),
    ("StepTaken", "bonus", having("bonus", 1)),
    ("EvaluationStepTaken", "payload", lambda _: b"{"),
    ("EvaluationStepTaken", "equity", having("equity", "1")),
    ("EvaluationStepTaken", "margin", having("margin", "nan")),
    ("ControllerUpdated", "payload", lambda _: b"{}}"),
    ("ControllerUpdated", "bonus", having("bonus", "NaN")),
    ("ControllerUpdated", "step", having("step", "1")),
    ("BalanceAsserted", "payload", lambda _: b"0"),
    ("BalanceAsserted", "cash", having("cash", "a lot")),
    ("BalanceAsserted", "positions", having("positions", [])),
    ("PolicyUpdated", "payload", lambda _: b"gone"),
    ("PolicyUpdated", "policy_loss", having("policy_loss", "NaN")),
    ("CycleStarted", "payload", lambda _: b"gone"),
    ("CycleStarted", "target", without("target")),
    ("CycleFinished", "payload", lambda _: b"gone"),
    ("EvaluationStarted", "payload", lambda _: b"gone"),
    ("EvaluationStarted", "target", having("target", "NaN")),
    ("EvaluationFinished", "payload", lambda _: b"[]"),
    ("EvaluationFinished", "profit", having("profit", "NaN")),
    ("RunFinished", "payload", lambda _: b"gone"),
    ("RunStarted", "payload", lambda _: b"gone"),
    ("RunStarted", "payload", lambda _: b"[]"),
    ("RunStarted", "seed", without("seed")),
    ("RunStarted", "settings", having("settings", {})),
    ("RunStarted", "settings_digest", having("settings_digest", "0" * 64)),
    ("RunStarted", "windows", having("windows", {"train": [0, 10]})),
]


@pytest.mark.parametrize(("type_", "field", "damage"), DAMAGES)
def test_a_damaged_payload_is_a_finding_that_names_it(
    records: Sequence[Record], type_: str, field: str, damage: Callable[[Payload], bytes]
) -> None:
    record = middle(records, type_)

    level = replayed(records, record.position, damage(orjson.loads(record.payload)))

    found = {(f.position, f.type, f.field) for f in level.findings}
    assert found == {(record.position, type_, field)}


def test_every_step_of_a_lost_rollout_is_missed(records: Sequence[Record]) -> None:
    updates = [i for i, record in enumerate(records) if record.type == "PolicyUpdated"]
    store = new_store()
    written(store, [*records[: updates[0] + 1], *records[updates[1] :]])

    [level] = replay_run(store, "r1").levels

    assert level.first is not None
    assert (level.first.type, level.first.field) == ("StepTaken", "step")
    assert level.first.position == updates[0] + 3


def test_steps_of_another_kind_inside_a_cycle_are_named(records: Sequence[Record]) -> None:
    step = middle(records, "EvaluationStepTaken")
    store = new_store()
    written(store, [*records[:10], step, *records[10:]])

    [level] = replay_run(store, "r1").levels

    assert (11, "type") in {(f.position, f.field) for f in level.findings}


def test_another_price_in_the_registered_bars_is_seen_in_every_fill(
    records: Sequence[Record],
) -> None:
    forged = simulate(("AAA", "BBB"), 600, seed=6).bars
    start = orjson.loads(records[0].payload)
    store = new_store()
    store.put_blob(encode_bars(forged))
    payload = codec.canonical({**start, "data": forged.digest})
    written(store, [records[0]._replace(payload=payload), *records[1:]])

    [level] = replay_run(store, "r1").levels

    assert level.found > len(level.findings) == 100
    assert level.first is not None
    assert level.first.field == "prices"
    assert not level.profits_hold


def test_the_gate_counts_findings_of_one_evaluation_only(
    trained: MemoryStore, records: Sequence[Record]
) -> None:
    [first, second] = [r for r in records if r.type == "EvaluationFinished"]
    steps = [orjson.loads(record.payload)["evidence"] for record in (first, second)]
    assert [evaluation_findings(trained, "r1", *evidence) for evidence in steps] == [0, 0]

    record = middle(records, "EvaluationStepTaken")
    payload = orjson.loads(record.payload)
    payload["equity"] += 1
    store = new_store()
    forged = record._replace(payload=codec.canonical(payload))
    written(store, [forged if r.position == record.position else r for r in records])

    assert [evaluation_findings(store, "r1", *evidence) for evidence in steps] == [1, 0]


def test_a_replay_is_itself_an_event(store: EventStore, records: Sequence[Record]) -> None:
    record = middle(records, "StepTaken")
    payload = orjson.loads(record.payload)
    payload["costs"][0] += 7
    forged = record._replace(payload=codec.canonical(payload))
    written(store, [forged if r.position == record.position else r for r in records])
    report = replay_run(store, "r1")

    position = record_report(store, report, context())

    [noted] = store.read(stream=StreamName("operator"))
    event = codec.decode(noted.type, noted.schema, noted.payload)
    assert isinstance(event, e.ReplayFinished)
    assert noted.position == position
    assert (event.run, event.level, event.findings) == ("r1", "ledger", 1)
    assert (event.first_position, event.first_field) == (record.position, "costs")
    assert event.recorded_profit - event.replayed_profit == 7
    assert event.libraries["numpy"]


def test_a_run_that_is_not_there_cannot_be_replayed(trained: MemoryStore) -> None:
    with pytest.raises(NoSuchRunError, match="ghost"):
        replay_run(trained, "ghost")
    with pytest.raises(NoSuchRunError):
        replay_run(new_store(), "latest")


def test_a_run_whose_bars_are_gone_cannot_be_replayed(records: Sequence[Record]) -> None:
    start = orjson.loads(records[0].payload)
    store = new_store()
    payload = codec.canonical({**start, "data": "0" * 64})
    written(store, [records[0]._replace(payload=payload), *records[1:]])

    with pytest.raises(BlobMissingError):
        replay_run(store, "r1")


def test_an_evaluation_without_a_result_is_a_finding_once_the_run_finished(
    records: Sequence[Record],
) -> None:
    ended = [i for i, record in enumerate(records) if record.type == "EvaluationFinished"]
    started = [record for record in records if record.type == "EvaluationStarted"]
    store = new_store()
    written(store, [record for i, record in enumerate(records) if i != ended[-1]])

    [level] = replay_run(store, "r1").levels

    assert level.first is not None
    assert (level.found, level.first.expected) == (1, "EvaluationFinished")
    assert level.first.position == started[-1].position
    assert "this evaluation has no EvaluationFinished" in level.first.message
