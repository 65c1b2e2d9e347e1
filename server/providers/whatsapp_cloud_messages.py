"""The bodies of messages as Meta's Cloud API wants them."""

from __future__ import annotations

from typing import Any

from server.ports import (
    ButtonKind,
    ButtonValue,
    ChannelAccount,
    EventKind,
    Outgoing,
    OutgoingMedia,
    OutgoingReaction,
    OutgoingTemplate,
    OutgoingText,
)

LONGEST_KEY = 512
# A voice note is an audio file to Meta; a sticker has a type of its own.
TYPES = {
    EventKind.IMAGE: "image",
    EventKind.VIDEO: "video",
    EventKind.AUDIO: "audio",
    EventKind.VOICE: "audio",
    EventKind.STICKER: "sticker",
}
WITH_CAPTION = frozenset({"image", "video", "document"})
RECIPIENT_FIELD = "recipient"


def recipient_of(to: str, account: ChannelAccount) -> dict[str, Any]:
    """Return the fields that name the customer: a phone in `to`, a business-scoped id in `recipient`.

    Meta's first draft had both in `to`: a channel's setting `recipient_field` says which field it takes.
    """
    is_phone = to.lstrip("+").isdigit()
    field = "to" if is_phone else str(account.settings.get("recipient_field") or RECIPIENT_FIELD)
    return {"messaging_product": "whatsapp", "recipient_type": "individual", field: to}


def message_of(outgoing: Outgoing, media_id: str) -> dict[str, Any]:
    """Return the content of a message; `media_id` is Meta's id of the file, where there is one."""
    match outgoing:
        case OutgoingText(text=text, quoted_id=quoted_id):
            return {"type": "text", "text": {"preview_url": False, "body": text}} | _quote(quoted_id)
        case OutgoingReaction(target_id=target_id, emoji=emoji):
            return {"type": "reaction", "reaction": {"message_id": target_id, "emoji": emoji}}
        case OutgoingTemplate():
            return {"type": "template", "template": _template(outgoing, media_id)}
        case OutgoingMedia():
            return _media(outgoing, media_id)


def _media(media: OutgoingMedia, media_id: str) -> dict[str, Any]:
    name = TYPES.get(media.kind, "document")
    told: dict[str, Any] = {"id": media_id}
    if media.caption and name in WITH_CAPTION:
        told["caption"] = media.caption
    if name == "document" and media.file_name:
        told["filename"] = media.file_name
    return {"type": name, name: told} | _quote(media.quoted_id)


def _template(template: OutgoingTemplate, media_id: str) -> dict[str, Any]:
    told: dict[str, Any] = {"name": template.name, "language": {"code": template.language}}
    components = [*_header(template, media_id), *_body(template), *map(_button, template.buttons)]
    return told | ({"components": components} if components else {})


def _header(template: OutgoingTemplate, media_id: str) -> list[dict[str, Any]]:
    parameter: dict[str, Any] | None = None
    if template.file is not None:
        file = _media(template.file, media_id)
        parameter = {"type": file["type"], file["type"]: file[file["type"]]}
    elif template.header is not None:
        name = {"parameter_name": template.header_name} if template.header_name else {}
        parameter = {"type": "text", **name, "text": template.header}
    return [] if parameter is None else [{"type": "header", "parameters": [parameter]}]


def _body(template: OutgoingTemplate) -> list[dict[str, Any]]:
    values = [{"type": "text", "text": value} for value in template.body]
    if template.names:
        pairs = zip(template.names, values, strict=True)
        values = [{"parameter_name": name} | value for name, value in pairs]
    return [{"type": "body", "parameters": values}] if values else []


def _button(button: ButtonValue) -> dict[str, Any]:
    match button.kind:
        case ButtonKind.URL:
            parameter = {"type": "text", "text": button.value}
        case ButtonKind.QUICK_REPLY:
            parameter = {"type": "payload", "payload": button.value}
        case ButtonKind.COPY_CODE:
            parameter = {"type": "coupon_code", "coupon_code": button.value}
    told = {"type": "button", "sub_type": button.kind.value, "index": str(button.index)}
    return told | {"parameters": [parameter]}


def _quote(quoted_id: str | None) -> dict[str, Any]:
    return {"context": {"message_id": quoted_id}} if quoted_id else {}
