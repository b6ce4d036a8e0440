"""The metrics of schedules, and of the log as a whole."""

from stairways.metrics.family import Family, Labelled
from stairways.metrics.follower import Snapshot
from stairways.metrics.schedules import ScheduleFigures

OF_A_SCHEDULE = (
    Family[ScheduleFigures](
        "stairways_schedule_fires",
        "Due times that fired or were skipped, attempts that were retried, and how fires ended.",
        lambda one: [
            Labelled((name,), getattr(one, name))
            for name in ("fired", "skipped", "retried", "finished", "failed")
        ],
        ("outcome",),
        counts=True,
    ),
    Family[ScheduleFigures](
        "stairways_schedule_failed_in_a_row",
        "Due times given up since one succeeded last.",
        lambda one: one.failed_in_a_row,
    ),
    Family[ScheduleFigures](
        "stairways_schedule_paused", "1 while a person paused it.", lambda one: one.paused
    ),
    Family[ScheduleFigures](
        "stairways_schedule_since_timestamp_seconds",
        "When it became what it is.",
        lambda one: one.since,
    ),
    Family[ScheduleFigures](
        "stairways_schedule_last_due_timestamp_seconds",
        "Its newest due time.",
        lambda one: one.dues[-1] if one.dues else None,
    ),
    Family[ScheduleFigures](
        "stairways_schedule_last_success_timestamp_seconds",
        "When one of its runs finished last.",
        lambda one: one.last_success,
    ),
    Family[ScheduleFigures](
        "stairways_schedule_period_seconds",
        "Longest time between two of its last eight due times.",
        lambda one: one.period,
    ),
)
"""Every metric of a schedule, labelled with its name and the model it trains."""

OF_THE_LOG = (
    Family[Snapshot](
        "stairways_log_reachable", "1 if the log could be read.", lambda s: s.reachable
    ),
    Family[Snapshot]("stairways_log_position", "Events in the log.", lambda s: s.size),
    Family[Snapshot](
        "stairways_metrics_position",
        "Log position that these metrics are of.",
        lambda s: s.figures.position,
    ),
    Family[Snapshot](
        "stairways_projector_position",
        "Log position that the read models are of; absent while nobody filled them.",
        lambda s: s.projected,
    ),
    Family[Snapshot](
        "stairways_projector_lag_events",
        "Events that the read models are behind the log.",
        lambda s: None if s.projected is None else max(0, s.size - s.projected),
    ),
    Family[Snapshot](
        "stairways_unreadable_events",
        "Events that this version could not read, and passed over.",
        lambda s: s.figures.unreadable,
    ),
    Family[Snapshot](
        "stairways_verify_findings",
        "Findings of the newest recorded verification.",
        lambda s: s.figures.verified.findings if s.figures.verified else None,
    ),
    Family[Snapshot](
        "stairways_verified_events",
        "Events that the newest recorded verification covered.",
        lambda s: s.figures.verified.size if s.figures.verified else None,
    ),
    Family[Snapshot](
        "stairways_last_verify_timestamp_seconds",
        "When the log was verified last, and the result recorded.",
        lambda s: s.figures.last_verified,
    ),
    Family[Snapshot](
        "stairways_last_replay_timestamp_seconds",
        "When a run was replayed last, and the result recorded.",
        lambda s: s.figures.last_replay,
    ),
    Family[Snapshot](
        "stairways_halted",
        "1 while a person halted all training and serving.",
        lambda s: s.figures.schedules.halted,
    ),
    Family[Snapshot](
        "stairways_push_failures_reported",
        "AlertPushFailed events: one for a while of failures, not one for each.",
        lambda s: [Labelled((name,), one.reports) for name, one in s.figures.pushes.items()],
        ("pushed_schedule",),
        counts=True,
    ),
    Family[Snapshot](
        "stairways_last_push_failure_timestamp_seconds",
        "When an AlertPushFailed event was recorded last.",
        lambda s: [Labelled((name,), one.last) for name, one in s.figures.pushes.items()],
        ("pushed_schedule",),
    ),
)
"""Every metric of the log as a whole."""
