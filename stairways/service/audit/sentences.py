"""Events in words, for trails and chains of evidence."""

from stairways.core import events as e
from stairways.errors import UnknownEventError
from stairways.service.audit import operating_sentences as operating
from stairways.service.audit.step_sentences import OfStep, of_step
from stairways.service.stairway.journal import decoded
from stairways.store.contract import Record

_SHORT = 12


def sentence(record: Record) -> str:
    """Return what a record says in one sentence; of one that cannot be read, that it cannot."""
    try:
        return said(decoded(record))
    except UnknownEventError as error:
        return f"{record.type} that cannot be read: {error} Or is it damaged? `stairways verify`"
    except (ValueError, TypeError):
        return f"{record.type} that cannot be read; run `stairways verify`"


def said(event: e.Event) -> str:
    """Return what an event says in one sentence, without who and when."""
    match event:
        case e.RunStarted() | e.RunResumed() | e.RunFinished() | e.RunFailed():
            return _of_run(event)
        case e.CycleStarted() | e.CycleFinished() | e.PolicyUpdated() | e.DivergenceDetected():
            return _of_training(event)
        case e.EvaluationStarted() | e.EvaluationFinished() | e.GateDecided():
            return _of_validation(event)
        case e.CycleVerdict() | e.ModelPromoted() | e.ModelRolledBack() | e.GateOverridden():
            return _of_decision(event)
        case e.DataRegistered() | e.DataFindingRaised():
            return _of_data(event)
        case e.ReplayFinished() | e.LogVerified() | e.KeyRotated() | e.AuditAsked():
            return _of_audit(event)
        case e.ExportMade():
            files = ", ".join(event.files)
            return f"run {event.run} was exported as {event.format}: {files}"
        case e.BaselinesMeasured() | e.SkillMeasured() | e.FoldTestStarted() | e.FoldTestFinished():
            return _of_worth(event)
        case _:
            return _of_operation(event)


def _of_operation(
    event: operating.Ordered | operating.OfSchedule | operating.OfProcess | operating.Kept | OfStep,
) -> str:
    if isinstance(event, operating.Ordered):
        return operating.ordered(event)
    if isinstance(event, operating.OfSchedule):
        return operating.of_schedule(event)
    if isinstance(event, operating.OfProcess):
        return operating.of_process(event)
    if isinstance(event, operating.Kept):
        return operating.of_keeping(event)
    return of_step(event)


def short(digest: str | None) -> str:
    """Return the beginning of a digest, enough to tell it from others by eye."""
    return "none" if digest is None else digest[:_SHORT]


def _of_run(event: e.RunStarted | e.RunResumed | e.RunFinished | e.RunFailed) -> str:
    match event:
        case e.RunStarted():
            return (
                f"a run of model {event.model} began with seed {event.seed} on bars "
                f"{short(event.data)}{' (simulated)' if event.simulated else ''}, settings "
                f"{short(event.settings_digest)}, code {event.code_version} "
                f"({short(event.code_digest)})"
            )
        case e.RunResumed():
            return f"the run went on from position {event.position}: {event.reason}"
        case e.RunFinished():
            return (
                f"the run finished: {event.promoted} of {event.cycles} cycles promoted in "
                f"{event.steps:,} steps; it serves {short(event.parameters)}"
            )
        case e.RunFailed():
            return f"the run failed in cycle {event.cycle} at step {event.step}: {event.reason}"


def _of_training(
    event: e.CycleStarted | e.CycleFinished | e.PolicyUpdated | e.DivergenceDetected,
) -> str:
    match event:
        case e.CycleStarted():
            return (
                f"cycle {event.cycle} attempt {event.attempt} began: target {event.target:.1%}, "
                f"learning rate {event.learning_rate:g}, from parameters {short(event.parent)}"
            )
        case e.CycleFinished():
            return (
                f"cycle {event.cycle} attempt {event.attempt} took its {event.steps:,} steps and "
                f"held {event.hold_rate:.1%} of them; parameters {short(event.parameters)}"
            )
        case e.PolicyUpdated():
            return (
                f"update {event.update} of cycle {event.cycle} attempt {event.attempt}: "
                f"divergence {event.divergence:.4f}, parameters {short(event.parameters)}"
            )
        case e.DivergenceDetected():
            return (
                f"cycle {event.cycle} attempt {event.attempt} diverged by {event.divergence:.4f} "
                f"from {short(event.reference)}, more than {event.limit:g}"
            )


