"""An n8n whose workflows begin with a webhook: they verify Standard Webhooks signatures and start, or not."""

import base64
import binascii
import hashlib
import hmac
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.behaviours import ProviderName
from simulator.errors import BadInputError
from simulator.exchange import Provider, Received, Reply, exchange
from simulator.jsontypes import Json, read_object
from simulator.world import world_of

MOST_WORKFLOWS = 100


def is_signed(secret: str, headers: Json, raw: bytes) -> bool:
    """Tell whether a body was signed with a secret (standardwebhooks.com)."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return False
    told = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}.".encode() + raw
    expected = "v1," + base64.b64encode(hmac.digest(key, told, hashlib.sha256)).decode()
    signatures = str(headers.get("webhook-signature", "")).split()
    return any(hmac.compare_digest(one.encode(), expected.encode()) for one in signatures)


def _open(_request: Request) -> Reply | None:
    return None


def _refusal(status: int) -> Json:
    return {"code": status, "message": f"Simulated status {status}."}


def _invalid(sentence: str) -> Reply:
    return Reply(400, {"code": 400, "message": sentence}, accepted=False)


N8N = Provider(name=ProviderName.N8N, door=_open, refusal=_refusal, invalid=_invalid)


async def webhook(request: Request) -> Response:
    """Start a workflow, unless none is active at this path or the signature is another one's."""
    workflows, path = world_of(request).n8n, request.path_params["path"]
    secret = workflows.secrets.get(path)
    is_ours = secret is None or is_signed(secret, dict(request.headers), await request.body())
    return await exchange(request, N8N, partial(_start, path, path in workflows.secrets, is_ours))


def _start(path: str, is_active: bool, is_ours: bool, _received: Received) -> Reply:  # noqa: FBT001 -- what was found out of one request
    if not is_active:
        told = f'The requested webhook "POST {path}" is not registered.'
        return Reply(404, {"code": 404, "message": told}, accepted=False)
    if not is_ours:
        return Reply(401, {"code": 401, "message": "The signature is another one's."}, accepted=False)
    return Reply(200, {"message": "Workflow was started"})


async def activate(request: Request) -> Response:
    """Activate the workflow of a path, which verifies a secret if one is given."""
    body = await read_object(request)
    path, secret = body.get("path"), body.get("secret")
    if not isinstance(path, str) or not path or not isinstance(secret, str | None):
        raise BadInputError("path must be a text, and so must secret where there is one.")
    secrets = world_of(request).n8n.secrets
    if len(secrets) >= MOST_WORKFLOWS:
        raise BadInputError(f"There are {MOST_WORKFLOWS} workflows already: reset first.")
    secrets[path] = secret
    return JSONResponse({"ok": True})


ROUTES = [Route("/webhook/{path:path}", webhook, methods=["POST"])]
CONTROL_ROUTES = [Route("/sim/n8n", activate, methods=["POST"])]
