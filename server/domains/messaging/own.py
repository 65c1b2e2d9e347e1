"""Messages of our own: finding them by what a provider reports, and folding that into them.

Whoever gives a message its provider's id and whoever looks for it by that id hold the same lock,
so a receipt that comes before the id is known is found by whoever stores the id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from server.db import Session, text
from server.domains.messaging import announcing, inbox, queries, refusing, sendings
from server.domains.messaging.changing import make_own_early_changes
from server.domains.messaging.refusing import Refused
from server.domains.messaging.rules import (
    DOUBT,
    effect_of_status,
    folded,
    receipt_event_ids,
    status_of_effect,
)
from server.domains.messaging.stored import StoredMessage
from server.ports import DeliveryStatus, MessageChannel
from server.queue import (
    Changed,
    EffectResult,
    EffectState,
    catalog,
    enqueue,
    find_effect,
    settle_effect,
)

# The effect knows the provider's id from the moment of its answer; the message a step later.
BY_REFERENCE = """
SELECT message.id FROM effect JOIN message ON message.effect_key = effect.key
WHERE effect.business_id = :business_id AND effect.provider = :provider AND effect.provider_ref = :provider_id
  AND message.channel_id = :channel_id
ORDER BY message.position LIMIT 1
"""
CONVERSATION = """
SELECT conversation_id FROM message WHERE channel_id = :channel_id AND provider_id = :provider_id
UNION ALL
SELECT message.conversation_id FROM effect JOIN message ON message.effect_key = effect.key
WHERE effect.business_id = :business_id AND effect.provider = :provider AND effect.provider_ref = :provider_id
  AND message.channel_id = :channel_id
ORDER BY conversation_id LIMIT 1
"""
BY_TEXT = """
SELECT message.id FROM message JOIN effect ON effect.key = message.effect_key
WHERE message.conversation_id = :conversation_id AND btrim(message.text) = btrim(:text)
  AND message.provider_id IS NULL
  AND (effect.state IN ('sending', 'unknown', 'not_sent', 'confirmed')
       OR effect.state = 'abandoned' AND effect.sending_at IS NOT NULL)
ORDER BY message.position LIMIT 1
"""
# What came under a provider's id before it was known as ours.
CAME_BEFORE = """
SELECT (SELECT id FROM message WHERE channel_id = :channel_id AND provider_id = :provider_id
        ORDER BY id LIMIT 1) AS mistaken_id,
       EXISTS (SELECT FROM early_change WHERE business_id = :business_id AND channel_id = :channel_id
                 AND target_id = :provider_id) AS has_changes,
       EXISTS (SELECT FROM inbox_event WHERE business_id = :business_id AND channel_id = :channel_id
                 AND event_id = ANY (:receipts)) AS has_receipts
"""
# An echo that came before anything could tell it was ours had looked like a person's message.
TAKE_OVER_EVENTS = "UPDATE inbox_event SET message_id = :ours WHERE message_id = :mistaken"
TAKE_OVER_CHANGES = """
UPDATE message SET text = mistaken.text, details = message.details || (
    SELECT jsonb_object_agg(key, value) FROM jsonb_each(mistaken.details)
    WHERE key IN ('edited', 'deleted', 'changed_at', 'earlier'))
FROM message AS mistaken
WHERE message.id = :ours AND mistaken.id = :mistaken AND mistaken.details ?| ARRAY['edited', 'deleted']
"""
# A pause that somebody made by hand stays, and one that they lifted stays lifted.
LIFT_PAUSE = """
UPDATE conversation SET ai_paused_until = (
    SELECT max(message.created_at) + business.takeover_minutes * interval '1 minute' FROM message
    WHERE message.conversation_id = conversation.id AND message.author = 'person'
      AND message.kind <> 'reaction' AND (resumed_at IS NULL OR message.created_at > resumed_at))
FROM business
WHERE conversation.id = :conversation_id AND business.id = conversation.business_id
  AND pause_reason IS DISTINCT FROM 'hand'
"""


async def lock_conversation_of(session: Session, event: inbox.StoredEvent, provider_id: str) -> None:
    """Lock the conversation of the message of ours that a provider's id names, if there is one."""
    names = {
        "business_id": event.business_id,
        "provider": event.channel_kind,
        "provider_id": provider_id,
        "channel_id": event.channel_id,
    }
    conversation_id = await session.scalar(text(CONVERSATION), names)
    if conversation_id is not None:
        await queries.lock_conversation(session, conversation_id)


async def find_own(session: Session, event: inbox.StoredEvent, provider_id: str) -> StoredMessage | None:
    """Return the message of ours that a provider's id names, also when only its effect knows the id."""
    message = await queries.find_message(session, event.channel_id, provider_id)
    if message is not None:
        return message if message.direction == "out" else None
    message_id = await session.scalar(
        text(BY_REFERENCE),
        {
            "business_id": event.business_id,
            "provider": event.channel_kind,
            "provider_id": provider_id,
            "channel_id": event.channel_id,
        },
    )
    return None if message_id is None else await queries.get_message(session, message_id)


async def find_by_key(session: Session, event: inbox.StoredEvent, key: str) -> StoredMessage | None:
    """Return the message of ours on this channel that went out, or may have, under an effect's key."""
    message = await sendings.get_sending(session, key)
    if message is None or message.channel_id != event.channel_id or message.provider_id is not None:
        return None
    return message