def _of_validation(event: e.EvaluationStarted | e.EvaluationFinished | e.GateDecided) -> str:
    match event:
        case e.EvaluationStarted():
            return (
                f"cycle {event.cycle} attempt {event.attempt}: parameters "
                f"{short(event.parameters)} began to act on bars {event.first_bar} to "
                f"{event.last_bar}, target {event.target:.1%}"
            )
        case e.EvaluationFinished():
            first, last = event.evidence
            return (
                f"cycle {event.cycle} attempt {event.attempt}: {event.decisions:,} validation "
                f"decisions (positions {first} to {last}), hold rate {event.hold_rate:.1%}, "
                f"return {event.profit:+.2%}, drawdown {event.drawdown:.1%}"
            )
        case e.GateDecided():
            return (
                f"cycle {event.cycle} attempt {event.attempt}: gate {event.gate} "
                f"{'passed' if event.passed else 'failed'}"
                f"{'' if event.blocking else ' (advisory)'}: {event.reason}"
            )


def _of_worth(
    event: e.BaselinesMeasured | e.SkillMeasured | e.FoldTestStarted | e.FoldTestFinished,
) -> str:
    match event:
        case e.BaselinesMeasured():
            return (
                f"on the bars of cycle {event.cycle} buy and hold earned "
                f"{event.buy_and_hold:+.2%}, cash {event.always_hold:+.2%}, "
                f"{len(event.random)} random policies "
                f"{min(event.random, default=0):+.2%} to {max(event.random, default=0):+.2%}"
            )
        case e.SkillMeasured():
            low, profit, high = event.profit
            return (
                f"cycle {event.cycle} attempt {event.attempt}: return {profit:+.2%} "
                f"({low:+.2%} to {high:+.2%}), deflated Sharpe {event.deflated_sharpe:.2f} for "
                f"{event.trials} model{'s' * (event.trials != 1)} tried: {event.reason}"
            )
        case e.FoldTestStarted():
            return (
                f"the model of cycle {event.cycle}, {short(event.parameters)}, began to act on the "
                f"bars kept back, {event.first_bar} to {event.last_bar}"
            )
        case e.FoldTestFinished():
            return (
                f"on the bars kept back the model of cycle {event.cycle} held "
                f"{event.hold_rate:.1%} and earned {event.profit:+.2%}, drawdown "
                f"{event.drawdown:.1%}"
            )


def _of_decision(
    event: e.CycleVerdict | e.ModelPromoted | e.ModelRolledBack | e.GateOverridden,
) -> str:
    match event:
        case e.CycleVerdict():
            return f"cycle {event.cycle} attempt {event.attempt}: {event.reason}"
        case e.ModelPromoted():
            return (
                f"{short(event.parameters)} of run {event.run} cycle {event.cycle} became the "
                f"served model (verdict at {event.verdict})"
            )
        case e.ModelRolledBack():
            by = f" by order of {event.by}" if event.by else ""
            return f"rolled back to {short(event.parameters)}{by}: {event.reason}"
        case e.GateOverridden():
            verdict = "promoted" if event.promoted else "rejected"
            return f"{event.who} {verdict} cycle {event.cycle} against its gates: {event.why}"


def _of_data(event: e.DataRegistered | e.DataFindingRaised) -> str:
    if isinstance(event, e.DataFindingRaised):
        return f"{event.symbol} row {event.row}: {event.kind}: {event.detail}"
    sources = ", ".join(f"{name} ({short(digest)})" for name, digest in event.sources.items())
    return (
        f"bars {event.name} ({short(event.digest)}) were registered: {', '.join(event.symbols)} "
        f"{event.frequency}, {event.adjustment}, {event.rows:,} rows from {event.first:%Y-%m-%d} "
        f"to {event.last:%Y-%m-%d}, {event.findings} findings; from {sources or 'no file'}"
    )


def _of_audit(event: e.ReplayFinished | e.LogVerified | e.KeyRotated | e.AuditAsked) -> str:
    match event:
        case e.ReplayFinished():
            return (
                f"replay of run {event.run}, level {event.level}: {event.checked:,} events, "
                f"{event.findings} findings"
            )
        case e.LogVerified():
            return (
                f"the log was verified: {event.size:,} events, root {short(event.root)}, "
                f"{event.findings} findings"
            )
        case e.KeyRotated():
            return f"checkpoints are signed with {event.key}: {event.reason}"
        case e.AuditAsked():
            asked = " ".join(f"{name}={value}" for name, value in event.arguments.items())
            return f"{event.question} {asked}".rstrip()
