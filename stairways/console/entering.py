"""The way in and out. Nothing else in the console takes a POST, and neither changes the log."""

import math
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from stairways.console.desk import Desk
from stairways.console.limits import Buckets
from stairways.console.shield import cookie_name, session_of

LONGEST_FORM = 2048


async def welcome(request: Request) -> Response:
    """Show the form that takes a token."""
    if request.scope["state"]["person"]:
        return RedirectResponse(_local(request.query_params.get("next", "")), 303)
    return _form(request, request.query_params.get("next", ""), "")


async def enter(request: Request) -> Response:
    """Begin a session with a token, or say that it is wrong; every attempt is noted."""
    _same_origin(request.headers)
    desk: Desk = request.app.state.desk
    logins: Buckets = request.app.state.logins
    address: str = request.scope["state"]["address"]
    if wait := logins.wait(address):
        headers = {"Retry-After": str(math.ceil(wait))}
        raise HTTPException(429, "Too many attempts to log in; wait a little.", headers)
    given = await _fields(request)
    person = desk.door.by_token(given.get("token", "").strip())
    if person is None:
        await run_in_threadpool(desk.note, "console login refused", {"address": address})
        return _form(request, given.get("next", ""), "No such token.", 401)
    who = {"who": person.name, "role": person.role, "address": address}
    await run_in_threadpool(desk.note, "console login", who)
    response = RedirectResponse(_local(given.get("next", "")), 303)
    response.set_cookie(
        cookie_name(desk.rules),
        desk.door.session(person),
        max_age=int(desk.rules.session_hours * 3600),
        secure=desk.rules.is_secure,
        httponly=True,
        samesite="strict",
    )
    return response


async def leave(request: Request) -> Response:
    """End a session."""
    _same_origin(request.headers)
    desk: Desk = request.app.state.desk
    desk.door.end(session_of(request.headers, desk.rules))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(
        cookie_name(desk.rules), secure=desk.rules.is_secure, httponly=True, samesite="strict"
    )
    return response


def _form(request: Request, then: str, wrong: str, status: int = 200) -> Response:
    desk: Desk = request.app.state.desk
    page = desk.look.render("login.html", then=_local(then), wrong=wrong, person=None)
    return HTMLResponse(page, status)


def _same_origin(headers: Headers) -> None:
    """Refuse what another site's page sent."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site not in (None, "same-origin", "none"):
        raise HTTPException(403, "That came from another site.")
    if site is None and origin not in (None, "null"):
        _, _, host = origin.partition("://")
        if host != headers.get("host"):
            raise HTTPException(403, "That came from another site.")


async def _fields(request: Request) -> dict[str, str]:
    """Return the fields of a small form."""
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST_FORM:
                raise HTTPException(413, "That is more than a token.")
    except ClientDisconnect as error:  # it left, or was cut off for being late
        raise HTTPException(400, "That did not arrive in full.") from error
    try:
        given = parse_qs(body.decode("ascii"), max_num_fields=4, errors="strict")
    except ValueError as error:
        raise HTTPException(400, "That is no form.") from error
    return {name: values[-1] for name, values in given.items()}


def _local(address: str) -> str:
    """Return an address on this host to go on to; anything else becomes the first page."""
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_ours and address.isprintable() and address.isascii() else "/runs"
