"""Meta's WhatsApp Cloud API, as far as a business that talks with its customers needs it.

Source: Meta's pages "Send messages", "Media" and "Message templates"; every version answers alike.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.behaviours import ProviderName
from simulator.cloud_envelopes import Sent, status, user_id_of
from simulator.cloud_errors import MetaError, error_body, status_of
from simulator.cloud_messages import Message, read_message
from simulator.cloud_number import new_wamid
from simulator.exchange import Provider, Received, Reply, exchange
from simulator.jsontypes import Json
from simulator.media import bare_type
from simulator.phone import Direction, PhoneMessage, State
from simulator.world import world_of

_UPLOADABLE = ("image/", "audio/", "video/", "application/", "text/plain")
MOST_LISTED = 100


def _door(request: Request) -> Reply | None:
    if world_of(request).cloud.accepts_token(request.headers.get("authorization", "")):
        return None
    return _refused(MetaError(190, "Error validating access token"))


def _refused(error: MetaError) -> Reply:
    return Reply(status_of(error.code), error_body(error.code, str(error)), accepted=False)


def _refusal(status: int) -> Json:
    return error_body({401: 190, 403: 10, 429: 130429, 500: 131000, 503: 131016}.get(status, 100))


def _invalid(sentence: str) -> Reply:
    return Reply(400, error_body(100, sentence), accepted=False)


CLOUD = Provider(name=ProviderName.CLOUD, door=_door, refusal=_refusal, invalid=_invalid, coded=error_body)


def _checked(accept: Callable[[Received], Reply]) -> Callable[[Received], Reply]:
    def check(received: Received) -> Reply:
        try:
            return accept(received)
        except MetaError as error:
            return _refused(error)

    return check


async def messages(request: Request) -> Response:
    """Send one message, or mark one as read and show "typing…"."""
    return await exchange(request, CLOUD, _checked(_accept_message))


async def upload(request: Request) -> Response:
    """Take a file that is to be sent."""
    return await exchange(request, CLOUD, _checked(_accept_upload))


async def node(request: Request) -> Response:
    """Tell of a number, or where a file can be had for the next five minutes."""
    return await exchange(request, CLOUD, _checked(_accept_node))


async def templates(request: Request) -> Response:
    """List the account's templates, a page at a time."""
    return await exchange(request, CLOUD, _checked(_accept_templates))


async def subscribe(request: Request) -> Response:
    """Subscribe the business's app to the account's webhooks, which this world always posts."""
    return await exchange(request, CLOUD, _checked(_accept_subscription))


async def file(request: Request) -> Response:
    """Serve a file to whoever has the bearer token and an address that still lives."""
    world = world_of(request)
    refused = _door(request)
    media_id = world.cloud.media_at(request.path_params["key"])
    stored = world.media.get(media_id) if media_id else None
    if refused:
        return Response(status_code=refused.status)
    if stored is None:
        return Response("The address has run out, or the file is gone.", 404)
    return Response(stored.data, media_type=stored.mimetype)


ROUTES = [
    Route("/files/{key}", file),
    Route("/{version}/{owner}/messages", messages, methods=["POST"]),
    Route("/{version}/{owner}/media", upload, methods=["POST"]),
    Route("/{version}/{owner}/message_templates", templates),
    Route("/{version}/{owner}/subscribed_apps", subscribe, methods=["POST"]),
    Route("/{version}/{owner}", node),
]


def _check_owner(received: Received, wanted: str) -> None:
    owner = received.request.path_params["owner"]
    if owner != wanted:
        raise MetaError(
            100, f"Unsupported request. Object with ID '{owner}' does not exist or cannot be loaded"
        )


def _accept_message(received: Received) -> Reply:
    connection = received.world.cloud.connection
    _check_owner(received, connection.phone_number_id)
    if received.body.get("status") is not None:
        return _accept_read(received)
    message = read_message(received.body, received.world.cloud.templates, received.world.media)
    chat = received.world.phones.chat_of(message.to)
    if message.is_free_form:
        received.world.cloud.check_window(chat)
    if message.to == connection.display_phone_number:
        raise MetaError(131021, "The recipient is the sender.")
    sent = _sent(message)
    if received.behaviour.fail_status_code is None:
        _show(received, message, chat=chat, sent=sent)
    named = {"user_id": message.to} if message.is_user_id else {"wa_id": message.to}
    answer = {
        "messaging_product": "whatsapp",
        "contacts": [{"input": _input(received.body), **named}],
        "messages": [{"id": sent.message_id, "message_status": "accepted"}],
    }
    return Reply(200, answer, before=_report(received, sent))


def _input(body: Json) -> str:
    return str(body.get("recipient") or body.get("to"))


def _accept_read(received: Received) -> Reply:
    message_id, typing = received.body.get("message_id"), received.body.get("typing_indicator")
    if received.body["status"] != "read" or not isinstance(message_id, str):
        raise MetaError(131009, 'status must be "read", with a message_id.')
    phones = received.world.phones
    message = phones.find(message_id)
    if message is None:
        raise MetaError(131009, "message_id names no message of a customer.")
    phones.mark_read(message.chat)
    if typing is not None:
        phones.show_typing(message.chat, typing=True)
    return Reply(200, {"success": True})


