"""What an event means for a conversation, and whether the assistant may answer it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from server.ports import ChannelEvent, DeliveryStatus, EventKind
from server.queue import EffectState

# How long evidence is waited for before a person is called. Receipts come within seconds, those of a bridge
# that was offline within minutes.
DOUBT = timedelta(minutes=5)
# By how much a message must have been written before one that was answered to be late, and not just out of
# order: both moments are the provider's.
LATE = timedelta(minutes=10)
SESSION_IDLE = timedelta(hours=24)
HISTORY_TURNS = 40
# Whose summaries the assistant is told.
EARLIER_SESSIONS = 3
# Longer than a line waits for the answer of the one before it, a model's and a busy bridge's time included.
QUICK_LINES = timedelta(minutes=2)

RANK = {
    DeliveryStatus.QUEUED: 0,
    DeliveryStatus.SENDING: 1,
    DeliveryStatus.UNKNOWN: 2,
    DeliveryStatus.SENT: 3,
    DeliveryStatus.DELIVERED: 4,
    DeliveryStatus.READ: 5,
}
NAMELESS = "its sender has no name that can be kept"
OVERTAKEN = "not answered: a newer message gets the answer"
CAME_LATE = "not answered: it came late, and something that was written after it was answered already"
# A message of ours with one of these has gone out, and that is known.
GONE_OUT = frozenset({"sent", "delivered", "read"})
TAKEN_OVER = "not answered: a person took over"
NOT_GONE_OUT = "not sent: it turned out that it had not gone out"
NOBODY_KNOWS = "given up: nobody found out whether it went out"
GIVEN_UP = {
    "failed": "given up: it did not work out",
    "expired": "given up: its time had passed",
    "cancelled": "given up: it was cancelled",
    "quarantined": "given up: what worked on it broke down three times",
}
CHANGES = frozenset({EventKind.EDIT, EventKind.DELETE})


class PauseReason(StrEnum):
    """Who made the assistant pause: somebody typing on the phone or in the inbox, or by hand."""

    PHONE = "phone"
    INBOX = "inbox"
    HAND = "hand"


class Way(StrEnum):
    """What is to be done with an event."""

    SET_ASIDE = "set_aside"
    UNREADABLE = "unreadable"
    RECEIPT = "receipt"
    CONSENT = "consent"
    TEMPLATE = "template"
    CHANGE = "change"
    OWN = "own"
    CUSTOMER = "customer"


# What is not about a person's message, whoever it names.
OF_NOBODY = {
    EventKind.UNREADABLE: Way.UNREADABLE,
    EventKind.STATUS: Way.RECEIPT,
    EventKind.IGNORED: Way.SET_ASIDE,
    EventKind.TEMPLATE: Way.TEMPLATE,
}


def way_of(event: ChannelEvent) -> Way:
    """Sort an event; groups, stories and whatever has no sender are set aside."""
    match event.kind:
        case kind if kind in OF_NOBODY:
            return OF_NOBODY[kind]
        case _ if event.chat != "person" or event.sender is None or not event.sender.identities:
            return Way.SET_ASIDE
        case EventKind.CONSENT:
            return Way.CONSENT
        case _ if event.kind in CHANGES:
            return Way.CHANGE
        case _:
            return Way.OWN if event.from_us else Way.CUSTOMER


def why_set_aside(event: ChannelEvent) -> str:
    """Say why an event is kept but not shown in any conversation."""
    if event.chat != "person":
        return f"not a conversation with one person: {event.chat}"
    if event.kind is EventKind.IGNORED:
        return "not a message"
    return NAMELESS


def is_takeover(event: ChannelEvent) -> bool:
    """Tell whether a message of the business's own number means that a person took over.

    A reaction says nothing, and history tells what somebody did some other time.
    """
    return event.from_us and event.kind is not EventKind.REACTION and not is_history(event)


def is_history(event: ChannelEvent) -> bool:
    """Tell whether a channel reports something old, such as after it was connected again."""
    return bool(event.details.get("history"))


def folded(current: DeliveryStatus, told: DeliveryStatus) -> DeliveryStatus:
    """Return the status after a report, which may come twice or out of order.

    A status never goes back. Failed stands apart: it ends what is not delivered yet, and only
    proof of the contrary undoes it.
    """
    if told is DeliveryStatus.FAILED:
        is_delivered = current in {DeliveryStatus.DELIVERED, DeliveryStatus.READ}
        return current if is_delivered else told
    if current is DeliveryStatus.FAILED:
        return told if RANK[told] >= RANK[DeliveryStatus.SENT] else current
    return max(current, told, key=lambda status: RANK[status])


def status_of_effect(state: EffectState) -> DeliveryStatus:
    """Return what an effect's state says about the message that it sends."""
    match state:
        case EffectState.SENT | EffectState.CONFIRMED:
            return DeliveryStatus.SENT
        case EffectState.FAILED | EffectState.ABANDONED:
            return DeliveryStatus.FAILED
        case EffectState.UNKNOWN:
            return DeliveryStatus.UNKNOWN
        case EffectState.SENDING:
            return DeliveryStatus.SENDING
        case EffectState.PLANNED | EffectState.NOT_SENT:
            return DeliveryStatus.QUEUED


