"""Every gate of a real run: that it was decided, what on, and what came of it."""

from collections.abc import Sequence

import pytest

from stairways.core import events as e
from stairways.service.stairway.journal import decoded
from stairways.store.contract import Record
from tests.trained import new_store, train

BLOCKING = {
    *("hold_rate_error", "hold_rate_range", "effectiveness", "profit_shortfall"),
    *("drawdown", "divergence", "ledger_replay", "look_ahead"),
}
ADVISORY = {
    *("sharpe", "deflated_sharpe", "win_rate", "trades_per_day", "skill", "random_beaten"),
    *("against_buy_and_hold", "against_always_hold", "against_random"),
}
RESTS_ON = {
    "divergence": ["PolicyUpdated"],
    **{gate: ["SkillMeasured"] for gate in ("deflated_sharpe", "random_beaten", "skill")},
    **{gate: ["BaselinesMeasured"] for gate in ADVISORY if "against" in gate},
}


@pytest.fixture(scope="module")
def records() -> Sequence[Record]:
    store = new_store()
    train(store, run__seed="1", gates__profit_shortfall="0.0", stairway__divergence_limit="1.0")
    return list(store.read())


def of(records: Sequence[Record], kind: type) -> list[tuple[Record, e.Event]]:
    return [(r, decoded(r)) for r in records if r.type == kind.__name__]


def test_each_cycle_has_one_decision_of_every_gate(records: Sequence[Record]) -> None:
    found = [event for _, event in of(records, e.GateDecided)]
    for cycle in (1, 2):
        own = [g for g in found if isinstance(g, e.GateDecided) and g.cycle == cycle]
        assert [g.gate for g in own if g.blocking] == [g.gate for g in own][: len(BLOCKING)]
        assert {g.gate for g in own if g.blocking} == BLOCKING
        assert {g.gate for g in own if not g.blocking} == ADVISORY
        assert len(own) == len(BLOCKING | ADVISORY)


def test_every_decision_names_the_records_it_rests_on(records: Sequence[Record]) -> None:
    types = {record.position: record.type for record in records}
    for record, gate in of(records, e.GateDecided):
        assert isinstance(gate, e.GateDecided)
        assert all(position < record.position for position in gate.evidence)
        cited = [types[position] for position in gate.evidence]
        if gate.gate == "profit_shortfall" and gate.cycle == 2:
            continue  # the test below
        assert cited == RESTS_ON.get(gate.gate, ["EvaluationStepTaken"] * 2), gate.gate


def test_a_shortfall_of_profit_names_the_promotion_it_is_compared_with_and_its_steps(
    records: Sequence[Record],
) -> None:
    first, second = (
        gate
        for _, gate in of(records, e.GateDecided)
        if isinstance(gate, e.GateDecided) and gate.gate == "profit_shortfall"
    )
    [(promoted_at, promoted)] = of(records, e.ModelPromoted)
    earlier, later = (event for _, event in of(records, e.EvaluationFinished))
    assert isinstance(promoted, e.ModelPromoted)
    assert isinstance(earlier, e.EvaluationFinished)
    assert isinstance(later, e.EvaluationFinished)
    assert first.evidence == earlier.evidence
    assert second.evidence == (*later.evidence, promoted_at.position, *earlier.evidence)
    assert second.value == promoted.profit - later.profit == earlier.profit - later.profit


def test_a_failed_gate_rejects_and_advice_alone_does_not(records: Sequence[Record]) -> None:
    """The second cycle earns less than the first, which is held against it here."""
    verdicts = [event for _, event in of(records, e.CycleVerdict)]
    gates = {r.position: event for r, event in of(records, e.GateDecided)}
    said = {}
    for verdict in verdicts:
        assert isinstance(verdict, e.CycleVerdict)
        decided = [gates[position] for position in verdict.evidence]
        failed = [
            g.gate for g in decided if isinstance(g, e.GateDecided) and g.blocking and not g.passed
        ]
        advice = [g for g in decided if isinstance(g, e.GateDecided) and not g.blocking]
        assert verdict.failed == tuple(failed)
        assert verdict.promoted == (not failed)
        assert any(not g.passed for g in advice)
        said[verdict.cycle] = verdict.promoted, failed
    assert said == {1: (True, []), 2: (False, ["profit_shortfall"])}


def test_after_a_rejection_training_stands_at_the_promoted_model(
    records: Sequence[Record],
) -> None:
    [(promoted_at, promoted)] = of(records, e.ModelPromoted)
    [(back_at, back)] = of(records, e.ModelRolledBack)
    assert isinstance(promoted, e.ModelPromoted)
    assert isinstance(back, e.ModelRolledBack)
    assert (back.parameters, back.state) == (promoted.parameters, promoted.state)
    assert back.reason.startswith("rejected: profit_shortfall")
    [(_, finished)] = of(records, e.RunFinished)
    assert isinstance(finished, e.RunFinished)
    assert finished.parameters == promoted.parameters
    assert promoted_at.position < back_at.position
