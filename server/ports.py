"""What the house asks of the outside world, in its own words.

Providers implement these protocols, domains call them, and neither knows the
other: `wiring` brings them together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from server.storages import MediaLimits, MediaStorage, NoMedia, NoStorage, RecordingStorage

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
    CONSENT = "consent"
    TEMPLATE = "template"
    UNSUPPORTED = "unsupported"
    IGNORED = "ignored"
    UNREADABLE = "unreadable"


class IdentityKind(StrEnum):
    """What kind of name a contact goes by; the digits of a LID are never a phone.

    A business-scoped id is Meta's name for a person who keeps their phone to themselves.
    """

    PHONE = "phone"
    LID = "lid"
    BUSINESS_SCOPED_ID = "business_scoped_id"
    USERNAME = "username"
    EMAIL = "email"


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
    `reason` is set when the event cannot be read: it is kept, and holds back no other. `account` is
    the number that it says it came to, where it says one.
    """

    event_id: str
    lane: str
    payload: Json
    reason: str | None = None
    account: str = ""


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
    """One business's account at a messaging provider, with its secret in the clear.

    `tenant` is how a bridge calls the business, `account_id` how Meta calls its number; `settings`
    are the provider's own.
    """

    channel_id: UUID
    business_id: int
    base_url: str
    secret: str = field(repr=False)
    tenant: str = ""
    account_id: str = ""
    settings: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Accepted:
    """The provider took the message and named it."""

    provider_id: str


@dataclass(frozen=True)
class OutgoingText:
    """Words to send; `quoted_id` is the provider's id of the message that they answer."""

    text: str
    quoted_id: str | None = None


@dataclass(frozen=True)
class OutgoingMedia:
    """A file to send: kind is image, video, audio, voice or document.

    Its `chunks` have `size_bytes` in all, and come once: they are read from the storage as they go.
    """

    kind: EventKind
    chunks: AsyncIterator[bytes] = field(repr=False)
    size_bytes: int
    mimetype: str
    file_name: str = ""
    caption: str | None = None
    quoted_id: str | None = None


class ButtonKind(StrEnum):
    """What fills a button of a template: the end of its address, the id of its answer, or a code to copy."""

    URL = "url"
    QUICK_REPLY = "quick_reply"
    COPY_CODE = "copy_code"


@dataclass(frozen=True)
class ButtonValue:
    """What fills one button of a template; `index` counts all its buttons from 0."""

    index: int
    kind: ButtonKind
    value: str


@dataclass(frozen=True)
class OutgoingTemplate:
    """A template that the provider approved; `body` fills its variables in order, under `names` if any.

    `text` is what the customer will read, for providers that know no templates and for our own books.
    Its header is filled by the words of `header`, or by a file.
    """

    name: str
    language: str
    text: str
    body: Sequence[str] = ()
    names: Sequence[str] = ()
    header: str | None = None
    header_name: str | None = None
    file: OutgoingMedia | None = None
    buttons: Sequence[ButtonValue] = ()


class TemplateStatus(StrEnum):
    """How a template stands at its provider: approved ones alone are sent.

    Unsupported is one that is approved, and asks for what is not filled in here; waiting is any other state.
    """

    APPROVED = "APPROVED"
    UNSUPPORTED = "UNSUPPORTED"
    PENDING = "PENDING"
    REJECTED = "REJECTED"
    PAUSED = "PAUSED"
    DISABLED = "DISABLED"
    WAITING = "WAITING"


@dataclass(frozen=True)
class ListedTemplate:
    """A template as its provider has it; `variables` says how many places its body has.

    Those that are not numbered have `names`. Its header has a `format` (text, image, video or document) and
    its words in `text`; a button a `type`, its words in `text` and where it leads in `url`.
    """

    name: str
    language: str
    category: str
    status: TemplateStatus
    reason: str | None
    body: str
    variables: int = 0
    names: Sequence[str] = ()
    header: Json | None = None
    buttons: Sequence[Json] = ()


@dataclass(frozen=True)
class OutgoingReaction:
    """An emoji on the message that `target_id` names; an empty one takes ours back."""

    target_id: str
    emoji: str


Outgoing: TypeAlias = OutgoingText | OutgoingMedia | OutgoingTemplate | OutgoingReaction


@dataclass(frozen=True)
class IncomingFile:
    """A customer's file while it is fetched: its chunks come as the provider sends them."""

    mimetype: str
    size_bytes: int | None
    chunks: AsyncIterator[bytes]


