"""Events of operation and of keeping the log in words, for trails, events and the daemon's page."""

from stairways.core import events as e

Ordered = (
    e.SchedulePaused
    | e.ScheduleResumed
    | e.ScheduleTriggered
    | e.TrainingHalted
    | e.HaltLifted
    | e.LegalHoldPlaced
    | e.LegalHoldLifted
)
"""Events by which a person decided something."""

OfSchedule = (
    e.ScheduleDefined
    | e.ScheduleFired
    | e.ScheduleSkipped
    | e.ScheduleRetried
    | e.ScheduleFinished
    | e.ScheduleFailed
)
OfProcess = e.DaemonStarted | e.DaemonStopped | e.LeaseTaken | e.AlertPushFailed | e.RunStopped
Kept = e.CheckpointSigned | e.SegmentSealed


def ordered(event: Ordered) -> str:
    """Return who ordered what, and why."""
    match event:
        case e.SchedulePaused():
            what = f"paused {event.schedule}"
        case e.ScheduleResumed():
            what = f"let {event.schedule} fire again"
        case e.ScheduleTriggered():
            what = f"ordered a run of {event.schedule}"
        case e.TrainingHalted():
            what = "halted all training and serving"
        case e.HaltLifted():
            what = "allowed training and serving again"
        case e.LegalHoldPlaced():
            what = f"placed the hold {event.name} on {', '.join(event.runs) or 'every run'}"
        case e.LegalHoldLifted():
            what = f"lifted the hold {event.name}"
    return f"{event.who} {what}: {event.reason}"


def of_schedule(event: OfSchedule) -> str:
    """Return how a schedule fared."""
    match event:
        case e.ScheduleDefined():
            own = len(event.definition)
            return (
                f"{event.schedule} is due {event.trigger}, for model {event.model}; {own} settings"
            )
        case e.ScheduleFired():
            late = f", {event.late:.1f} s late" if event.late >= 1 else ""
            by = "" if event.trigger == "time" else f" by order of {event.trigger}"
            return (
                f"{event.schedule} fired for {_due(event)}{by}{late}: run {event.run} of model "
                f"{event.model}, seed {event.seed}, by {event.holder}"
            )
        case e.ScheduleSkipped():
            return (
                f"{event.schedule} skipped {event.count} due times from "
                f"{event.first:%Y-%m-%d %H:%M:%S} to {event.last:%Y-%m-%d %H:%M:%S} "
                f"({event.cause}): {event.reason}"
            )
        case e.ScheduleRetried():
            return (
                f"attempt {event.attempt} of {event.schedule} for {_due(event)} failed, run "
                f"{event.run} goes on not before {event.retry_at:%Y-%m-%d %H:%M:%S}: {event.reason}"
            )
        case e.ScheduleFinished():
            return (
                f"{event.schedule} for {_due(event)} finished: run {event.run}, "
                f"{event.attempts} attempts"
            )
        case e.ScheduleFailed():
            return (
                f"{event.schedule} for {_due(event)} is given up after {event.attempts} attempts, "
                f"run {event.run}: {event.reason}"
            )


def of_process(event: OfProcess) -> str:
    """Return what a process did, or could not do."""
    match event:
        case e.DaemonStarted():
            names = ", ".join(event.schedules) or "no schedule"
            return f"a daemon started as {event.holder}, version {event.code_version}, for {names}"
        case e.DaemonStopped():
            return f"the daemon {event.holder} stopped: {event.reason}"
        case e.LeaseTaken():
            of = f" from {event.previous}" if event.previous else ""
            return f"{event.holder} took the lease {event.lease}{of}, epoch {event.epoch}"
        case e.AlertPushFailed():
            return (
                f"metrics of {event.schedule} did not reach {event.gateway}, {event.failures} "
                f"in a row: {event.reason}"
            )
        case e.RunStopped():
            return f"the run was stopped in cycle {event.cycle} at {event.steps:,}: {event.reason}"


def of_keeping(event: Kept) -> str:
    """Return what was done to keep the log."""
    if isinstance(event, e.CheckpointSigned):
        return (
            f"the log was signed at {event.size:,} events, root {event.root[:12]}, as "
            f"{event.origin} with {', '.join(event.keys)}"
        )
    return (
        f"{event.events:,} payloads of {event.type} of {event.stream}, positions {event.first} to "
        f"{event.last}, were sealed into {event.segment[:12]} ({event.size:,} bytes)"
    )


def _due(event: e.ScheduleFired | e.ScheduleRetried | e.ScheduleFinished | e.ScheduleFailed) -> str:
    return f"{event.due:%Y-%m-%d %H:%M:%S}"
