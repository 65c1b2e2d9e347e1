"""The files of a bridge's messages: where they are, and how those at WhatsApp's own servers are opened.

A message's `url` was written by the customer's own software: it is followed to the bridge itself,
without its secret, and to WhatsApp's servers, and nowhere else. What lies there is encrypted under
the message's `mediaKey`: AES-256-CBC, then ten bytes of HMAC-SHA256, with keys from HKDF-SHA256
(Baileys, `Utils/messages-media`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7

from server.errors import ProviderRefusedError
from server.ports import EventKind
from server.providers.loose_json import list_of, object_of, text_of

KEY_NAMES: Mapping[EventKind, str] = {
    EventKind.IMAGE: "Image",
    EventKind.STICKER: "Image",
    EventKind.VIDEO: "Video",
    EventKind.AUDIO: "Audio",
    EventKind.VOICE: "Audio",
    EventKind.DOCUMENT: "Document",
}
WHATSAPP_HOST = ".whatsapp.net"
MAC_BYTES = 10
KEY_BYTES = 32
LONGEST_URL = 2000


def media_of(body: dict[str, Any], kind: EventKind) -> dict[str, str] | None:
    """Return what it takes to fetch a message's file, None where the message does not say."""
    url = text_of(body.get("url"))
    if url is None or len(url) > LONGEST_URL:
        return None
    key = _key_text(body.get("mediaKey"))
    return {"url": url, "kind": kind.value} | ({"key": key} if key else {})


def file_address(media: Mapping[str, Any], base_url: str) -> tuple[str, bytes | None]:
    """Return where a file is and the key that opens it; raise ProviderRefusedError for any other place."""
    key = _bytes(text_of(media.get("key")) or "")
    try:
        url = urljoin(base_url, text_of(media.get("url")) or "")
        told, bridge = urlsplit(url), urlsplit(base_url)
        is_bridge = (told.scheme, told.hostname, told.port) == (bridge.scheme, bridge.hostname, bridge.port)
        is_whatsapp = told.scheme == "https" and (told.hostname or "").endswith(WHATSAPP_HOST)
        is_whatsapp = is_whatsapp and told.port is None
    except ValueError:
        raise ProviderRefusedError("the file's address is none") from None
    if is_bridge:
        return url, None
    if not is_whatsapp:
        raise ProviderRefusedError("the file is neither at the bridge nor at WhatsApp")
    if len(key) != KEY_BYTES:
        raise ProviderRefusedError("the bridge did not tell the key that opens the file")
    return url, key


async def opened(chunks: AsyncIterator[bytes], key: bytes, kind: EventKind) -> AsyncIterator[bytes]:
    """Yield a file's bytes in the clear; raise ProviderRefusedError at its end if it is not the one sent."""
    info = f"WhatsApp {KEY_NAMES.get(kind, 'Document')} Keys".encode()
    keys = HKDF(algorithm=SHA256(), length=112, salt=None, info=info).derive(key)
    vector, cipher_key, mac_key = keys[:16], keys[16:48], keys[48:80]
    decryptor, unpadder = Cipher(AES256(cipher_key), CBC(vector)).decryptor(), PKCS7(128).unpadder()
    mac = hmac.new(mac_key, vector, hashlib.sha256)
    held = b""
    async for chunk in chunks:
        held += chunk
        ready, held = held[:-MAC_BYTES], held[-MAC_BYTES:]
        mac.update(ready)
        yield unpadder.update(decryptor.update(ready))
    if not hmac.compare_digest(mac.digest()[:MAC_BYTES], held):
        raise ProviderRefusedError("the file was changed on its way, or its key opens another one")
    try:
        yield unpadder.update(decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise ProviderRefusedError("the file broke off") from None


def _key_text(told: object) -> str | None:
    """Return a key as base64, also from the lists of bytes that JavaScript makes of it."""
    if isinstance(told, str):
        return told if len(_bytes(told)) == KEY_BYTES else None
    numbers = list_of(object_of(told).get("data"))
    try:
        key = bytes(numbers)
    except (TypeError, ValueError):
        return None
    return base64.b64encode(key).decode() if len(key) == KEY_BYTES else None


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
