"""What may be asked of the simulated phone, parsed once."""

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum

from simulator.envelopes import Identity
from simulator.errors import BadInputError
from simulator.jsontypes import Json

LONGEST_TEXT = 4_096
LONGEST_NAME = 100
MOST_COPIES = 100
MOST_TEXTS = 20

_DIGITS = re.compile(r"\d{5,20}")
_MESSAGE_ID = re.compile(r"[\w.\-]{1,128}", re.ASCII)
_PHONE_NOISE = re.compile(r"[\s()+\-]")


class Kind(StrEnum):
    """What a customer can send."""

    TEXT = "text"
    IMAGE = "image"
    VOICE = "voice"
    LOCATION = "location"


@dataclass(frozen=True)
class Upload:
    """A picture chosen on the page."""

    data: bytes
    mimetype: str


@dataclass(frozen=True)
class SendOrder:
    """One press of the send button.

    `texts` has one entry a message; `copies` posts each of them that often under the same id, at once;
    `is_reversed` posts them last first, with the timestamps of the order they were written in.
    """

    identity: Identity
    kind: Kind
    texts: tuple[str, ...]
    copies: int = 1
    is_reversed: bool = False
    provider_id: str | None = None
    upload: Upload | None = None


def parse_send(body: Json) -> SendOrder:
    """Read a send request; raises BadInputError with a sentence that names the field."""
    kind = _kind(body.get("kind", "text"))
    order = SendOrder(
        identity=_identity(body),
        kind=kind,
        texts=_texts(body, kind),
        copies=_copies(body.get("copies", 1)),
        is_reversed=body.get("reversed") is True,
        provider_id=_message_id(body.get("provider_id")),
        upload=_upload(body.get("media"), kind),
    )
    if order.provider_id and len(order.texts) > 1:
        raise BadInputError("provider_id names one message: send one text with it.")
    return order


def _kind(value: object) -> Kind:
    try:
        return Kind(str(value))
    except ValueError as error:
        raise BadInputError(f"Unknown kind {value!r}: use one of {', '.join(Kind)}.") from error


def _identity(body: Json) -> Identity:
    sender, lid = body.get("from"), body.get("lid")
    if isinstance(sender, str) and sender.endswith("@lid"):
        sender, lid = None, sender
    phone = _digits(_PHONE_NOISE.sub("", str(sender)), "from") if sender else None
    hidden = _digits(str(lid).removesuffix("@lid"), "lid") if lid else None
    if phone is None and hidden is None:
        raise BadInputError("Say who writes: from (a phone number) or lid (a hidden id), or both.")
    name = body.get("name") or phone or hidden
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise BadInputError(f"name must be text of at most {LONGEST_NAME} characters.")
    return Identity(phone=phone, lid=hidden, name=name)


def _digits(value: str, name: str) -> str:
    if not _DIGITS.fullmatch(value) or not value.isascii():
        raise BadInputError(f"{name} must be 5 to 20 digits.")
    return value


def _texts(body: Json, kind: Kind) -> tuple[str, ...]:
    texts = body.get("texts") or [body.get("text") or ""]
    if not isinstance(texts, list) or len(texts) > MOST_TEXTS:
        raise BadInputError(f"texts must be a list of at most {MOST_TEXTS} texts.")
    for text in texts:
        if not isinstance(text, str) or len(text) > LONGEST_TEXT:
            raise BadInputError(f"text must be text of at most {LONGEST_TEXT} characters.")
        if kind is Kind.TEXT and not text.strip():
            raise BadInputError("text must not be empty.")
    return tuple(texts)


def _copies(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_COPIES:
        raise BadInputError(f"copies must be a whole number from 1 to {MOST_COPIES}.")
    return value


def _message_id(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _MESSAGE_ID.fullmatch(value):
        raise BadInputError("provider_id must be 1 to 128 letters, digits, dots, dashes or underscores.")
    return value


def _upload(value: object, kind: Kind) -> Upload | None:
    if value is None:
        return None
    if kind is not Kind.IMAGE or not isinstance(value, dict):
        raise BadInputError('media goes with kind "image" and is {"data": base64, "mimetype": "image/png"}.')
    try:
        data = base64.b64decode(str(value.get("data", "")), validate=True)
    except binascii.Error as error:
        raise BadInputError("media.data must be base64.") from error
    mimetype = str(value.get("mimetype"))
    if not mimetype.startswith("image/"):
        raise BadInputError("media.mimetype must be a kind of picture.")
    return Upload(data, mimetype)
