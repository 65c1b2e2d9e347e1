"""The gate before every page: who is it, in which language, and did our own page send this."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.domains import accounts
from server.errors import BadInputError, StoreUnavailableError
from server.log import get_logger, where
from server.web.context import MemberVisit, Visit, WebContext
from server.web.forms import (
    LARGEST_FORM_BYTES,
    LARGEST_MEMBER_FORM_BYTES,
    SAFE_METHODS,
    is_multipart,
    read_form,
    require_own_page,
)
from server.web.rendering import problem
from server.web.words import COOKIE as LANGUAGE_COOKIE
from server.web.words import Language, choose_language

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
View: TypeAlias = Callable[[Request, Visit], Awaitable[Response]]
MemberView: TypeAlias = Callable[[Request, MemberVisit], Awaitable[Response]]

log = get_logger(__name__)

SESSION_AGE_S = 30 * 24 * 3600
A_YEAR_S = 365 * 24 * 3600


@dataclass(frozen=True)
class Cookies:
    """Our cookies' names; over HTTPS the browser itself holds them to this host and path."""

    is_secure: bool

    @property
    def session(self) -> str:
        """Name the cookie that holds a session's token."""
        return "__Host-prosaas_session" if self.is_secure else "prosaas_session"

    @property
    def form(self) -> str:
        """Name the cookie that holds a visitor's form token before they log in."""
        return "__Host-prosaas_form" if self.is_secure else "prosaas_form"

    def keep(self, answer: Response, name: str, value: str, *, max_age_s: int | None = None) -> None:
        """Set a cookie that scripts cannot read and other sites' forms do not carry."""
        answer.set_cookie(
            name, value, max_age=max_age_s, secure=self.is_secure, httponly=True, samesite="lax"
        )

    def drop(self, answer: Response, name: str) -> None:
        """Take a cookie back."""
        answer.delete_cookie(name, secure=self.is_secure, httponly=True, samesite="lax")


def anyone(context: WebContext, view: View) -> Endpoint:
    """Open a view to everybody; whoever is logged in is known to it."""
    return _guarded(context, view)


def members(context: WebContext, view: MemberView) -> Endpoint:
    """Open a view to people who are logged in; others are asked to log in first."""

    async def admit(request: Request, visit: Visit) -> Response:
        if visit.login is None:
            return ask_to_log_in(request)
        return await view(
            request, MemberVisit(visit.context, visit.words, visit.form_token, visit.login, visit.form)
        )

    return _guarded(context, admit)


def owners(context: WebContext, view: MemberView) -> Endpoint:
    """Open a view to a business's owners; its other members may look, and are told so."""

    async def admit(request: Request, visit: MemberVisit) -> Response:
        if not visit.is_owner:
            return problem(visit, 403, "owner")
        return await view(request, visit)

    return members(context, admit)


def ask_to_log_in(request: Request) -> Response:
    """Lead a reader to the log-in page and back afterwards; anything else is refused."""
    wants_page = request.method == "GET" and request.url.path != "/live"
    if not wants_page:
        return Response(status_code=401)
    return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)


def _guarded(context: WebContext, view: View) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        visit = Visit(context, context.words[choose_language(request, None)], "")
        try:
            visit = await _recognise(context, request)
            return _remember_language(request, await view(request, visit), Cookies(context.is_secure))
        except StoreUnavailableError:
            return problem(visit, 503, "away")
        except BadInputError:
            return problem(visit, 403, "foreign")
        except Exception as error:  # noqa: BLE001 -- the web error handler: recorded, and said kindly
            log.error(
                "page_failed",
                path=request.url.path.split("/")[1],
                error=type(error).__name__,
                where=where(error),
            )
            return problem(visit, 500, "broken")

    return endpoint


def _remember_language(request: Request, answer: Response, cookies: Cookies) -> Response:
    asked = request.query_params.get("lang")
    if asked in set(Language):
        cookies.keep(answer, LANGUAGE_COOKIE, asked, max_age_s=A_YEAR_S)
    return answer


async def _recognise(context: WebContext, request: Request) -> Visit:
    cookies = Cookies(context.is_secure)
    token = request.cookies.get(cookies.session)
    login = await accounts.find_session(context.database, token) if token else None
    known = login.csrf_token if login else request.cookies.get(cookies.form)
    form: Mapping[str, str] = {}
    if request.method not in SAFE_METHODS:
        # A file is read by its own view, piece by piece; its page sends the token as a header.
        largest_bytes = LARGEST_MEMBER_FORM_BYTES if login else LARGEST_FORM_BYTES
        form = {} if is_multipart(request) else await read_form(request, largest_bytes=largest_bytes)
        require_own_page(request, form, token=known, public_url=context.public_url)
    language = choose_language(request, login.language if login else None)
    return Visit(context, context.words[language], known or secrets.token_urlsafe(32), login, form)
