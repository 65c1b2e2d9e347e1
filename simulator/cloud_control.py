"""Connecting the Cloud number, and what Meta itself does to it."""

from dataclasses import fields

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.cloud_envelopes import account_envelope, template_status
from simulator.cloud_number import Connection
from simulator.errors import BadInputError
from simulator.jsontypes import Json, read_object
from simulator.world import world_of

_REQUIRED = ("webhook_url", "app_secret", "verify_token", "access_token")
_TYPES = {"enforce_window": bool, "sends_receipts": bool, "media_url_lives_s": int}
_TEMPLATE_STATUSES = frozenset({"APPROVED", "REJECTED", "PAUSED", "DISABLED", "PENDING"})


async def connect(request: Request) -> Response:
    """Connect the number to a webhook; `verified` tells whether Meta's check of it passed."""
    connection = parse_connection(await read_object(request))
    verified = await world_of(request).cloud.connect(connection)
    return JSONResponse(
        {
            "verified": verified,
            "phone_number_id": connection.phone_number_id,
            "waba_id": connection.waba_id,
            "display_phone_number": connection.display_phone_number,
            "api_url": f"{request.base_url}cloud",
        }
    )


async def set_template(request: Request) -> Response:
    """Add a template, or change the status of one, and tell the webhook."""
    body, cloud = await read_object(request), world_of(request).cloud
    connection = cloud.connection
    name, language = body.get("name"), body.get("language", "he")
    status, reason = body.get("status", "APPROVED"), body.get("reason")
    if not isinstance(name, str) or not isinstance(language, str) or status not in _TEMPLATE_STATUSES:
        raise BadInputError(f"Give name, language and status ({', '.join(sorted(_TEMPLATE_STATUSES))}).")
    found = [one for one in cloud.templates if (one["name"], one["language"]) == (name, language)]
    template = found[0] if found else _new_template(body, number=len(cloud.templates))
    changed = {**template, "status": status}
    cloud.templates = [one for one in cloud.templates if one is not template] + [changed]
    envelope = template_status(connection, changed, event=str(status), reason=reason)
    return JSONResponse({"webhook_status": await cloud.webhooks.post(envelope)})


async def change(request: Request) -> Response:
    """Post any other field that a business subscribes to, such as account_update, with any value."""
    body, cloud = await read_object(request), world_of(request).cloud
    field, value = body.get("field"), body.get("value")
    if not isinstance(field, str) or not isinstance(value, dict):
        raise BadInputError("Give field, such as account_update, and value, an object.")
    wrapped = account_envelope(cloud.connection, field, value)
    return JSONResponse({"webhook_status": await cloud.webhooks.post(wrapped)})


ROUTES = [
    Route("/sim/cloud", connect, methods=["POST"]),
    Route("/sim/cloud/change", change, methods=["POST"]),
    Route("/sim/cloud/templates", set_template, methods=["POST"]),
]


def _new_template(body: Json, *, number: int) -> Json:
    return {
        "id": str(700000000000000 + number),
        "name": body["name"],
        "language": body.get("language", "he"),
        "category": str(body.get("category", "UTILITY")),
        "parameter_format": "POSITIONAL",
        "components": [{"type": "BODY", "text": str(body.get("body", ""))}],
    }


def parse_connection(body: Json) -> Connection:
    """Read what `POST /sim/cloud` takes; raises BadInputError with a sentence that names the field."""
    known = {field.name for field in fields(Connection)}
    unknown = sorted(set(body) - known)
    if unknown:
        raise BadInputError(f"Unknown field {unknown[0]!r}: use any of {', '.join(sorted(known))}.")
    for name in _REQUIRED:
        if not body.get(name):
            raise BadInputError(f"{name} is required.")
    for name, value in body.items():
        wanted = _TYPES.get(name, str)
        if not isinstance(value, wanted):
            raise BadInputError(f"{name} must be {wanted.__name__}, not {value!r}.")
    return Connection(**body)
