"""The bodies of messages as a bridge wants them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from secrets import token_hex

from server.errors import ProviderRefusedError
from server.ports import (
    ChannelAccount,
    EventKind,
    Outgoing,
    OutgoingMedia,
    OutgoingReaction,
    OutgoingTemplate,
    OutgoingText,
)
from server.providers.streams import around, base64_size, in_base64

# A bridge's body may have 50 MB, and base64 makes a file a third larger.
MOST_FILE_BYTES = 36 * 2**20
# Nobody guesses it, so that no name of a file holds it.
FILE_HERE = f"file {token_hex(16)}"
TYPES: Mapping[EventKind, str] = {
    EventKind.IMAGE: "image",
    EventKind.VIDEO: "video",
    EventKind.AUDIO: "audio",
    EventKind.VOICE: "audio",
}


def body_of(
    outgoing: Outgoing, account: ChannelAccount, addressed: Mapping[str, object]
) -> tuple[bytes | AsyncIterator[bytes], int]:
    """Return a body and, of one that is made as it goes, its size; a file's letters take its mark's place."""
    told = json.dumps(_told(outgoing, account) | dict(addressed)).encode()
    if not isinstance(outgoing, OutgoingMedia):
        return told, 0
    before, _, after = told.partition(FILE_HERE.encode())
    size_bytes = len(before) + base64_size(outgoing.size_bytes) + len(after)
    return around(before, in_base64(outgoing.chunks), after), size_bytes


def _told(outgoing: Outgoing, account: ChannelAccount) -> dict[str, object]:
    match outgoing:
        # A bridge has no field for a quote: the words arrive without it.
        case OutgoingText(text=text):
            return {"type": "text", "text": text}
        # A bridge knows no templates: the customer reads the same words.
        case OutgoingTemplate(text=text):
            return {"type": "text", "text": text}
        case OutgoingMedia():
            return _file(outgoing, account)
        case OutgoingReaction():
            raise ProviderRefusedError(f"{name_of(account)} cannot send reactions", account=id_of(account))


def _file(media: OutgoingMedia, account: ChannelAccount) -> dict[str, object]:
    if media.size_bytes > MOST_FILE_BYTES:
        raise ProviderRefusedError(
            f"{name_of(account)} takes files of {MOST_FILE_BYTES // 2**20} MB at most", account=id_of(account)
        )
    told = {"data": FILE_HERE, "mimetype": media.mimetype, "filename": media.file_name}
    return {"type": TYPES.get(media.kind, "document"), "media": told, "caption": media.caption or ""}


def name_of(account: ChannelAccount) -> str:
    """Return what people call a business's bridge."""
    return f"The WhatsApp bridge of business {account.business_id}"


def id_of(account: ChannelAccount) -> str:
    """Return the account that errors name."""
    return str(account.channel_id)
