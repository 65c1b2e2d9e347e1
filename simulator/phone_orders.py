"""What may be asked of the simulated phone, parsed once; `docs/simulator.md` lists every field."""

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from simulator.cloud_envelopes import Person, user_id_of
from simulator.envelopes import Identity
from simulator.errors import BadInputError
from simulator.jsontypes import Json
from simulator.lines import Channel, Customer
from simulator.media import LARGEST_FILE_BYTES
from simulator.said import CHANGES, FILES, NEEDS_WORDS, Choice, How, Kind, Place
from simulator.samples import CARD, ORDER, PLACE, REFERRAL

# A phone sends at most 4,096 characters; a webhook may bring more, and a test must be able to.
LONGEST_TEXT = 20_000
LONGEST_NAME = 100
LONGEST_ID = 256
MOST_COPIES = 100
MOST_TEXTS = 20
LATEST_S = 30 * 24 * 3600

_DIGITS = re.compile(r"\d{5,20}")
_MESSAGE_ID = re.compile(r"[\w.\-=+/]{1,256}", re.ASCII)
_USER_ID = re.compile(r"[A-Z]{2}\.[0-9A-Za-z]{1,128}", re.ASCII)
_PHONE_NOISE = re.compile(r"[\s()+\-]")
_Member = TypeVar("_Member", bound=StrEnum)


@dataclass(frozen=True)
class Upload:
    """A file that was chosen."""

    data: bytes
    mimetype: str
    file_name: str


@dataclass(frozen=True)
class Order:
    """One press of the send button, by a customer or by the owner.

    `texts` has one entry a message; `copies` posts each of them that often under the same id, at once;
    `is_reversed` posts them last first, with the timestamps of the order they were written in; `is_batch`
    posts them in one webhook; `late_s` is how long ago they were written.
    """

    customer: Customer
    kind: Kind
    texts: tuple[str, ...]
    copies: int = 1
    is_reversed: bool = False
    is_batch: bool = False
    under_both: bool = False
    late_s: int = 0
    provider_id: str | None = None
    upload: Upload | None = None
    quotes: str | None = None
    target: str | None = None
    choice: Choice | None = None
    details: Json | None = None
    is_view_once: bool = False
    is_ephemeral: bool = False
    is_history: bool = False
    place: Place = Place.PERSON


def parse_order(body: Json) -> Order:
    """Read a send request; raises BadInputError with a sentence that names the field."""
    kind = _member(Kind, body.get("kind", "text"), "kind")
    order = Order(
        customer=parse_customer(body),
        kind=kind,
        texts=_texts(body, kind),
        copies=_whole(body, "copies", 1, most=MOST_COPIES) or 1,
        is_reversed=body.get("reversed") is True,
        is_batch=body.get("batch") is True,
        under_both=body.get("under_both") is True,
        late_s=_whole(body, "late_s", 0, most=LATEST_S) or 0,
        provider_id=_message_id(body, "provider_id"),
        upload=_upload(body.get("media"), kind),
        quotes=_message_id(body, "quotes"),
        target=_message_id(body, "target"),
        choice=_choice(body.get("choice"), kind),
        details=_details(body, kind),
        is_view_once=body.get("view_once") is True,
        is_ephemeral=body.get("ephemeral") is True,
        is_history=body.get("history") is True,
        place=_member(Place, body.get("place", "person"), "place"),
    )
    _check(order)
    return order


def _check(order: Order) -> None:
    if order.provider_id and len(order.texts) > 1:
        raise BadInputError("provider_id names one message: send one text with it.")
    if order.kind in CHANGES and not order.target:
        raise BadInputError(f"{order.kind} needs target: the id of the message it changes.")
    if order.kind is Kind.CHOICE and order.choice is None:
        raise BadInputError('choice needs choice: {"how": "button", "id": "yes", "title": "Yes"}.')
    customer = order.customer
    if order.under_both and not (isinstance(customer, Identity) and customer.alternative_jid):
        raise BadInputError("under_both needs from and lid, on the bridge.")


def parse_customer(body: Json) -> Customer:
    """Read who writes and over which channel; raises BadInputError with a sentence that names the field."""
    if _member(Channel, body.get("channel", "bridge"), "channel") is Channel.CLOUD:
        return _person(body)
    sender, lid = body.get("from"), body.get("lid")
    if isinstance(sender, str) and sender.endswith("@lid"):
        sender, lid = None, sender
    phone = _digits(_PHONE_NOISE.sub("", str(sender)), "from") if sender else None
    hidden = _digits(str(lid).removesuffix("@lid"), "lid") if lid else None
    if phone is None and hidden is None:
        raise BadInputError("Say who writes: from (a phone number) or lid (a hidden id), or both.")
    return Identity(phone=phone, lid=hidden, name=_name(body, phone or hidden or ""))


