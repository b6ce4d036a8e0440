"""Judging a candidate: evaluation on unseen bars, gates, verdict, promotion or rollback."""

from collections.abc import Sequence
from dataclasses import asdict

from stairways.core import events as e
from stairways.core.gate import Gate, Measured, Verdict, decide, verdict
from stairways.core.stairway import Cycle
from stairways.core.values import Position
from stairways.env.lanes import Lanes
from stairways.service.skill.chance import OF_TEST
from stairways.service.skill.measured import (
    NO_ATTEMPT,
    TEST,
    VALIDATE,
    Judged,
    Weighed,
    measure_skill,
)
from stairways.service.stairway.climb import Climber
from stairways.service.stairway.evidence import (
    look_ahead_findings,
    replay_findings,
    served_evidence,
)
from stairways.training.authority import saturation
from stairways.training.calibration import Calibration
from stairways.training.evaluator import Course, act, calibrate, score
from stairways.training.recorder import evaluation_events
from stairways.training.state import parameter_digest


def judge(climber: Climber, cycle: Cycle, attempt: int) -> None:
    """Evaluate the candidate, decide its gates, and promote it or roll it back."""
    course = Course(
        climber.bars, climber.tape, climber.plan.trading, climber.plan.control, cycle.target
    )
    calibration = calibrate(climber.learner.policy, course, climber.windows.calibrate)
    judged, result = _evaluate(climber, course, cycle, attempt, calibration)
    weighed = measure_skill(climber, course, judged)
    gates = decide(_measure(climber, course, weighed, calibration), climber.plan.limits)
    positions = _record_gates(climber, cycle, attempt, gates, weighed)
    outcome = verdict(gates)
    decided = _record_verdict(climber, cycle, attempt, outcome, positions)
    if outcome.promoted:
        promote(climber, cycle, calibration, result.profit, decided)
    else:
        climber.roll_back(cycle, attempt, outcome.reason, decided)


def reject_diverged(climber: Climber, cycle: Cycle, attempt: int) -> None:
    """Reject a cycle whose every attempt drifted too far; the parameters are back already."""
    reason = f"rejected: diverged in {attempt} of {attempt} attempts"
    outcome = Verdict(promoted=False, failed=("divergence",), reason=reason)
    _record_verdict(climber, cycle, attempt, outcome, (climber.last_update,))


def promote(
    climber: Climber, cycle: Cycle, calibration: Calibration, profit: float, decided: Position
) -> None:
    """Make the candidate the served model and the reference for divergence."""
    progress = climber.progress
    assert progress.state is not None  # noqa: S101 - the cycle was trained
    climber.reference = climber.learner.parameters()
    climber.note(
        climber.model_stream,
        e.ModelPromoted(
            run=climber.run,
            cycle=cycle.number,
            parameters=climber.keep_parameters(),
            state=progress.state,
            base_margin=calibration.base,
            margin_spread=calibration.spread,
            profit=profit,
            verdict=decided,
        ),
    )


def _evaluate(
    climber: Climber, course: Course, cycle: Cycle, attempt: int, calibration: Calibration
) -> tuple[Judged, e.EvaluationFinished]:
    """Run the candidate through the validation window and record every step of it."""
    first, last = climber.windows.validate
    started = climber.note(
        climber.run_stream,
        e.EvaluationStarted(
            cycle=cycle.number,
            attempt=attempt,
            parameters=parameter_digest(climber.learner),
            first_bar=first,
            last_bar=last - 1,
            target=cycle.target,
            setpoint=course.setpoint,
            base_margin=calibration.base,
            margin_spread=calibration.spread,
            authority=climber.plan.control.authority,
            margin_reach=calibration.reach(climber.plan.control),
        ),
    )
    lanes, evidence = _run_through(climber, course, climber.windows.validate, calibration)
    scores = asdict(score(lanes, course))
    result = e.EvaluationFinished(
        cycle=cycle.number,
        attempt=attempt,
        **scores,
        saturated=saturation(lanes),
        evidence=evidence,
    )
    judged = Judged(
        lanes=lanes,
        result=result,
        attempt=attempt,
        started=started.last,
        finished=climber.note(climber.run_stream, result).last,
        window=climber.windows.validate,
        name=VALIDATE,
        draws=cycle.number,
    )
    return judged, result


