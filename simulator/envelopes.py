"""What a Baileys-style bridge posts to its webhook, as pure functions.

The shapes are those of Baileys' `messages.upsert` and `messages.update` events, as bridges forward them.
"""

from dataclasses import dataclass
from datetime import datetime

from simulator.jsontypes import Json

# Baileys' proto.WebMessageInfo.Status: 2 SERVER_ACK, 3 DELIVERY_ACK, 4 READ.
DELIVERY_ACK = 3


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
    def alternative_jid(self) -> str | None:
        """The phone's address behind a hidden id, where it is known."""
        return f"{self.phone}@s.whatsapp.net" if self.lid and self.phone else None


@dataclass(frozen=True)
class Media:
    """A file on the simulator's own media address."""

    url: str
    mimetype: str
    size_bytes: int
    seconds: int = 0


def customer_message(
    tenant: str, identity: Identity, *, message_id: str, at: datetime, content: Json
) -> Json:
    """Wrap what a customer wrote into the bridge's envelope."""
    key: Json = {"remoteJid": identity.jid, "fromMe": False, "id": message_id}
    if identity.lid:
        key["addressingMode"] = "lid"
    if identity.alternative_jid:
        key["remoteJidAlt"] = identity.alternative_jid
    message = {
        "key": key,
        "messageTimestamp": int(at.timestamp()),
        "pushName": identity.name,
        "message": content,
    }
    return {"tenantId": tenant, "payload": {"type": "notify", "messages": [message]}}


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


def text_content(text: str) -> Json:
    """Plain text, as customers send it."""
    return {"conversation": text}


def image_content(media: Media, caption: str) -> Json:
    """Build a picture message; a picture without words has no caption field."""
    image: Json = {"mimetype": media.mimetype}
    if caption:
        image["caption"] = caption
    return {"imageMessage": {**image, "url": media.url, "fileLength": str(media.size_bytes)}}


def voice_content(media: Media) -> Json:
    """Build a voice note (push to talk)."""
    voice = {"mimetype": media.mimetype, "seconds": media.seconds, "ptt": True, "url": media.url}
    return {"audioMessage": voice}


def location_content(latitude: float, longitude: float) -> Json:
    """Build a place on the map."""
    return {"locationMessage": {"degreesLatitude": latitude, "degreesLongitude": longitude}}


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
