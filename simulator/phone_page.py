"""The phone itself: one page, its style and its module."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import jinja2
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.lines import Channel
from simulator.wordings import WORDINGS
from simulator.world import world_of

_HERE = Path(__file__).parent
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_SCRIPTS = ("phone.js", "bubbles.js", "actions.js", "formatting.js")
_STYLES = ("phone.css", "kinds.css")
_ASSETS = dict.fromkeys(_SCRIPTS, "text/javascript") | dict.fromkeys(_STYLES, "text/css")


async def phone(request: Request) -> Response:
    """Show the phone in `?lang=he` (unless said otherwise) or `?lang=en`, on `?channel=bridge` or cloud."""
    wording = WORDINGS.get(request.query_params.get("lang", "he"), WORDINGS["he"])
    origins = world_of(request).settings.parent_origins
    page = _ENVIRONMENT.get_template("phone.html").render(
        wording=wording,
        words=wording.words,
        channel=request.query_params.get("channel", Channel.BRIDGE),
        parent_origins=" ".join(origins),
        config=orjson.dumps({"words": wording.words, "lines": wording.lines}).decode(),
    )
    return Response(page, media_type="text/html", headers=_page_headers(origins))


def _page_headers(origins: tuple[str, ...]) -> dict[str, str]:
    ancestors = " ".join(origins) or "'none'"
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {ancestors}"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _asset(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    content = (_HERE / "static" / name).read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}

    async def serve(request: Request) -> Response:
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=media_type, headers=headers)

    return serve


def routes() -> list[Route]:
    """List the page's addresses; files are read here, once, so that no request waits for a disk."""
    assets = [Route(f"/static/{name}", _asset(name, kind)) for name, kind in _ASSETS.items()]
    return [Route("/phone", phone), *assets]