class MessageChannel(Protocol):
    """A way to talk with customers; one contract suite runs against every implementation.

    `window` is how long after a customer's last message free text may be sent; None for always.
    `lane_endings` are the kinds of names by which `split` names the lane of a chat, each with what follows
    the name there; a phone stands in it without its plus.
    """

    window: timedelta | None
    lane_endings: Mapping[IdentityKind, str]

    def split(self, payload: Json) -> Sequence[RawEvent]:
        """Cut a webhook's payload into its events; a bad one comes back with its reason."""

    def read(self, payload: Json) -> ChannelEvent:
        """Read one event that `split` cut out; never raises, UNREADABLE says it could not."""

    async def send(self, account: ChannelAccount, outgoing: Outgoing, *, to: str, key: str) -> Accepted:
        """Send one thing; raise one of the ProviderErrors, Unknown when it may have been sent.

        `key` is the effect's: a provider that lets callers name a message gives it back in its reports.
        """

    def address_of(self, phone: str) -> str:
        """Return where a message to a phone in E.164 goes that nobody has written from yet."""

    async def show_reading(self, account: ChannelAccount, *, to: str, message_id: str) -> None:
        """Show the customer that their message was read and is being answered; raise a ProviderError."""

    async def list_templates(self, account: ChannelAccount) -> Sequence[ListedTemplate]:
        """Return all templates of the account, none where its provider has none; raise a ProviderError."""

    def open_file(self, account: ChannelAccount, media: Json) -> AbstractAsyncContextManager[IncomingFile]:
        """Fetch what an event's `details["media"]` names; raise a ProviderError.

        ProviderRefusedError means that it is gone for good.
        """


@dataclass(frozen=True)
class Tool:
    """Something a model may ask for; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Json


@dataclass(frozen=True)
class ToolCall:
    """What a model asks for; `arguments` is the text it wrote, which need not be JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ChatTurn:
    """One line of a conversation with a language model; role is system, user, assistant or tool.

    `calls` are what an assistant's turn asked for; a tool's turn answers the call of `call_id`.
    """

    role: str
    content: str
    calls: Sequence[ToolCall] = ()
    call_id: str = ""


@dataclass(frozen=True)
class Completion:
    """A model's answer, in words or calls of tools or both; `cost_micro` is in millionths of a US dollar."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int
    calls: Sequence[ToolCall] = ()
    cost_micro: int = 0


class LanguageModel(Protocol):
    """Any model that continues a conversation."""

    async def complete(self, turns: Sequence[ChatTurn], *, tools: Sequence[Tool] = ()) -> Completion:
        """Return the next assistant turn; raise ProviderError when it cannot be had in time."""


@dataclass(frozen=True)
class Posted:
    """What an address answered: the beginning of its words, and the wait that it asked for, if any."""

    status: int
    answer: str = ""
    retry_after_s: float | None = None


class WebhookPoster(Protocol):
    """Posts to addresses that customers chose, none of which may lead inside."""

    def has_room(self, name: str) -> bool:
        """Tell whether another post under this name may be on its way beside those that are."""

    async def require_public(self, url: str) -> None:
        """Raise ProviderRefusedError for an address inside, ProviderDownError for one not found."""

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str], name: str) -> Posted:
        """Post a body and return the answer, whatever it says; raise a ProviderError where none came."""


class LinkedFiles(Protocol):
    """Fetches files from addresses that customers chose, none of which may lead inside."""

    def open(self, url: str, *, name: str) -> AbstractAsyncContextManager[IncomingFile]:
        """Fetch a file, under the name of whose it is; raise a ProviderError.

        ProviderRefusedError means that asking again is no use.
        """


def _keep_sealed(_sealed: str) -> str:
    raise LookupError("this process was given no key to the channels' secrets")


@dataclass(frozen=True)
class Outside:
    """The outside world as handlers see it; `model` is None where no model is configured.

    `open_secret` turns a channel's stored secret into the one that its provider knows; `channel_key`
    returns the key under which the webhooks of a channel are taken in.
    """

    channels: Mapping[str, MessageChannel]
    model: LanguageModel | None = None
    open_secret: Callable[[str], str] = _keep_sealed
    channel_key: Callable[[str], str] = _keep_sealed
    recordings: RecordingStorage = field(default_factory=NoStorage)
    webhooks: WebhookPoster | None = None
    links: LinkedFiles | None = None
    recordings_keep_days: int = 90
    media: MediaStorage = field(default_factory=NoMedia)
    media_limits: MediaLimits = field(default_factory=MediaLimits)