def _person(body: Json) -> Person:
    phone = _digits(_PHONE_NOISE.sub("", str(body["from"])), "from") if body.get("from") else None
    username, user_id = body.get("username"), body.get("user_id")
    if username is not None and (not isinstance(username, str) or not 1 <= len(username) <= LONGEST_NAME):
        raise BadInputError(f"username must be text of at most {LONGEST_NAME} characters.")
    if user_id is None:
        if not (phone or username):
            raise BadInputError("Say who writes: from (a phone number), username or user_id.")
        user_id = user_id_of(phone or f"@{username}")
    if not isinstance(user_id, str) or not _USER_ID.fullmatch(user_id):
        raise BadInputError("user_id must be a business-scoped id such as IL.88120011223344.")
    return Person(phone, user_id, _name(body, str(username or phone or user_id)), username)


def _name(body: Json, otherwise: str) -> str:
    name = body.get("name") or otherwise
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise BadInputError(f"name must be text of at most {LONGEST_NAME} characters.")
    return name


def _member(members: type[_Member], value: object, name: str) -> _Member:
    try:
        return members(str(value))
    except ValueError as error:
        raise BadInputError(f"Unknown {name} {value!r}: use one of {', '.join(members)}.") from error


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
        if kind in NEEDS_WORDS and not text.strip():
            raise BadInputError("text must not be empty.")
    return tuple(texts)


def _whole(body: Json, name: str, least: int, *, most: int) -> int:
    value = body.get(name, least)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadInputError(f"{name} must be a whole number from {least} to {most}.")
    return value


def _message_id(body: Json, name: str) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _MESSAGE_ID.fullmatch(value):
        raise BadInputError(f"{name} must be 1 to {LONGEST_ID} letters, digits and any of . - _ = + /")
    return value


def _choice(value: object, kind: Kind) -> Choice | None:
    if kind is not Kind.CHOICE or value is None:
        return None
    told = value if isinstance(value, dict) else {}
    id_, title = told.get("id"), told.get("title")
    if not isinstance(id_, str) or not isinstance(title, str) or len(id_) + len(title) > LONGEST_TEXT:
        raise BadInputError("choice.id and choice.title must be text.")
    return Choice(_member(How, told.get("how", "button"), "choice.how"), id_, title)


def _details(body: Json, kind: Kind) -> Json | None:
    """Return the fields of a place, a card, an order and the like; what is not given is a sample."""
    samples: dict[Kind, Json] = {Kind.LOCATION: PLACE, Kind.CONTACT: CARD, Kind.ORDER: ORDER}
    given = body.get("details") or {}
    if not isinstance(given, dict):
        raise BadInputError("details must be an object.")
    details: Json = {**samples.get(kind, {}), **given}
    if kind is Kind.NUMBER_CHANGE:
        details["wa_id"] = _digits(str(details.get("wa_id", "")), "details.wa_id")
    if body.get("referral") is True:
        details["referral"] = REFERRAL
    return details


def _upload(value: object, kind: Kind) -> Upload | None:
    if value is None:
        return None
    if kind not in FILES or not isinstance(value, dict):
        raise BadInputError(
            'media goes with a file\'s kind and is {"data": base64, "mimetype": "image/png"}.'
        )
    data = _data(value)
    mimetype, file_name = value.get("mimetype"), value.get("file_name", "file")
    if not isinstance(mimetype, str) or "/" not in mimetype or not mimetype.isprintable():
        raise BadInputError('media.mimetype must be a type such as "image/png".')
    if not isinstance(file_name, str) or len(file_name) > LONGEST_NAME:
        raise BadInputError(f"media.file_name must be text of at most {LONGEST_NAME} characters.")
    return Upload(data, mimetype, file_name)


def _data(told: Json) -> bytes:
    """Return the file, or as many zeros as `size_bytes` says: a large file that no request has to carry."""
    if "data" not in told and "size_bytes" in told:
        return bytes(_whole(told, "size_bytes", 0, most=LARGEST_FILE_BYTES))
    try:
        return base64.b64decode(str(told.get("data", "")), validate=True)
    except binascii.Error as error:
        raise BadInputError("media.data must be base64.") from error
