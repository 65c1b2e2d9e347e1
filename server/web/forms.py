"""Posted forms: read with a bound, and accepted only from our own pages."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from server.errors import BadInputError

FIELD = "csrf"
HEADER = "x-csrf-token"
# The longest message in the longest encoding: 4,096 letters of which each becomes twelve bytes.
LARGEST_FORM_BYTES = 64 * 1024
# A page of text in a script of which every letter takes six characters on its way here.
LARGEST_MEMBER_FORM_BYTES = 256 * 1024
# A file of a hundred columns mapped, and what every form carries besides.
MOST_FIELDS = 120
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def read_form(request: Request, *, largest_bytes: int = LARGEST_FORM_BYTES) -> Mapping[str, str]:
    """Return the fields of a URL-encoded form; raise BadInputError `form_invalid`."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > largest_bytes:
            raise BadInputError("form_invalid", "The form is too large.")
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise BadInputError("form_invalid", "The form cannot be read.") from None
    # PostgreSQL holds no NUL, and no keyboard has one.
    return {name: value.replace("\0", "\ufffd") for name, value in fields}


def is_multipart(request: Request) -> bool:
    """Tell whether a request brings a file."""
    return request.headers.get("content-type", "").lower().startswith("multipart/")


def require_own_page(
    request: Request, form: Mapping[str, str], *, token: str | None, public_url: str
) -> None:
    """Raise BadInputError `form_foreign` unless one of our pages, shown to this visitor, sent this.

    The token decides. What the browser says of where the request comes from is looked at as well:
    Sec-Fetch-Site is only sent to secure addresses, and Origin is `null` for our own forms because
    our pages send no referrer (Fetch, "append a request Origin header").
    """
    sent = request.headers.get(HEADER) or form.get(FIELD, "")
    is_known = bool(token) and hmac.compare_digest(sent.encode(), (token or "").encode())
    if not (is_known and _may_come_from_here(request, public_url)):
        raise BadInputError("form_foreign", "The form did not come from our page: load it again.")


def _may_come_from_here(request: Request, public_url: str) -> bool:
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin", "null")
    own = {urlsplit(public_url).netloc, request.headers.get("host", "")}
    return origin == "null" or urlsplit(origin).netloc in own
