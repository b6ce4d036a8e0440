"""How often somebody may ask: a bucket of permits for each address, refilled all the time."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_ADDRESSES = 10_000
"""Addresses that are remembered; the one longest unseen is forgotten first."""


@dataclass(slots=True)
class Buckets:
    """``burst`` permits for each address, and ``rate`` more a second."""

    rate: float
    burst: float
    now: Callable[[], float]
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait(self, address: str) -> float:
        """Take a permit and return 0, or return the seconds until there will be one."""
        now = self.now()
        left, seen = self._left.pop(address, (self.burst, now))
        left = min(self.burst, left + (now - seen) * self.rate)
        allowed = left >= 1
        self._left[address] = (left - 1 if allowed else left, now)
        if len(self._left) > MOST_ADDRESSES:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self.rate
