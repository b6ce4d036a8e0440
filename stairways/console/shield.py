"""What stands before every page: who comes from where, how often, and what browsers may do.

The policy lets a page load from its own host alone and run no inline script or style, so text
from the log that slipped through as markup could still do nothing.
"""

import math
import time
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stairways.console.limits import Buckets
from stairways.console.people import Door, Person, is_in
from stairways.console.rules import ConsoleRules

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
STATIC = "/static/"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
LONGEST_QUERY = 4096
LONGEST_PATH = 1024


class Shield:
    """ASGI middleware; ``scope["state"]`` then holds ``person`` (or None) and ``address``."""

    def __init__(self, app: ASGIApp, rules: ConsoleRules, door: Door, buckets: Buckets) -> None:
        self._app = app
        self._rules = rules
        self._door = door
        self._buckets = buckets
        self._hosts = {urlsplit(rules.public_url).netloc.lower()} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with what is known of the caller."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        address = self._address(scope, headers)
        refused = self._refusal(scope, headers, address)
        scope.setdefault("state", {}).update(address=address, person=self._person(scope, headers))
        await (refused or self._app)(scope, receive, self._dressed(scope, send))

    def _refusal(self, scope: Scope, headers: Headers, address: str) -> ASGIApp | None:
        if not self._is_our_host(headers.get("host", "")):
            return _refusal(421, "This console is not served under that name.")
        if "transfer-encoding" in headers:  # where its body ends, a proxy may see otherwise
            said = "Send what you send with its Content-Length."
            return _refusal(400, said, {"Connection": "close"})
        if len(headers.getlist("authorization")) > 1:  # a proxy may have believed the other one
            return _refusal(400, "Send one Authorization header, not several.")
        if len(scope["query_string"]) > LONGEST_QUERY or len(scope["path"]) > LONGEST_PATH:
            return _refusal(414, "That address is too long.")
        if not scope["path"].startswith(STATIC) and (wait := self._buckets.wait(address)):
            seconds = str(math.ceil(wait))
            return _refusal(429, "Too many requests; wait a little.", {"Retry-After": seconds})
        return None

    def _is_our_host(self, host: str) -> bool:
        """Say whether a browser meant us; a name of somebody else's that points here does not."""
        name = host.lower()
        return name in self._hosts or name.rpartition(":")[0] in LOOPBACK or name in LOOPBACK

    def _address(self, scope: Scope, headers: Headers) -> str:
        """Return who asks: the peer, or whom the nearest trusted proxy forwards for."""
        peer = (scope.get("client") or ("",))[0]
        if not is_in(peer, self._rules.proxies):
            return str(peer)
        for part in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
            if part.strip() and not is_in(part.strip(), self._rules.proxies):
                return part.strip()[:64]
        return str(peer)

    def _person(self, scope: Scope, headers: Headers) -> Person | None:
        """Return who asks: by the proxy's word, by a token, or by a session."""
        peer = (scope.get("client") or ("",))[0]
        named = self._door.by_proxy(peer, headers.getlist(self._rules.proxy_header))
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._door.by_token(token.strip())
        return named or self._door.by_session(session_of(headers, self._rules))

    def _dressed(self, scope: Scope, send: Send) -> Send:
        began = time.perf_counter()

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._dress(scope, message)
                took = (time.perf_counter() - began) * 1000
                MutableHeaders(scope=message)["Server-Timing"] = f"page;dur={took:.1f}"
            await send(message)

        return dressed

    def _dress(self, scope: Scope, message: MutableMapping[str, Any]) -> None:
        headers = MutableHeaders(scope=message)
        headers.update(HEADERS)
        if self._rules.is_secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        is_static = scope["path"].startswith(STATIC) and message["status"] < 400  # noqa: PLR2004 - HTTP
        headers["Cache-Control"] = "private, max-age=3600" if is_static else "no-store"
        headers["Vary"] = "Cookie, Authorization, HX-Request"


def cookie_name(rules: ConsoleRules) -> str:
    """Return the name of the session's cookie; by https it is bound to the host by its prefix."""
    return "__Host-stairways" if rules.is_secure else "stairways"


def session_of(headers: Headers, rules: ConsoleRules) -> str:
    """Return the session's cookie, or nothing."""
    return cookie_parser(headers.get("cookie", "")).get(cookie_name(rules), "")


def _refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> ASGIApp:
    return PlainTextResponse(f"{sentence}\n", status, headers)
