"""What the house asks of the outside world, in its own words.

Providers implement these protocols, domains call them, and neither knows the
other: `wiring` brings them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeAlias
from uuid import UUID

Json: TypeAlias = Mapping[str, Any]


class EventKind(StrEnum):
    """What one event of a channel turned out to be."""

    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    DOCUMENT = "document"
    AUDIO = "audio"
    VOICE = "voice"
    STICKER = "sticker"
    LOCATION = "location"
    CONTACT = "contact"
    CHOICE = "choice"
    REACTION = "reaction"
    EDIT = "edit"
    DELETE = "delete"
    STATUS = "status"
    UNSUPPORTED = "unsupported"
    IGNORED = "ignored"
    UNREADABLE = "unreadable"


class IdentityKind(StrEnum):
    """What kind of name a contact goes by; the digits of a LID are never a phone."""

    PHONE = "phone"
    LID = "lid"


class DeliveryStatus(StrEnum):
    """How far a message of ours came, in rising order; failed stands apart."""

    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


@dataclass(frozen=True)
class RawEvent:
    """One event cut out of a webhook: `event_id` is the provider's own, unique per channel.

    `lane` names the chat it belongs to; events of one chat are processed one after another.
    `reason` is set when the event cannot be read: it is kept, and holds back no other.
    """

    event_id: str
    lane: str
    payload: Json
    reason: str | None = None


@dataclass(frozen=True)
class Sender:
    """Who wrote: `address` is where an answer goes, word for word as it was received."""

    address: str
    identities: Mapping[IdentityKind, str]
    name: str | None = None


@dataclass(frozen=True)
class ChannelEvent:
    """One event in the house's words; `text` is None where the sender wrote none.

    `from_us` is a message of the business's own number: an echo of ours, or the owner
    typing on the phone. `may_be_answered` is False for groups, stories, history and the like.
    """

    kind: EventKind
    provider_id: str
    sender: Sender | None = None
    text: str | None = None
    sent_at: datetime | None = None
    from_us: bool = False
    may_be_answered: bool = False
    chat: str = "person"
    target_id: str | None = None
    quoted_id: str | None = None
    status: DeliveryStatus | None = None
    details: Json = field(default_factory=dict)


@dataclass(frozen=True)
class ChannelAccount:
    """One business's account at a messaging provider, with its secret in the clear."""

    channel_id: UUID
    business_id: int
    base_url: str
    secret: str = field(repr=False)
    tenant: str = ""


@dataclass(frozen=True)
class Accepted:
    """The provider took the message and named it."""

    provider_id: str


class MessageChannel(Protocol):
    """A way to talk with customers; one contract suite runs against every implementation."""

    def split(self, payload: Json) -> Sequence[RawEvent]:
        """Cut a webhook's payload into its events; a bad one comes back with its reason."""

    def read(self, payload: Json) -> ChannelEvent:
        """Read one event that `split` cut out; never raises, UNREADABLE says it could not."""

    async def send_text(self, account: ChannelAccount, *, to: str, text: str, key: str) -> Accepted:
        """Send a text; raise one of the ProviderErrors, Unknown when it may have been sent."""


@dataclass(frozen=True)
class ChatTurn:
    """One line of a conversation with a language model; role is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class Completion:
    """A model's answer with what it cost in tokens."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int


class LanguageModel(Protocol):
    """Any model that continues a conversation."""

    async def complete(self, turns: Sequence[ChatTurn]) -> Completion:
        """Return the next assistant turn; raise ProviderError when it cannot be had in time."""


class RecordingStorage(Protocol):
    """Where the files of recordings are; a key is made by us and never by a caller."""

    async def remove(self, business_id: int, key: UUID) -> None:
        """Remove a file; one that is gone is fine. Raise ProviderDownError where it may still be there."""


class NoStorage:
    """Stands in for a storage where a process was given none."""

    async def remove(self, business_id: int, key: UUID) -> None:
        """Raise LookupError: nothing can be said of any file."""
        raise LookupError(f"this process was given no storage for recording {key} of business {business_id}")


def _keep_sealed(_sealed: str) -> str:
    raise LookupError("this process was given no key to the channels' secrets")


@dataclass(frozen=True)
class Outside:
    """The outside world as handlers see it; `model` is None where no model is configured.

    `open_secret` turns a channel's stored secret into the one that its provider knows.
    """

    channels: Mapping[str, MessageChannel]
    model: LanguageModel | None = None
    open_secret: Callable[[str], str] = _keep_sealed
    recordings: RecordingStorage = field(default_factory=NoStorage)
    recordings_keep_days: int = 90
