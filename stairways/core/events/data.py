"""Events about market bars: they were registered, and what is remarkable about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stairways.core.values import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRegistered:
    """Bars were aligned, digested and stored as a blob; runs name them by ``digest``."""

    digest: Digest  # of the canonical content, which is also the blob
    name: str
    symbols: tuple[str, ...]
    frequency: str
    adjustment: str
    timezone: str
    calendar: str
    simulated: bool
    first: datetime
    last: datetime
    rows: int
    dropped: Mapping[str, int]  # by symbol: bars the join left out
    sources: Mapping[str, Digest]  # by file name: SHA-256 of the bytes that were read
    findings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFindingRaised:
    """Something about registered bars is remarkable, though it does not spoil accounting."""

    kind: str
    symbol: str
    row: int
    time: datetime | None
    detail: str
