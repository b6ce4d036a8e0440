"""What the console is told: where it listens, who may look, and how much at a time."""

import re
from dataclasses import dataclass
from ipaddress import ip_network
from urllib.parse import urlsplit

ROLES = ("auditor", "operator-read")

_TOKEN = re.compile(r"(auditor|operator-read):([^:,\s]{1,64}):([0-9a-f]{64})")
_USER = re.compile(r"(auditor|operator-read):([^,\s]{1,128})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleRules:
    """Where `stairways serve` listens and who may look; nothing here is part of a run."""

    host: str = "127.0.0.1"  # the address it listens on
    port: int = 8463
    public_url: str = ""
    tokens: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()  # addresses or networks of proxies whose headers are believed
    proxy_header: str = "X-Forwarded-User"  # in which such a proxy says who logged in
    proxy_users: tuple[str, ...] = ()  # `ROLE:NAME` for each name a proxy may give
    session_hours: float = 8.0  # after which one has to log in again
    rate: float = 20.0  # requests a second that an address may make for long
    burst: int = 120  # requests that it may make at once
    logins_per_minute: float = 6.0  # attempts to log in from one address
    header_seconds: float = 10.0  # within which a request has to arrive in full
    record_access: bool = False  # pages and files asked for become events; needs the right to write

    def __post_init__(self) -> None:
        _check_entries(self.tokens, _TOKEN, "tokens", "ROLE:NAME:SHA256")
        _check_entries(self.proxy_users, _USER, "proxy_users", "ROLE:NAME")
        for proxy in self.proxies:
            _check_network(proxy)
        if not 0 <= self.port < 2**16:
            raise ValueError(f"port {self.port} must be from 0 to 65535")
        if self.public_url and urlsplit(self.public_url).scheme not in ("http", "https"):
            raise ValueError(f"public_url {self.public_url!r} must begin with https:// or http://")
        if not re.fullmatch(r"[A-Za-z0-9-]+", self.proxy_header):
            raise ValueError(f"proxy_header {self.proxy_header!r} is no name of a header")
        for name in ("session_hours", "rate", "burst", "logins_per_minute", "header_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")

    @property
    def is_secure(self) -> bool:
        """Say whether browsers come by https, so that cookies may be bound to it."""
        return urlsplit(self.public_url).scheme == "https"


def _check_entries(given: tuple[str, ...], form: re.Pattern[str], name: str, words: str) -> None:
    if not all(form.fullmatch(one) for one in given):
        raise ValueError(f"{name} must be {words}, with the role one of {', '.join(ROLES)}")


def _check_network(text: str) -> None:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError(f"proxies {text!r} is no address and no network") from None
