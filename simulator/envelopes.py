"""What a Baileys-style bridge posts to its webhook, as pure functions.

The shapes are those of Baileys' `messages.upsert` and `messages.update` events, as bridges forward them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from simulator.jsontypes import Json
from simulator.said import Place

# Baileys' proto.WebMessageInfo.Status: 2 SERVER_ACK, 3 DELIVERY_ACK, 4 READ.
DELIVERY_ACK = 3
READ_ACK = 4
# Where a customer's words are no talk with the business.
ELSEWHERE = {
    Place.GROUP: "120363041234567890@g.us",
    Place.STATUS: "status@broadcast",
    Place.NEWSLETTER: "120363402212345678@newsletter",
}


@dataclass(frozen=True)
class Identity:
    """Who writes: a phone number, a hidden id (LID), or a hidden id whose phone is known."""

    phone: str | None
    lid: str | None
    name: str

    @property
    def jid(self) -> str:
        """The address that messages carry and that answers go to."""
        return f"{self.lid}@lid" if self.lid else f"{self.phone}@s.whatsapp.net"

    @property
    def chat(self) -> str:
        """The chat's name in this world."""
        return self.jid

    @property
    def other_names(self) -> tuple[str, ...]:
        """The other addresses that lead to this chat."""
        return (self.alternative_jid,) if self.alternative_jid else ()

    @property
    def alternative_jid(self) -> str | None:
        """The phone's address behind a hidden id, where it is known."""
        return f"{self.phone}@s.whatsapp.net" if self.lid and self.phone else None


@dataclass(frozen=True)
class Written:
    """One message with its id and its moment; `content` is its channel's own."""

    id: str
    at: datetime
    content: Json


def customer_messages(
    tenant: str,
    identity: Identity,
    written: Sequence[Written],
    *,
    place: Place = Place.PERSON,
    is_history: bool = False,
) -> Json:
    """Wrap what a customer wrote, in the chat with the business or elsewhere, into one envelope."""
    messages = [
        {
            "key": {**_key(identity, place), "fromMe": False, "id": one.id},
            "messageTimestamp": int(one.at.timestamp()),
            "pushName": identity.name,
            "message": one.content,
        }
        for one in written
    ]
    payload = {"type": "append" if is_history else "notify", "messages": messages}
    return {"tenantId": tenant, "payload": payload}


def _key(identity: Identity, place: Place) -> Json:
    if place is not Place.PERSON:
        return {"remoteJid": ELSEWHERE[place], "participant": identity.jid}
    key: Json = {"remoteJid": identity.jid}
    if identity.lid:
        key["addressingMode"] = "lid"
    if identity.alternative_jid:
        key["remoteJidAlt"] = identity.alternative_jid
    return key


def own_echo(tenant: str, jid: str, *, message_id: str, at: datetime, content: Json) -> Json:
    """Build the event by which a bridge reports a message sent from the business's own number."""
    key = {"remoteJid": jid, "fromMe": True, "id": message_id}
    message = {"key": key, "messageTimestamp": int(at.timestamp()), "message": content}
    return {
        "tenantId": tenant,
        "event": "messages.upsert",
        "payload": {"type": "notify", "messages": [message]},
    }


def receipt(tenant: str, jid: str, *, message_id: str, status: int) -> Json:
    """Build the event by which a bridge reports the fate of a message of ours."""
    key = {"remoteJid": jid, "id": message_id, "fromMe": True}
    return {
        "tenantId": tenant,
        "event": "messages.update",
        "payload": {"updates": [{"key": key, "update": {"status": status}}]},
    }


def sent_content(send: Json) -> Json:
    """Show what was asked of `POST /send` the way Baileys shows one's own message."""
    if send["type"] == "text":
        return {"extendedTextMessage": {"text": send["text"]}}
    details: Json = {"mimetype": str(send["media"].get("mimetype", "application/octet-stream"))}
    if send.get("caption"):
        details["caption"] = send["caption"]
    if send["type"] == "document":
        details["fileName"] = str(send["media"].get("filename", "file"))
    return {f"{send['type']}Message": details}
