"""Events about the log itself: it was replayed, verified, or is signed with another key."""

from collections.abc import Mapping
from dataclasses import dataclass

from stairways.core.values import Digest, Micros, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFinished:
    """A replay compared the log with what it should say."""

    run: str
    level: str
    checked: int
    findings: int
    first_position: Position | None
    first_field: str
    recorded_profit: Micros
    replayed_profit: Micros
    libraries: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogVerified:
    """The log was rehashed from its first record to ``size``."""

    size: int
    root: Digest
    findings: int
    first_position: Position | None
    first_field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotated:
    """From here on checkpoints of the log are signed with ``key``."""

    key: str  # public, as the C2SP signed-note format writes it
    previous: str | None  # None for the first key of the log
    reason: str
