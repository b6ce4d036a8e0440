"""The console as an ASGI application: its addresses, the way in, and what a refusal looks like."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from stairways.console.desk import Call, Desk, Page
from stairways.console.entering import enter, leave, welcome
from stairways.console.limits import Buckets
from stairways.console.openapi import description
from stairways.console.pages import PAGES
from stairways.console.people import Person
from stairways.console.questions import QuestionRefusedError, read
from stairways.console.shield import Shield
from stairways.errors import (
    LogBusyError,
    LogUnavailableError,
    NoSuchDataError,
    NoSuchEventError,
    NoSuchRunError,
    SealError,
    StairwaysError,
)

STATIC = Path(__file__).parent / "static"
STATUS: dict[type[StairwaysError], int] = {
    QuestionRefusedError: 400,
    NoSuchRunError: 404,
    NoSuchEventError: 404,
    NoSuchDataError: 404,
    SealError: 409,
    LogBusyError: 503,
    LogUnavailableError: 503,
}
"""What a refusal of ours is in the words of HTTP; any other is a log that cannot be read: 503."""

TITLES = {
    400: "That cannot be asked",
    403: "Not for this role",
    404: "Not in this log",
    405: "Nothing can be changed here",
    409: "That cannot be proved",
    500: "A fault in the console",
    503: "The log cannot be read",
}


def application(desk: Desk, monotonic: Callable[[], float]) -> Starlette:
    """Return the console over the log of ``desk``."""
    rules = desk.rules
    logins = Buckets(rules.logins_per_minute / 60, rules.logins_per_minute, monotonic)
    app = Starlette(
        routes=[*_routes(), Mount("/static", StaticFiles(directory=STATIC), name="static")],
        exception_handlers={
            HTTPException: _on_http,
            StairwaysError: _on_ours,
            Exception: _on_fault,
        },
        middleware=[
            Middleware(
                Shield,
                rules=rules,
                door=desk.door,
                buckets=Buckets(rules.rate, rules.burst, monotonic),
            )
        ],
    )
    app.state.desk, app.state.logins = desk, logins
    return app


def _routes() -> list[BaseRoute]:
    return [
        Route("/", _home),
        Route("/health", _health),
        Route("/login", welcome, methods=["GET"]),
        Route("/login", enter, methods=["POST"]),
        Route("/logout", leave, methods=["POST"]),
        Route("/openapi.json", _endpoint(Page("/openapi.json", _describe, "This description"))),
        *(Route(page.path, _endpoint(page)) for page in PAGES),
    ]


def _endpoint(page: Page) -> Callable[[Request], object]:
    """Return what answers a page's address: who may, what was asked, then the answer."""

    def answer(request: Request, person: Person) -> Response:
        desk: Desk = request.app.state.desk
        asked = read(page.questions, request.query_params.multi_items())
        size = desk.overview.catch_up()
        call = Call(desk, person, request, asked, size)
        call.note_page(page)
        return page.answer(call)

    async def endpoint(request: Request) -> Response:
        person: Person | None = request.scope["state"]["person"]
        if person is None:
            return _to_login(request)
        if page.auditors_only and person.role != "auditor":
            raise HTTPException(403, "This page is for the role auditor.")
        return await run_in_threadpool(answer, request, person)

    return endpoint


def _to_login(request: Request) -> Response:
    """Send a browser to the way in, and tell a program that it has to name itself."""
    if "text/html" not in request.headers.get("accept", ""):
        headers = {"WWW-Authenticate": "Bearer", "HX-Redirect": "/login"}
        return PlainTextResponse("Log in first, or send a token.\n", 401, headers)
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?{urlencode({'next': asked})}", 303)


async def _home(request: Request) -> Response:  # noqa: ARG001 - an endpoint's signature
    return RedirectResponse("/runs", 303)


async def _health(request: Request) -> Response:  # noqa: ARG001 - an endpoint's signature
    return PlainTextResponse("ok\n")


def _describe(call: Call) -> Response:  # noqa: ARG001 - a page's signature
    return JSONResponse(description(PAGES))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette looks up by class
    return _refusal(request, error.status_code, error.detail, dict(error.headers or {}))


async def _on_ours(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 503)
    return _refusal(request, status, str(error))


async def _on_fault(request: Request, error: Exception) -> Response:
    structlog.get_logger("console").error("fault", path=request.url.path, exc_info=error)
    return _refusal(request, 500, "It was written to the program's own log. Please report it.")


def _refusal(
    request: Request, status: int, sentence: str, headers: dict[str, str] | None = None
) -> Response:
    """Return a refusal as a page for a browser, and as a sentence for a program."""
    if "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse(f"{sentence}\n", status, headers)
    desk: Desk = request.app.state.desk
    title = TITLES.get(status, "That did not work")
    person = request.scope.get("state", {}).get("person")
    page = desk.look.render("error.html", title=title, sentence=sentence, person=person)
    return HTMLResponse(page, status, headers)
