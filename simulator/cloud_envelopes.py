"""What Meta posts to the webhook of a Cloud API number, as pure functions."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from simulator.cloud_errors import failure
from simulator.cloud_number import Connection
from simulator.envelopes import Written
from simulator.jsontypes import Json

_BSUID_DIGITS = 10**18


@dataclass(frozen=True)
class Person:
    """A customer as Meta names them: `user_id` is scoped to the business, the phone may be hidden."""

    phone: str | None
    user_id: str
    name: str
    username: str | None = None

    @property
    def chat(self) -> str:
        """The chat's name in this world: the phone's digits where they are known."""
        return self.phone or self.user_id

    @property
    def other_names(self) -> tuple[str, ...]:
        """The other addresses that lead to this chat."""
        return (self.user_id,) if self.phone else ()


def user_id_of(phone: str) -> str:
    """Return the business-scoped id that this world gives a phone: always the same."""
    digits = int.from_bytes(hashlib.sha256(phone.encode()).digest()[:8]) % _BSUID_DIGITS
    return f"IL.{digits:018d}"


def envelope(connection: Connection, field: str, value: Json) -> Json:
    """Wrap one change of one field."""
    change = {
        "field": field,
        "value": {"messaging_product": "whatsapp", "metadata": _metadata(connection), **value},
    }
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": connection.waba_id, "changes": [change]}],
    }


def account_envelope(connection: Connection, field: str, value: Json) -> Json:
    """Wrap a change of the whole account, such as a template's: it names no number."""
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": connection.waba_id, "changes": [{"field": field, "value": value}]}],
    }


def customer_messages(
    connection: Connection, person: Person, written: Sequence[Written], *, is_history: bool = False
) -> Json:
    """Wrap what a customer wrote; each content is the type, its object and, of a reply, the context."""
    messages = [
        {**_from(person), "id": one.id, "timestamp": _seconds(one.at), **one.content} for one in written
    ]
    if not is_history:
        return envelope(connection, "messages", {"contacts": [_contact(person)], "messages": messages})
    # What a number brings along when it joins coexistence.
    chunk = {
        "metadata": {"phase": 0, "chunk_order": 1, "progress": 100},
        "threads": [
            {
                "id": person.chat,
                "messages": [{**message, "history_context": {"status": "READ"}} for message in messages],
            }
        ],
    }
    return envelope(connection, "history", {"history": [chunk]})


def owner_echo(
    connection: Connection, person: Person, *, message_id: str, at: datetime, content: Json
) -> Json:
    """Wrap what the owner sent from the WhatsApp Business app (coexistence)."""
    echo: Json = {"from": connection.display_phone_number}
    if person.phone:
        echo["to"] = person.phone
    echo |= {"to_user_id": person.user_id, "id": message_id, "timestamp": _seconds(at), **content}
    return envelope(connection, "smb_message_echoes", {"message_echoes": [echo]})


def preference(connection: Connection, person: Person, *, value: str, at: datetime) -> Json:
    """Report that a customer stopped the business's marketing in WhatsApp, or let it resume."""
    told: Json = {"wa_id": person.phone} if person.phone else {}
    told |= {
        "user_id": person.user_id,
        "detail": f"User requested to {value} marketing messages",
        "category": "marketing_messages",
        "value": value,
        "timestamp": int(at.timestamp()),
    }
    return envelope(
        connection, "user_preferences", {"contacts": [_contact(person)], "user_preferences": [told]}
    )


@dataclass(frozen=True)
class Sent:
    """A message of the business's, as its reports name it."""

    message_id: str
    recipient: str
    user_id: str | None
    callback_data: str | None
    category: str


def status(connection: Connection, sent: Sent, *, status: str, at: datetime, code: int | None = None) -> Json:
    """Report how far a message came: sent, delivered, read, or failed with one of Meta's codes."""
    told: Json = {
        "id": sent.message_id,
        "status": status,
        "timestamp": _seconds(at),
        "recipient_id": sent.recipient,
    }
    if sent.user_id:
        told["recipient_user_id"] = sent.user_id
    if sent.callback_data is not None:
        told["biz_opaque_callback_data"] = sent.callback_data
    if status == "failed":
        told["errors"] = [failure(code or 0)]
    else:
        told["pricing"] = {
            "billable": sent.category != "service",
            "pricing_model": "PMP",
            "category": sent.category,
            "type": "free_customer_service" if sent.category == "service" else "regular",
        }
    return envelope(connection, "messages", {"statuses": [told]})


def template_status(connection: Connection, template: Json, *, event: str, reason: str | None) -> Json:
    """Report that Meta approved, rejected, paused or disabled a template."""
    value = {
        "event": event,
        "message_template_id": int(template["id"]),
        "message_template_name": template["name"],
        "message_template_language": template["language"],
        "reason": reason or "NONE",
        "message_template_category": template["category"],
    }
    return account_envelope(connection, "message_template_status_update", value)


def _metadata(connection: Connection) -> Json:
    return {
        "display_phone_number": connection.display_phone_number,
        "phone_number_id": connection.phone_number_id,
    }


def _contact(person: Person) -> Json:
    profile: Json = {"name": person.name}
    if person.username:
        profile["username"] = person.username
    contact: Json = {"profile": profile}
    if person.phone:
        contact["wa_id"] = person.phone
    return {**contact, "user_id": person.user_id}


def _from(person: Person) -> Json:
    named: Json = {"from": person.phone} if person.phone else {}
    return {**named, "from_user_id": person.user_id}


def _seconds(at: datetime) -> str:
    return str(int(at.timestamp()))
