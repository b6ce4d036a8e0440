"""Every event, and their union ``Event``.

An event says in the past tense what happened, in values a reader in five years still
understands. It knows no clock, no identifier and no hash: those belong to the record
around it. Money is whole micros, times are UTC, other real numbers are floats that the
codec writes so that they read back bit for bit. Tuples by symbol follow the order of
``DataRegistered.symbols``.
"""

from stairways.core.events.auditing import (
    AuditAsked,
    CheckpointSigned,
    ExportMade,
    KeyRotated,
    LegalHoldLifted,
    LegalHoldPlaced,
    LogVerified,
    ReplayFinished,
    SegmentSealed,
)
from stairways.core.events.data import (
    DataFindingRaised,
    DataRegistered,
)
from stairways.core.events.judging import (
    BaselinesMeasured,
    CycleVerdict,
    EvaluationFinished,
    EvaluationStarted,
    EvaluationStepTaken,
    FoldTestFinished,
    FoldTestStarted,
    GateDecided,
    GateOverridden,
    ModelPromoted,
    ModelRolledBack,
    SkillMeasured,
)
from stairways.core.events.operating import (
    AlertPushFailed,
    DaemonStarted,
    DaemonStopped,
    HaltLifted,
    LeaseTaken,
    ScheduleDefined,
    ScheduleFailed,
    ScheduleFinished,
    ScheduleFired,
    SchedulePaused,
    ScheduleResumed,
    ScheduleRetried,
    ScheduleSkipped,
    ScheduleTriggered,
    TrainingHalted,
)
from stairways.core.events.training import (
    BalanceAsserted,
    ControllerUpdated,
    CycleFinished,
    CycleStarted,
    DivergenceDetected,
    PolicyUpdated,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
    RunStopped,
    StepTaken,
)

__all__ = [
    "AlertPushFailed",
    "AuditAsked",
    "BalanceAsserted",
    "BaselinesMeasured",
    "CheckpointSigned",
    "ControllerUpdated",
    "CycleFinished",
    "CycleStarted",
    "CycleVerdict",
    "DaemonStarted",
    "DaemonStopped",
    "DataFindingRaised",
    "DataRegistered",
    "DivergenceDetected",
    "EvaluationFinished",
    "EvaluationStarted",
    "EvaluationStepTaken",
    "Event",
    "ExportMade",
    "FoldTestFinished",
    "FoldTestStarted",
    "GateDecided",
    "GateOverridden",
    "HaltLifted",
    "KeyRotated",
    "LeaseTaken",
    "LegalHoldLifted",
    "LegalHoldPlaced",
    "LogVerified",
    "ModelPromoted",
    "ModelRolledBack",
    "PolicyUpdated",
    "ReplayFinished",
    "RunFailed",
    "RunFinished",
    "RunResumed",
    "RunStarted",
    "RunStopped",
    "ScheduleDefined",
    "ScheduleFailed",
    "ScheduleFinished",
    "ScheduleFired",
    "SchedulePaused",
    "ScheduleResumed",
    "ScheduleRetried",
    "ScheduleSkipped",
    "ScheduleTriggered",
    "SegmentSealed",
    "SkillMeasured",
    "StepTaken",
    "TrainingHalted",
]

Event = (
    DataRegistered
    | DataFindingRaised
    | RunStarted
    | RunResumed
    | RunFinished
    | RunFailed
    | RunStopped
    | CycleStarted
    | CycleFinished
    | StepTaken
    | ControllerUpdated
    | BalanceAsserted
    | PolicyUpdated
    | DivergenceDetected
    | ModelRolledBack
    | EvaluationStarted
    | EvaluationStepTaken
    | EvaluationFinished
    | FoldTestStarted
    | FoldTestFinished
    | BaselinesMeasured
    | SkillMeasured
    | GateDecided
    | CycleVerdict
    | ModelPromoted
    | GateOverridden
    | ReplayFinished
    | LogVerified
    | KeyRotated
    | CheckpointSigned
    | SegmentSealed
    | LegalHoldPlaced
    | LegalHoldLifted
    | AlertPushFailed
    | DaemonStarted
    | DaemonStopped
    | LeaseTaken
    | ScheduleDefined
    | ScheduleFired
    | ScheduleSkipped
    | ScheduleRetried
    | ScheduleFinished
    | ScheduleFailed
    | SchedulePaused
    | ScheduleResumed
    | ScheduleTriggered
    | TrainingHalted
    | HaltLifted
    | AuditAsked
    | ExportMade
)
