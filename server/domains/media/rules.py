"""What is fetched, how large it may be, and what a file is that came through. No I/O."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.domains.media.pictures import size_of
from server.domains.media.sniffing import SENT_AS, sniff
from server.errors import BadInputError
from server.storages import MediaLimits

KINDS = frozenset({"image", "video", "audio", "voice", "document", "sticker"})
# A JPEG says its size after its colour profile and its preview.
HEAD_BYTES = 256 * 1024
LONGEST_NAME = 200
LONGEST_REASON = 500
_PATHS = re.compile(r".*[/\\]", re.DOTALL)

# What people read instead of a file; anything else is a provider's own sentence.
TOO_LARGE = "it is larger than is kept"
EMPTY = "it is empty"
UNNAMED = "the message does not say where its file is"
NOT_FETCHED = "it could not be fetched"
WRONG_KIND = "it is not of the kind that it is to be sent as, or larger than WhatsApp takes"
DELETED = "its sender deleted it"
KEPT_LONG_ENOUGH = "it was kept long enough"


class TooLargeError(BadInputError):
    """A file has more bytes than one of its kind may have."""


@dataclass(frozen=True)
class Facts:
    """What a whole file turned out to be."""

    mimetype: str
    size_bytes: int
    sha256: str
    width: int | None
    height: int | None


class Inspection:
    """Looks at a file's bytes on their way, and lets no more through than `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._head = bytearray()
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    async def through(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass chunks on; raise TooLargeError at the first that is too many, or for a file without any."""
        async for chunk in chunks:
            self._size_bytes += len(chunk)
            if self._size_bytes > self._limit_bytes:
                raise TooLargeError("too_large", f"The file is over {self._limit_bytes} bytes.")
            self._digest.update(chunk)
            self._head += chunk[: HEAD_BYTES - len(self._head)]
            yield chunk
        if not self._size_bytes:
            raise BadInputError("empty", "The file is empty.")

    def facts(self) -> Facts:
        """Return what went through."""
        mimetype = sniff(bytes(self._head[:64]))
        width, height = size_of(mimetype, bytes(self._head)) or (None, None)
        return Facts(mimetype, self._size_bytes, self._digest.hexdigest(), width, height)


def limit_of(kind: str, limits: MediaLimits) -> int:
    """Return how many bytes a file of a kind may have."""
    match kind:
        case "image":
            return limits.image_bytes
        case "video" | "audio" | "voice":
            return limits.video_bytes
        case "sticker":
            return limits.sticker_bytes
        case _:
            return limits.document_bytes


def kind_to_send(facts: Facts, limits: MediaLimits) -> str:
    """Return as what a file is sent: what WhatsApp would refuse of its own kind goes as a document."""
    kind = SENT_AS.get(facts.mimetype, "document")
    return kind if facts.size_bytes <= limit_of(kind, limits) else "document"


def kind_of(facts: Facts, limits: MediaLimits, wanted: str | None) -> str | None:
    """Return as what a file is sent of which somebody wants a kind, or None of them; None where it cannot."""
    kind = kind_to_send(facts, limits)
    if wanted == "document":
        return wanted
    return kind if wanted in {None, kind} else None


def is_fetched(kind: str, details: Mapping[str, Any]) -> bool:
    """Tell whether a message's file is fetched: never one that its sender lets people see once alone."""
    return kind in KINDS and bool(details.get("media")) and not details.get("view_once")


def plain_name(told: object) -> str | None:
    """Return a file's name without any folder, short enough to be one."""
    if not isinstance(told, str):
        return None
    return _PATHS.sub("", told).replace("\0", "")[-LONGEST_NAME:].strip() or None