def test_served(climber: Climber) -> None:
    """Let the served model act once on the bars kept back for it; nothing is decided by that.

    Only in walk-forward is there such a window; a run that serves no model is not tested.
    """
    window, served = climber.windows.test, climber.progress.served
    if window is None or served is None:
        return
    cycle, control = climber.plan.programme.cycles[served.cycle - 1], climber.plan.control
    course = Course(climber.bars, climber.tape, climber.plan.trading, control, cycle.target)
    calibration = Calibration(served.base_margin, served.margin_spread)
    started = climber.note(
        climber.run_stream,
        e.FoldTestStarted(
            cycle=served.cycle,
            parameters=parameter_digest(climber.learner),
            first_bar=window[0],
            last_bar=window[1] - 1,
            target=cycle.target,
            setpoint=course.setpoint,
            base_margin=calibration.base,
            margin_spread=calibration.spread,
            authority=control.authority,
            margin_reach=calibration.reach(control),
        ),
    )
    lanes, evidence = _run_through(climber, course, window, calibration)
    scores = asdict(score(lanes, course))
    result = e.FoldTestFinished(
        cycle=served.cycle, **scores, saturated=saturation(lanes), evidence=evidence
    )
    judged = Judged(
        lanes=lanes,
        result=result,
        attempt=NO_ATTEMPT,
        started=started.last,
        finished=climber.note(climber.run_stream, result).last,
        window=window,
        name=TEST,
        draws=OF_TEST,
    )
    measure_skill(climber, course, judged)


def _run_through(
    climber: Climber, course: Course, window: tuple[int, int], calibration: Calibration
) -> tuple[Lanes, tuple[Position, Position]]:
    """Let the model act on a window and record every step; return the lane and their place."""
    lanes, _ = act(climber.learner.policy, course, window, calibration)
    steps = climber.journal.write_encoded(
        climber.run_stream, evaluation_events(lanes, climber.clock)
    )
    return lanes, (steps.first, steps.last)


def _measure(
    climber: Climber, course: Course, weighed: Weighed, calibration: Calibration
) -> Measured:
    """Gather what the gates decide on."""
    progress, result = climber.progress, weighed.judged.result
    served = progress.served
    return Measured(
        target=course.target,
        hold_rate=result.hold_rate,
        effectiveness=result.effectiveness,
        profit=result.profit,
        promoted_profit=served.profit if served else None,
        drawdown=result.drawdown,
        divergence=progress.divergence,
        has_reference=progress.anchor is not None,
        replay_findings=replay_findings(climber, result.evidence),
        look_ahead_findings=look_ahead_findings(climber, course, calibration),
        sharpe=result.sharpe,
        win_rate=result.win_rate,
        trades_per_day=result.trades_per_day,
        baselines=weighed.baselines,
        skill=weighed.skill,
        statistics=climber.plan.statistics,
    )


def _record_gates(
    climber: Climber,
    cycle: Cycle,
    attempt: int,
    gates: Sequence[Gate],
    weighed: Weighed,
) -> tuple[Position, ...]:
    """Append one event a gate, each naming the positions it rests on."""
    judged = weighed.judged
    steps: tuple[Position, ...] = judged.result.evidence
    evidence = {
        "divergence": (climber.last_update,),
        "profit_shortfall": (*steps, *served_evidence(climber, judged.started)),
        **weighed.evidence,
    }
    decisions = [
        e.GateDecided(
            run=climber.run,
            cycle=cycle.number,
            attempt=attempt,
            gate=gate.name,
            value=gate.value,
            threshold=gate.threshold,
            passed=gate.passed,
            blocking=gate.blocking,
            reason=gate.reason,
            evidence=evidence.get(gate.name, steps),
        )
        for gate in gates
    ]
    appended = climber.note(climber.model_stream, *decisions)
    return tuple(Position(p) for p in range(appended.first, appended.last + 1))


def _record_verdict(
    climber: Climber,
    cycle: Cycle,
    attempt: int,
    outcome: Verdict,
    evidence: tuple[Position, ...],
) -> Position:
    decided = e.CycleVerdict(
        run=climber.run,
        cycle=cycle.number,
        attempt=attempt,
        promoted=outcome.promoted,
        failed=outcome.failed,
        reason=outcome.reason,
        evidence=evidence,
    )
    return climber.note(climber.model_stream, decided).last