def _sent(message: Message) -> Sent:
    return Sent(
        message_id=new_wamid(),
        recipient="" if message.is_user_id else message.to,
        user_id=message.to if message.is_user_id else user_id_of(message.to),
        callback_data=message.callback_data,
        category=message.category,
    )


def _show(received: Received, message: Message, *, chat: str, sent: Sent) -> None:
    phones, media = received.world.phones, received.world.media
    if message.kind == "reaction":
        target = phones.find(message.target or "")
        if target is None or target.chat != chat:
            raise MetaError(131009, "reaction.message_id names no message of this chat.")
        phones.react(target, Direction.RECEIVED, message.text)
        return
    stored = media.get(message.media_id) if message.media_id else None
    phones.show(
        PhoneMessage(
            id=sent.message_id,
            chat=chat,
            direction=Direction.RECEIVED,
            kind=message.kind,
            text=message.text,
            at=datetime.now(UTC),
            state=State.RECEIVED,
            url=f"/sim/media/{stored.name}" if stored else message.link,
            quotes=message.quotes,
            details=message.details | ({"mimetype": stored.mimetype} if stored else {}),
            choices=message.choices,
            report=sent,
        )
    )


def _report(received: Received, sent: Sent) -> Callable[[], Awaitable[None]] | None:
    """Post the statuses: in the background, or before the answer where the behaviour asks for that."""
    cloud, behaviour = received.world.cloud, received.behaviour
    if not cloud.sends_receipts and behaviour.fail_status_code is None:
        return None
    told = partial(status, cloud.connection, sent, at=datetime.now(UTC))
    if behaviour.fail_status_code is not None:
        envelopes = [told(status="failed", code=behaviour.fail_status_code)]
    else:
        envelopes = [told(status="sent"), told(status="delivered")]
    if behaviour.duplicate_status:
        envelopes = [envelope for envelope in envelopes for _ in range(2)]
    if behaviour.status_first:
        return partial(cloud.webhooks.deliver, envelopes)
    cloud.webhooks.deliver_in_order(envelopes)
    return None


def _accept_upload(received: Received) -> Reply:
    _check_owner(received, received.world.cloud.connection.phone_number_id)
    form = received.form
    upload = form.get("file") if form else None
    if form is None or not isinstance(upload, UploadFile):
        raise MetaError(100, "The parameter file is required.")
    if form.get("messaging_product") != "whatsapp":
        raise MetaError(100, 'The parameter messaging_product is required and must be "whatsapp".')
    mimetype = str(form.get("type") or upload.content_type or "")
    if not bare_type(mimetype).startswith(_UPLOADABLE):
        raise MetaError(100, f"Param file must be a file of a kind WhatsApp knows, not {mimetype!r}.")
    # The form holds the whole file in memory or on disk already: nothing here waits for the network.
    stored = received.world.media.add(upload.file.read(), mimetype)
    return Reply(200, {"id": stored.id})


def _accept_node(received: Received) -> Reply:
    world, connection = received.world, received.world.cloud.connection
    owner = received.request.path_params["owner"]
    if owner == connection.phone_number_id:
        return Reply(200, _number_json(connection.display_phone_number, owner))
    stored = world.media.get(owner)
    if stored is None:
        raise MetaError(100, f"Unsupported get request. Object with ID '{owner}' does not exist")
    key = world.cloud.new_media_url(owner)
    told = {
        "messaging_product": "whatsapp",
        "url": f"{received.request.base_url}cloud/files/{key}",
        "mime_type": stored.mimetype,
        "sha256": stored.sha256,
        "file_size": len(stored.data),
        "id": owner,
    }
    return Reply(200, told)


def _number_json(display: str, number_id: str) -> Json:
    return {
        "verified_name": "Simulated business",
        "display_phone_number": f"+{display}",
        "quality_rating": "GREEN",
        "code_verification_status": "VERIFIED",
        "id": number_id,
    }


def _accept_templates(received: Received) -> Reply:
    _check_owner(received, received.world.cloud.connection.waba_id)
    query = received.request.query_params
    first, limit = _whole(query.get("after", "0")), min(_whole(query.get("limit", "25")), MOST_LISTED)
    listed = received.world.cloud.templates
    page = listed[first : first + limit]
    answer: Json = {
        "data": page,
        "paging": {"cursors": {"before": str(first), "after": str(first + len(page))}},
    }
    if first + len(page) < len(listed):
        url = received.request.url.include_query_params(after=first + len(page), limit=limit)
        answer["paging"]["next"] = str(url)
    return Reply(200, answer)


def _accept_subscription(received: Received) -> Reply:
    _check_owner(received, received.world.cloud.connection.waba_id)
    return Reply(200, {"success": True})


def _whole(value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise MetaError(100, "after and limit must be whole numbers.")
    return int(value)
