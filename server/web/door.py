"""Coming in and going out: password, one-time link, log-out."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.domains import accounts
from server.errors import BadInputError
from server.web.context import MemberVisit, Visit
from server.web.gate import SESSION_AGE_S, Cookies
from server.web.rendering import page, problem

# A path of ours: two slashes or a backslash would lead to another host.
_OWN_PATH = re.compile(r"/(?![/\\])[\w/.-]*")
_REFUSALS = {
    "wrong_credentials": (401, "login.wrong_credentials"),
    "too_many_attempts": (429, "login.too_many_attempts"),
}


async def home(_: Request, visit: Visit) -> Response:
    """Lead to the page one works on."""
    return RedirectResponse("/demo" if visit.context.simulator_url else "/inbox", 303)


async def show_login(request: Request, visit: Visit) -> Response:
    """Show the log-in form, or lead on whoever is logged in."""
    if visit.login is not None:
        return RedirectResponse(_next(request), 303)
    return _login_page(visit, next_path=_next(request))


async def log_in(request: Request, visit: Visit) -> Response:
    """Open a session for the right password."""
    email = visit.form.get("email", "")
    try:
        token = await accounts.log_in(
            visit.context.database,
            visit.context.attempts,
            email=email,
            password=visit.form.get("password", ""),
            address=request.client.host if request.client else "",
        )
    except BadInputError as refused:
        status, key = _REFUSALS[refused.code]
        return _login_page(visit, next_path=_next(request), status=status, email=email, key=key)
    return _admit(visit, token, _next(request))


async def log_out(_: Request, visit: MemberVisit) -> Response:
    """End the session."""
    await accounts.log_out(visit.context.database, visit.login)
    answer = RedirectResponse("/login", 303)
    cookies = Cookies(visit.context.is_secure)
    cookies.drop(answer, cookies.session)
    return answer


async def enter(request: Request, visit: Visit) -> Response:
    """Use a one-time link; looking at it without opening it (HEAD) does not use it up."""
    if request.method == "HEAD":
        return Response()
    token = await accounts.use_entry_link(visit.context.database, request.path_params["token"])
    if token is not None:
        return _admit(visit, token, "/")
    if visit.login is not None:
        return RedirectResponse("/", 303)
    return problem(visit, 410, "link")


def _login_page(
    visit: Visit, *, next_path: str, status: int = 200, email: str = "", key: str | None = None
) -> Response:
    answer = page(
        visit,
        "login.html",
        status=status,
        path="/login",
        next_path=next_path,
        email=email,
        complaint=None if key is None else visit.words(key),
    )
    cookies = Cookies(visit.context.is_secure)
    cookies.keep(answer, cookies.form, visit.form_token)
    return answer


def _admit(visit: Visit, token: str, path: str) -> Response:
    answer = RedirectResponse(path, 303)
    cookies = Cookies(visit.context.is_secure)
    cookies.keep(answer, cookies.session, token, max_age_s=SESSION_AGE_S)
    cookies.drop(answer, cookies.form)
    return answer


def _next(request: Request) -> str:
    wished = request.query_params.get("next", "/")
    return wished if _OWN_PATH.fullmatch(wished) else "/"
