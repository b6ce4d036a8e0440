"""What is told about metrics: where they are scraped and pushed, and how patiently."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsRules:
    """Where metrics can be scraped, where they are pushed, and how often."""

    address: str = "127.0.0.1"  # the daemon's scrape endpoint listens here
    port: int = 9464  # of the scrape endpoint; 0 for none
    gateway: str | None = None  # URL of a Pushgateway; `none` pushes nothing
    job: str = "stairways"  # names the log in Prometheus; each log needs its own
    schedule: str = "manual"  # grouping key of pushes by runs that no schedule began
    interval: float = 5.0  # seconds between two looks at the log, and between two pushes
    timeout: float = 5.0  # seconds a push may take
    period: float = 0.0  # seconds in which a model no schedule trains should succeed; 0: never
    report_every: float = 3_600.0  # seconds between two AlertPushFailed events of a schedule

    def __post_init__(self) -> None:
        if not 0 <= self.port <= LARGEST_PORT:
            raise ValueError(f"port {self.port} must be from 0 to {LARGEST_PORT}")
        for name in ("interval", "timeout"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0")
        for name in ("period", "report_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        for name in ("job", "schedule"):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", getattr(self, name)):
                raise ValueError(
                    f"{name} {getattr(self, name)!r} must be letters, digits, dots, dashes and "
                    "underscores, 64 at most"
                )
        if self.gateway is not None and not _is_web_address(self.gateway):
            raise ValueError(f"gateway {_hidden(self.gateway)!r} must be an http(s) URL")


def _is_web_address(url: str) -> bool:
    """Say whether a URL names a host that can be called, and a port there can be."""
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an open bracket, or a port beyond all
        return False
    return named and not re.search(r"[\s\x00-\x1f\x7f]", url)


def _hidden(url: str) -> str:
    """Return a URL without what may be a password in it."""
    return url.rpartition("@")[2]