async def find_unconfirmed(session: Session, conversation_id: UUID, written: str) -> StoredMessage | None:
    """Return a message of ours with this text of which nobody knows yet whether it was sent."""
    message_id = await session.scalar(text(BY_TEXT), {"conversation_id": conversation_id, "text": written})
    return None if message_id is None else await queries.get_message(session, message_id)


async def fold(
    session: Session,
    message: StoredMessage,
    told: DeliveryStatus,
    reason: str | None = None,
    refused: Refused | None = None,
) -> None:
    """Fold a report into a message of ours and settle what it proves about the sending.

    To an answer that turns out not to have arrived a person is called, unless the provider's reason
    for it needs none.
    """
    before = message.status
    await show(session, message, told, reason)
    await _settle(session, message, told)
    if message.effect_key is None or message.status == before or told is not DeliveryStatus.FAILED:
        return
    if refused is not None:
        await refusing.follow(session, message, refused)
    if refusing.calls_person(message, refused):
        await queries.mark_needs_person(session, message.conversation_id)


async def _settle(session: Session, message: StoredMessage, told: DeliveryStatus) -> None:
    proven = effect_of_status(told)
    if message.effect_key is not None and proven is not None:
        await settle_effect(session, key=message.effect_key, state=proven, provider_ref=message.provider_id)


async def show(
    session: Session,
    message: StoredMessage,
    told: DeliveryStatus,
    reason: str | None = None,
    *,
    provider_id: str | None = None,
) -> None:
    """Fold into a message of ours what is known already of its sending, and proves nothing new.

    `provider_id` is stored with it where it became known.
    """
    before = DeliveryStatus(message.status)
    now = folded(before, told)
    if now is not before:
        is_explained = now in {DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN}
        message.status, message.status_reason = now.value, reason if is_explained else None
    if provider_id is not None:
        message.provider_id = provider_id
    if now is not before or provider_id is not None:
        await queries.update_sending(session, message)
    if now is not before:
        await announcing.tell_status(session, message, before, now, reason)
    session.outbox.append(Changed(message.business_id, "conversation", message.conversation_id))


async def fold_result(
    session: Session,
    channel: MessageChannel,
    message: StoredMessage,
    result: EffectResult,
    refused: Refused | None = None,
) -> None:
    """Let a message of ours say what became of its sending.

    One that did not go out needs a person; so does, later, one of which nobody knows by then.
    """
    if result.provider_ref is not None and result.was_sent:
        await learn_provider_id(session, message, result.provider_ref, channel, is_settled=True)
        return
    if result.state is EffectState.UNKNOWN:
        await _ask_later(session, message)
    await fold(session, message, status_of_effect(result.state), result.reason, refused)


async def _ask_later(session: Session, message: StoredMessage) -> None:
    found = None if message.effect_key is None else await find_effect(session, message.effect_key)
    if message.effect_key is not None and found is not None:
        doubt = catalog.ReplyDoubted(message.effect_key, found.tries)
        await enqueue(session, doubt, business_id=message.business_id, due_in=DOUBT)


async def learn_provider_id(
    session: Session,
    message: StoredMessage,
    provider_id: str,
    channel: MessageChannel,
    *,
    is_settled: bool = False,
) -> None:
    """Store the provider's id of a message of ours, which was sent; fold what was reported under it before.

    That it was sent is older news than any report: one of them may say that it failed all the same.
    `is_settled` when its effect says so already.
    """
    if message.provider_id is not None:
        if message.status != DeliveryStatus.FAILED.value:
            await fold(session, message, DeliveryStatus.SENT)
        return
    await queries.lock_provider_id(session, message.channel_id, provider_id)
    receipts = receipt_event_ids(provider_id)
    before = await _came_before(session, message, provider_id, receipts)
    if before.mistaken_id is not None:
        await _replace(session, before.mistaken_id, message)
    await show(session, message, DeliveryStatus.SENT, provider_id=provider_id)
    if not is_settled:
        await _settle(session, message, DeliveryStatus.SENT)
    if before.has_changes:
        await make_own_early_changes(session, channel, message, provider_id)
    if before.has_receipts:
        await _fold_receipts(session, channel, message, receipts)


async def _came_before(
    session: Session, message: StoredMessage, provider_id: str, receipts: Sequence[str]
) -> Row[Any]:
    names = {
        "business_id": message.business_id,
        "channel_id": message.channel_id,
        "provider_id": provider_id,
        "receipts": receipts,
    }
    return (await session.execute(text(CAME_BEFORE), names)).one()


async def _fold_receipts(
    session: Session, channel: MessageChannel, message: StoredMessage, receipts: Sequence[str]
) -> None:
    for event in await inbox.list_events(session, message.channel_id, receipts):
        report = channel.read(event.payload)
        if report.status is not None:
            refused = refusing.read_report(report.details)
            await fold(session, message, report.status, report.details.get("reason"), refused)
            await inbox.close_event(session, event.id, "done", message_id=message.id)


async def _replace(session: Session, mistaken_id: UUID, ours: StoredMessage) -> None:
    names = {"ours": ours.id, "mistaken": mistaken_id}
    await session.execute(text(TAKE_OVER_EVENTS), names)
    await session.execute(text(TAKE_OVER_CHANGES), names)
    await queries.delete_message(session, mistaken_id)
    await session.execute(text(LIFT_PAUSE), {"conversation_id": ours.conversation_id})
