"""Events about operating Stairways: what kept watch over it could not do its work."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPushFailed:
    """Metrics did not reach the Pushgateway, so alerts may be silent about what happened."""

    schedule: str  # whose metrics they are; `manual` for runs that no schedule began
    gateway: str  # its URL, without user and password
    reason: str
    failures: int  # pushes that failed in a row, this one included