def effect_of_status(status: DeliveryStatus) -> EffectState | None:
    """Return what a delivery report proves about the sending, None when it proves nothing."""
    match status:
        case DeliveryStatus.SENT | DeliveryStatus.DELIVERED | DeliveryStatus.READ:
            return EffectState.CONFIRMED
        case DeliveryStatus.FAILED:
            return EffectState.FAILED
        case DeliveryStatus.QUEUED | DeliveryStatus.SENDING | DeliveryStatus.UNKNOWN:
            return None


def receipt_event_ids(provider_id: str) -> list[str]:
    """Return the inbox's ids of every receipt that a message can get (`status:<id>:<status>`)."""
    return [f"status:{provider_id}:{status.value}" for status in DeliveryStatus]


def why_given_up(job_state: str) -> str:
    """Return what people read of a message whose job ended so."""
    return GIVEN_UP[job_state]


def message_key(message_id: object, tries: int) -> str:
    """Return the effect key of a message that somebody asked for; one that was refused gets a new one."""
    return f"message:{message_id}" if tries == 1 else f"message:{message_id}:{tries}"


def reply_key(message_id: object) -> str:
    """Return the effect key of the one answer that a message can get."""
    return f"reply:{message_id}"


@dataclass(frozen=True)
class Standing:
    """How a conversation stands towards one of its messages, read under the conversation's lock.

    `followed_in` are the lanes in which more waits: its own, if behind it, and those of the contact's
    other names.
    """

    business_answers: bool
    conversation_answers: bool
    is_paused: bool
    is_newer_stored: bool
    is_person_later: bool
    is_withdrawn: bool
    is_late: bool
    contact_id: UUID
    followed_in: Sequence[str]


def why_silent(standing: Standing) -> str | None:
    """Return why the assistant must not answer, or None when it should; the newest message wins."""
    if not standing.business_answers:
        return "not answered: the assistant is off for the business"
    if not standing.conversation_answers:
        return "not answered: the assistant is off for this conversation"
    if standing.is_paused or standing.is_person_later:
        return TAKEN_OVER
    if standing.is_withdrawn:
        return "not answered: the customer took it back"
    if standing.is_newer_stored:
        return OVERTAKEN
    return CAME_LATE if standing.is_late else None


def details_of(event: ChannelEvent) -> Mapping[str, Any]:
    """Return what is kept beside a message's text."""
    kept = dict(event.details)
    if event.target_id is not None:
        kept["target"] = event.target_id
    if not event.may_be_answered and not event.from_us:
        kept["may_be_answered"] = False
    return kept
