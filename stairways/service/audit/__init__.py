"""What an auditor asks the log. Every answer is complete or says loudly what is damaged.

All of it comes from the log itself, as it stood when it was opened; times are UTC. The read
models are not asked: nothing hashes them, so they would answer with whatever somebody wrote
there. ``watched.WatchedLog`` is the log to ask: it rehashes what it reads.
"""

from stairways.service.audit.asked import record_asked
from stairways.service.audit.asking import (
    Filter,
    Row,
    action_words,
    cycles,
    events,
    gates,
    newest,
    payload,
    runs,
    steering,
    steps,
)
from stairways.service.audit.comparison import Difference, diff
from stairways.service.audit.decisions import as_of, last_time, rollbacks
from stairways.service.audit.evidence import Link, why
from stairways.service.audit.lineage import Lineage, lineage
from stairways.service.audit.proving import Shown, show
from stairways.service.audit.sentences import sentence
from stairways.service.audit.trail import trail
from stairways.service.audit.watched import WatchedLog

__all__ = [
    "Difference",
    "Filter",
    "Lineage",
    "Link",
    "Row",
    "Shown",
    "WatchedLog",
    "action_words",
    "as_of",
    "cycles",
    "diff",
    "events",
    "gates",
    "last_time",
    "lineage",
    "newest",
    "payload",
    "record_asked",
    "rollbacks",
    "runs",
    "sentence",
    "show",
    "steering",
    "steps",
    "trail",
    "why",
]
