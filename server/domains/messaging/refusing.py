"""What follows from a provider's no, beyond the one message that it was said of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from server.db import Session, text
from server.domains.messaging.consents import note_refused
from server.domains.messaging.stored import StoredMessage
from server.errors import ProviderRefusedError, Refusal
from server.ports import DeliveryStatus

# A refusal of these calls nobody, unless it is of an answer: the provider itself decided, and the customer is
# not waiting. One that Meta caps (131049) is not sent again by itself (docs/decisions/0032-templates.md).
CALLS_NOBODY = frozenset({Refusal.CAPPED, Refusal.OPTED_OUT})
# Meta asks to wait at least so long before a message goes again that it capped: sooner it is refused again.
CAPPED_FOR = timedelta(hours=24)
SINCE = {
    Refusal.WINDOW_CLOSED: "window_closed_at",
    Refusal.UNREACHABLE: "unreachable_at",
    Refusal.CAPPED: "capped_at",
}
NOTE = """
UPDATE message SET details = details || jsonb_build_object('refusal', cast(:meaning AS text)) WHERE id = :id
"""


@dataclass(frozen=True)
class Refused:
    """What a provider meant by its no; `code` is its own, for people who look it up."""

    meaning: Refusal
    code: str


def read(error: ProviderRefusedError) -> Refused:
    """Return what a refusal of a sending means."""
    return Refused(error.meaning, error.code)


def read_report(details: Mapping[str, Any]) -> Refused:
    """Return what a report means that a message failed after it had been accepted; OTHER for one unknown."""
    told = details.get("meaning")
    meaning = Refusal(told) if told in set(Refusal) else Refusal.OTHER
    return Refused(meaning, str(details.get("code") or ""))


def calls_person(message: StoredMessage, refused: Refused | None) -> bool:
    """Tell whether a person has to look at a message that did not arrive: a customer waits for an answer."""
    return refused is None or refused.meaning not in CALLS_NOBODY or message.answers_message_id is not None


def is_capped_still(message: StoredMessage, now: datetime) -> bool:
    """Tell whether a message failed by a cap of Meta's that may still be on."""
    is_capped = message.status == DeliveryStatus.FAILED and message.details.get("refusal") == Refusal.CAPPED
    return is_capped and now < message.status_at + CAPPED_FOR


async def follow(session: Session, message: StoredMessage, refused: Refused) -> None:
    """Write down what a refusal means for the message's conversation and contact; twice changes nothing."""
    if refused.meaning is Refusal.OTHER:
        return
    await session.execute(text(NOTE), {"id": message.id, "meaning": refused.meaning.value})
    if refused.meaning is Refusal.OPTED_OUT:
        await note_refused(session, message)
    column = SINCE.get(refused.meaning)
    if column is not None:
        await session.execute(
            text(f"UPDATE conversation SET {column} = now() WHERE id = :id"),  # noqa: S608 -- of our own table
            {"id": message.conversation_id},
        )
