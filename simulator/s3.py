"""An S3-compatible storage in a box: objects by path, requests signed with AWS Signature Version 4.

Every bucket is there. What is signed wrongly, or is not what was signed, is refused as S3 refuses it.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KEY_ID = "simulated-key"
SECRET = "simulated-secret"  # noqa: S105 -- opens nothing but this simulation
SKEW = timedelta(minutes=15)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request,\s*"
    r"SignedHeaders=([\w;-]+),\s*Signature=([0-9a-f]{64})"
)
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Objects:
    """What is kept, by path; `refusal` is the status that every request is answered with, 0 for none."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.refusal = 0

    async def serve(self, request: Request) -> Response:
        """Answer one request."""
        body = await request.body()
        path = request.path_params["path"]
        if self.refusal:
            return Response(status_code=self.refusal)
        if not _is_signed(request, body):
            return Response("<Error><Code>SignatureDoesNotMatch</Code></Error>", 403)
        match request.method:
            case "PUT":
                self.contents[path] = body
                return Response(headers={"etag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'})
            case "DELETE":
                self.contents.pop(path, None)
                return Response(status_code=204)
            case _:
                return _read(self.contents.get(path), request.headers.get("range", ""))


def routes(objects: Objects) -> list[Route]:
    """Return the routes of a storage, at its own root."""
    return [Route("/{path:path}", objects.serve, methods=["GET", "PUT", "DELETE"])]


def _read(content: bytes | None, wanted: str) -> Response:
    if content is None:
        return Response("<Error><Code>NoSuchKey</Code></Error>", 404)
    if not (asked := _RANGE.fullmatch(wanted)):
        return Response(content)
    start = int(asked[1])
    end = min(int(asked[2]) + 1 if asked[2] else len(content), len(content))
    if start >= len(content):
        return Response("<Error><Code>InvalidRange</Code></Error>", 416)
    told = f"bytes {start}-{end - 1}/{len(content)}"
    return Response(content[start:end], 206, headers={"content-range": told})


def _is_signed(request: Request, body: bytes) -> bool:
    told = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    moment = request.headers.get("x-amz-date", "")
    digest = hashlib.sha256(body).hexdigest()
    if not told or told[1] != KEY_ID or request.headers.get("x-amz-content-sha256") != digest:
        return False
    names = told[4].split(";")
    if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names) or not _is_fresh(moment):
        return False
    canonical = "\n".join(
        [
            request.method,
            quote(unquote(request.scope["raw_path"].decode()), safe="/-_.~"),
            "",
            *(f"{name}:{request.headers[name].strip()}" for name in names),
            "",
            told[4],
            digest,
        ]
    )
    scope = f"{told[2]}/{told[3]}/s3/aws4_request"
    wanted = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{wanted}".encode(), "sha256").hex()
    return hmac.compare_digest(signature, told[5])


def _is_fresh(moment: str) -> bool:
    try:
        at = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(datetime.now(UTC) - at) < SKEW
