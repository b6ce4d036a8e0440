"""Who looks: tokens, sessions, and what a proxy says about who logged in with it.

A token is stored as its SHA-256. A session is a signed cookie; the key is drawn when the
program starts, so a restart ends every session. Nothing is stored about a session but those
that were ended before their time.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Literal, cast

from itsdangerous import BadData, URLSafeTimedSerializer

from stairways.console.rules import ConsoleRules

Role = Literal["auditor", "operator-read"]

LONGEST_TOKEN = 200
MOST_ENDED = 10_000


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may look: a name, a role, and how that was shown."""

    name: str
    role: Role
    way: Literal["token", "session", "proxy"]


def new_token() -> str:
    """Return a token of 256 random bits."""
    return secrets.token_urlsafe(32)


def token_entry(role: Role, name: str, token: str) -> str:
    """Return the line of the settings that lets ``token`` in."""
    return f"{role}:{name}:{_digest(token)}"


@dataclass(slots=True)
class Door:
    """Tells who comes; holds the key that signs sessions."""

    rules: ConsoleRules
    now: Callable[[], float]
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _ended: dict[str, float] = field(default_factory=dict)

    def by_token(self, token: str) -> Person | None:
        """Return whose token that is. Every entry is compared, in constant time."""
        digest, found = _digest(token[:LONGEST_TOKEN]), None
        for entry in self.rules.tokens:
            role, name, stored = entry.split(":")
            if hmac.compare_digest(stored, digest):
                found = Person(name, cast("Role", role), "token")
        return found

    def by_proxy(self, address: str, given: Sequence[str]) -> Person | None:
        """Return whom a trusted proxy at ``address`` names in its header, given once."""
        if len(given) != 1 or not is_in(address, self.rules.proxies):
            return None
        for entry in self.rules.proxy_users:
            role, _, name = entry.partition(":")
            if name == given[0]:
                return Person(name, cast("Role", role), "proxy")
        return None

    def by_session(self, cookie: str) -> Person | None:
        """Return whose session a cookie is, if it is ours, in time and was not ended."""
        try:
            said = self._signer().loads(cookie, max_age=int(self.rules.session_hours * 3600))
        except BadData:
            return None
        if not isinstance(said, Mapping) or said.get("id") in self._ended:
            return None
        return Person(said["name"], said["role"], "session")

    def session(self, person: Person) -> str:
        """Return the cookie of a new session."""
        said = {"id": secrets.token_urlsafe(12), "name": person.name, "role": person.role}
        text: str = self._signer().dumps(said)
        return text

    def end(self, cookie: str) -> None:
        """End a session before its time."""
        try:
            said = self._signer().loads(cookie)
        except BadData:
            return
        now, longest = self.now(), self.rules.session_hours * 3600
        self._ended = {one: at for one, at in self._ended.items() if now - at < longest}
        if len(self._ended) < MOST_ENDED:
            self._ended[said["id"]] = now

    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            self._key, salt="stairways session", signer_kwargs={"digest_method": hashlib.sha256}
        )


def is_in(address: str, networks: Sequence[str]) -> bool:
    """Say whether an address lies in one of some networks."""
    try:
        here = ip_address(address)
    except ValueError:
        return False
    return any(here in ip_network(network) for network in networks)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
