"""The simulated phones: what each customer wrote and was answered, and who is watching."""

import asyncio
import secrets
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from simulator.jsontypes import Json

KEPT_CHATS = 2_000
KEPT_MESSAGES_PER_CHAT = 500
KEPT_IDS = 200_000
WAITING_EVENTS = 1_000


class Direction(StrEnum):
    """Whose message it is, seen from the customer's phone."""

    SENT = "sent"
    RECEIVED = "received"


class State(StrEnum):
    """How far a message has come; the order is that of the ticks."""

    SENDING = "sending"
    RETRYING = "retrying"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"
    RECEIVED = "received"


@dataclass
class PhoneMessage:
    """One bubble. `note` names how it was sent on purpose: "twice", "reordered" or "late".

    `details` holds what only some kinds have, `choices` the buttons and rows that the customer may press,
    `reactions` the emoji of either side, `report` what the channel says of the message once it is read.
    """

    id: str
    chat: str
    direction: Direction
    kind: str
    text: str
    at: datetime
    state: State
    url: str | None = None
    note: str | None = None
    quotes: str | None = None
    details: Json = field(default_factory=dict)
    choices: tuple[Json, ...] = ()
    reactions: dict[Direction, str] = field(default_factory=dict)
    is_edited: bool = False
    is_deleted: bool = False
    report: object = None

    def as_json(self) -> Json:
        """Return the shape that the page and `GET /sim/phone/messages` show."""
        return {
            "id": self.id,
            "chat": self.chat,
            "direction": self.direction,
            "kind": self.kind,
            "text": self.text,
            "at": self.at.isoformat(),
            "state": self.state,
            "url": self.url,
            "note": self.note,
            "quotes": self.quotes,
            "details": self.details,
            "choices": list(self.choices),
            "reactions": dict(self.reactions),
            "edited": self.is_edited,
            "deleted": self.is_deleted,
        }


class Someone(Protocol):
    """A customer of any channel."""

    @property
    def chat(self) -> str:
        """The name of their chat."""

    @property
    def name(self) -> str:
        """The name they write under."""

    @property
    def other_names(self) -> tuple[str, ...]:
        """The other addresses that lead to their chat."""


@dataclass(eq=False)
class Subscriber:
    """One open page's line of events; None ends it."""

    events: asyncio.Queue[tuple[str, Json] | None] = field(
        default_factory=lambda: asyncio.Queue(maxsize=WAITING_EVENTS)
    )


class Phones:
    """Up to 2,000 chats of 500 messages each; the longest unused chat and the oldest messages make room."""

    def __init__(self) -> None:
        self._chats: OrderedDict[str, deque[PhoneMessage]] = OrderedDict()
        self._by_id: OrderedDict[str, PhoneMessage] = OrderedDict()
        self._hidden_ids: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._subscribers: set[Subscriber] = set()

    def remember(self, someone: Someone) -> None:
        """Note a customer's name and the other addresses that lead to their chat."""
        self._names[someone.chat] = someone.name
        for other in someone.other_names:
            self._hidden_ids[other] = someone.chat

    def chat_of(self, jid: str) -> str:
        """Find the chat a message to this address appears in: a hidden id's chat also for its phone."""
        return jid if jid in self._chats else self._hidden_ids.get(jid, jid)

    def phone_jid_of(self, jid: str) -> str | None:
        """Return the phone address that was sent along with a hidden id, if any was."""
        return next((phone for phone, hidden in self._hidden_ids.items() if hidden == jid), None)

    def name_of(self, jid: str) -> str | None:
        """Return the name the customer last wrote under."""
        return self._names.get(jid)

    def messages(self, jid: str) -> list[PhoneMessage]:
        """List a chat's messages, oldest first."""
        return list(self._chats.get(jid, ()))

    def find(self, message_id: str) -> PhoneMessage | None:
        """Return one bubble, None if it is not there (any more)."""
        return self._by_id.get(message_id)

    def show(self, message: PhoneMessage) -> None:
        """Add a bubble; a reply shows that what was delivered before has been read."""
        chat = self._chats.setdefault(message.chat, deque(maxlen=KEPT_MESSAGES_PER_CHAT))
        self._chats.move_to_end(message.chat)
        chat.append(message)
        self._by_id[message.id] = message
        if len(self._by_id) > KEPT_IDS:
            self._by_id.popitem(last=False)
        if len(self._chats) > KEPT_CHATS:
            forgotten, _ = self._chats.popitem(last=False)
            self._names.pop(forgotten, None)
        self._publish_bubble("message", message)
        if message.direction is Direction.RECEIVED:
            self.mark_read(message.chat)

    def change(self, message: PhoneMessage) -> None:
        """Tell every page that a bubble looks different now."""
        self._publish_bubble("change", message)

    def react(self, message: PhoneMessage, direction: Direction, emoji: str) -> None:
        """Put an emoji of one side on a bubble; an empty one takes it back."""
        if emoji:
            message.reactions[direction] = emoji
        else:
            message.reactions.pop(direction, None)
        self.change(message)

    def mark_read(self, jid: str) -> None:
        """Turn what was delivered in this chat into read."""
        for message in self._chats.get(jid, ()):
            if message.state is State.DELIVERED:
                self.advance(message, State.READ)

    def advance(self, message: PhoneMessage, state: State) -> None:
        """Change a bubble's ticks; read is never taken back."""
        if message.state in {state, State.READ}:
            return
        message.state = state
        self.publish("state", {"id": message.id, "chat": message.chat, "state": state})

    def look(self, jid: str) -> list[PhoneMessage]:
        """Let the customer look at their chat: returns what of the business's they had not read."""
        unread = [message for message in self._chats.get(jid, ()) if message.state is State.RECEIVED]
        for message in unread:
            message.state = State.READ
        return unread

    def show_typing(self, jid: str, *, typing: bool) -> None:
        """Show or hide "typing…"; who types has read."""
        self.mark_read(jid)
        self.publish("typing", {"chat": jid, "typing": typing})

    def clear(self) -> None:
        """Empty every phone."""
        self._chats.clear()
        self._by_id.clear()
        self._hidden_ids.clear()
        self._names.clear()
        self.publish("reset", {})

    @contextmanager
    def watched(self) -> Iterator[Subscriber]:
        """Subscribe for as long as the block runs."""
        subscriber = Subscriber()
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    def publish(self, name: str, data: Json) -> None:
        """Tell every open page; one that has stopped reading is cut off, and starts anew."""
        for subscriber in list(self._subscribers):
            try:
                subscriber.events.put_nowait((name, data))
            except asyncio.QueueFull:
                self._cut_off(subscriber)

    def _publish_bubble(self, name: str, message: PhoneMessage) -> None:
        # Thousands of messages go by with nobody watching.
        if self._subscribers:
            self.publish(name, message.as_json())

    def close(self) -> None:
        """End every page's events, so that the server can stop."""
        for subscriber in list(self._subscribers):
            self._cut_off(subscriber)

    def _cut_off(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)
        if subscriber.events.full():
            subscriber.events.get_nowait()
        subscriber.events.put_nowait(None)


def new_message_id() -> str:
    """Make an id as WhatsApp Web clients do: 3EB0 and sixteen hexadecimal digits."""
    return "3EB0" + secrets.token_hex(8).upper()
