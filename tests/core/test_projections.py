from hypothesis import given, settings
from hypothesis import strategies as st

from stairways.core import curves, projections
from stairways.core import events as e
from stairways.core.projections import ModelState, RunSummary, evolve_model, evolve_run
from stairways.core.values import Position
from tests import made_up

EVENTS = made_up.events("r1")


def test_the_summary_of_a_run_tells_each_attempt_and_its_verdict() -> None:
    summary = projections.run_summary(EVENTS)

    told = [(one.cycle, one.attempt, one.verdict, one.divergence) for one in summary.cycles]
    assert told == [
        (1, 1, "promoted", 0.0),
        (2, 1, "rolled back", 0.2),
        (2, 2, "rejected", 0.1),
    ]
    assert (summary.status, summary.steps, summary.updates) == ("finished", 900, 9)
    assert (summary.promoted, summary.rollbacks) == (1, 2)
    assert summary.parameters == made_up.digest("p", 1)


def test_a_validated_attempt_carries_what_the_ledger_said() -> None:
    first, diverged, _ = projections.run_summary(EVENTS).cycles

    assert (first.hold_rate, first.profit, first.drawdown) == (0.75, -0.025, 0.04)
    assert first.final_equity == 97_500_000_000
    assert diverged.hold_rate is None


def test_a_rejected_attempt_names_its_failed_gates_and_keeps_its_verdict() -> None:
    last = projections.run_summary(EVENTS).cycles[-1]

    assert last.verdict == "rejected"
    assert last.failed == ("drawdown",)
    assert last.reason == "drawdown 30.0 % is above 20.0 %"


def test_an_override_by_a_person_is_the_last_word_and_is_signed() -> None:
    override = e.GateOverridden(
        run="r1", cycle=2, who="ann", why="known outlier", promoted=True, verdict=Position(9)
    )

    last = projections.run_summary([*EVENTS, override]).cycles[-1]

    assert (last.verdict, last.overridden_by, last.reason) == ("promoted", "ann", "known outlier")


def test_a_failed_run_says_why_and_a_resumed_one_runs_again() -> None:
    failed = evolve_run(
        projections.run_summary(EVENTS[:10]), e.RunFailed(reason="loss", cycle=1, step=3)
    )
    resumed = evolve_run(failed, e.RunResumed(state=None, position=Position(2), reason="killed"))

    assert (failed.status, failed.reason) == ("failed", "loss")
    assert (resumed.status, resumed.resumed) == ("running", 1)


def test_a_model_serves_what_was_promoted_last_whatever_was_trained_since() -> None:
    state = projections.model_state(EVENTS)

    assert (state.served, state.served_run, state.served_cycle) == (
        made_up.digest("p", 1),
        "r1",
        1,
    )
    assert (state.promotions, state.rejections, state.rollbacks) == (1, 1, 2)
    assert state.steps == 900


def test_a_rollback_returns_the_model_to_the_state_it_names() -> None:
    state = projections.model_state(EVENTS)

    assert (state.parameters, state.state) == (made_up.digest("p", 1), made_up.digest("s", 1))


@settings(deadline=None)  # a busy machine is no fault
@given(st.integers(0, len(EVENTS)))
def test_folding_in_two_parts_is_folding_at_once(cut: int) -> None:
    run, model = RunSummary(), ModelState()
    for event in EVENTS[:cut]:
        run, model = evolve_run(run, event), evolve_model(model, event)
    for event in EVENTS[cut:]:
        run, model = evolve_run(run, event), evolve_model(model, event)

    assert run == projections.run_summary(EVENTS)
    assert model == projections.model_state(EVENTS)


def test_the_curve_has_a_point_for_each_balance_and_each_validation_bar() -> None:
    points = list(curves.pnl_curve(EVENTS))

    training = [point for point in points if point.kind == "training"]
    validation = [point for point in points if point.kind == "validation"]
    rollouts = 3 * made_up.ROLLOUTS
    assert len(training) == rollouts * made_up.LANES
    assert [point.step for point in training[::2]] == [100 * (i + 1) for i in range(rollouts)]
    assert [point.equity for point in validation[:2]] == [
        made_up.CAPITAL - 1,
        made_up.CAPITAL - 2,
    ]
    assert {(point.cycle, point.attempt) for point in validation} == {(1, 1), (2, 2)}


def test_the_trace_has_a_point_for_each_tick_of_the_slow_lane_and_each_validation_bar() -> None:
    points = list(curves.controller_trace(EVENTS))

    training = [point for point in points if point.kind == "training"]
    assert [point.step for point in training] == list(range(25, 901, 25))
    assert training[0].bonus == 1.1
    validation = [point for point in points if point.kind == "validation"]
    assert len(validation) == 2 * made_up.VALIDATION_BARS
    assert {(point.target, point.bonus) for point in validation} == {(0.75, None), (0.7, None)}


def test_a_curve_of_a_log_without_its_beginning_is_told_without_a_cycle() -> None:
    orphan = made_up.balance(7, lane=1)

    (point,) = curves.pnl_curve([orphan])

    assert (point.cycle, point.attempt, point.step) == (0, 0, 0)


def test_events_of_other_concerns_change_nothing() -> None:
    _, others = made_up.registration()

    assert projections.run_summary([*EVENTS, *others]) == projections.run_summary(EVENTS)
    assert projections.model_state([*EVENTS, *others]) == projections.model_state(EVENTS)
