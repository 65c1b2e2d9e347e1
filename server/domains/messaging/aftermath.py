"""What people see of an answer that no run brought to its end: given up, settled afterwards, or in doubt."""

from __future__ import annotations

from uuid import UUID

from server.db import Session
from server.domains.messaging import inbox, own, queries, sendings, standing
from server.domains.messaging.answering import Place, stay_silent, why_silent_now
from server.domains.messaging.intake import Question, find_question, take
from server.domains.messaging.rules import NOBODY_KNOWS, NOT_GONE_OUT, reply_key, why_given_up
from server.domains.messaging.stored import StoredMessage
from server.errors import Snooze
from server.log import get_logger
from server.ports import DeliveryStatus, MessageChannel
from server.queue import (
    Changed,
    EffectResult,
    EffectState,
    GivenUp,
    Run,
    abandon_effect,
    find_effect,
    give_up_effects,
    is_left,
)

log = get_logger(__name__)

# How soon to look again at a sending whose job is at work on it, and will say itself what became of it;
# each time a little later, for a paused job may be at it for days.
AT_WORK_WAIT_S = 5.0
LONGEST_WAIT_S = 600.0


async def give_up_event(run: Run, session: Session, event_id: UUID, given_up: GivenUp) -> None:
    """Keep what an event says, and let a person see that its customer was not answered by its job.

    All that follows from it except an answer is done, so what is no customer's message ends here as
    it would have; so does a message that needs no answer any more. The event stays stored: its job
    may be run again. A second time changes nothing.
    """
    question = await find_question(session, event_id) or await take(session, run.outside.channels, event_id)
    if question is None:
        return
    await queries.lock_conversation(session, question.conversation_id)
    await queries.mark_given_up(session, question.message_id)
    key, reason = reply_key(question.message_id), why_given_up(given_up.state)
    # The message before its effect, as whoever reads a receipt locks them.
    reply = await queries.lock_reply(session, question.message_id)
    await give_up_effects(session, given_up.job_id, reason=reason)
    # The code before this planned effects without their job.
    await abandon_effect(session, key=key, reason=reason)
    found = await find_effect(session, key)
    if reply is None or found is None or found.is_unsent:
        lane = None if given_up.lane is None else Place(given_up.lane, given_up.job_id)
        silence = await why_silent_now(session, run.outside, question, lane=lane)
        if silence is not None:
            await stay_silent(session, question, reply, silence)
            return
    if reply is not None and found is not None:
        channel = run.outside.channels[question.channel_kind]
        await _show(session, channel, reply, found.result, reason if found.is_unsent else NOBODY_KNOWS)
        if found.result.was_sent:
            await inbox.close_event(session, event_id, "done")
            return
    await _call_person(session, question, reason)


async def _call_person(session: Session, question: Question, reason: str) -> None:
    log.warning("customer_not_answered", message_id=str(question.message_id), why=reason)
    await queries.mark_needs_person(session, question.conversation_id)
    await inbox.note_event(session, question.event_id, reason)
    session.outbox.append(Changed(question.business_id, "conversation", question.conversation_id))


async def show_settled(run: Run, key: str) -> None:
    """Let the message that hangs on an effect say how that was settled; a second time changes nothing.

    Raises Snooze while the effect's job is at work: a run of it may send, and says itself what it did.
    """
    async with run.completing() as session:
        found, conversation_id = await find_effect(session, key), await sendings.find_sending(session, key)
        if found is None or conversation_id is None:
            return
        if found.job_id is not None and not await is_left(session, found.job_id):
            raise Snooze(
                "the job of this effect is at work", for_s=min(AT_WORK_WAIT_S * run.token, LONGEST_WAIT_S)
            )
        await queries.lock_conversation(session, conversation_id)
        message = await sendings.get_sending(session, key)
        found = await find_effect(session, key)
        if message is None or found is None:
            return
        await _settle(session, run.outside.channels[found.provider], message, found.result)


async def call_if_in_doubt(run: Run, key: str, tries: int) -> None:
    """Call a person to an answer that nothing has settled since this try; a second time changes nothing.

    Nobody is called to a conversation that went on: a person wrote, or a later answer went out.
    """
    async with run.completing() as session:
        conversation_id = await sendings.find_sending(session, key)
        if conversation_id is None:
            return
        await queries.lock_conversation(session, conversation_id)
        # The message before its effect, as whoever reads a receipt locks them.
        message, found = await sendings.lock_sending(session, key), await find_effect(session, key)
        if message is None or found is None or found.tries != tries:
            return
        if not _is_in_doubt(message, found.result) or await standing.went_on(session, message.id):
            return
        log.warning("reply_in_doubt", message_id=str(message.id), why=found.result.reason)
        await queries.mark_needs_person(session, conversation_id)
        message.status, message.status_reason = DeliveryStatus.UNKNOWN.value, NOBODY_KNOWS
        await queries.update_sending(session, message)
        session.outbox.append(Changed(message.business_id, "conversation", conversation_id))


def _is_in_doubt(message: StoredMessage, result: EffectResult) -> bool:
    is_unknown = result.state is EffectState.UNKNOWN and message.status == DeliveryStatus.UNKNOWN.value
    # Only a call to a person leaves this reason on a message that is unknown.
    return is_unknown and message.status_reason != NOBODY_KNOWS


async def _settle(
    session: Session, channel: MessageChannel, message: StoredMessage, result: EffectResult
) -> None:
    match result.state:
        case EffectState.PLANNED | EffectState.SENDING | EffectState.UNKNOWN:
            return
        case EffectState.SENT | EffectState.CONFIRMED:
            if message.answers_message_id is not None:
                await inbox.close_answered(session, message.answers_message_id)
        case EffectState.FAILED | EffectState.NOT_SENT | EffectState.ABANDONED:
            await queries.mark_needs_person(session, message.conversation_id)
    is_known = result.state is EffectState.NOT_SENT
    await _show(session, channel, message, result, NOT_GONE_OUT if is_known else NOBODY_KNOWS)


async def _show(
    session: Session,
    channel: MessageChannel,
    message: StoredMessage,
    result: EffectResult,
    unsent_because: str,
) -> None:
    match result.state:
        case EffectState.SENT | EffectState.CONFIRMED:
            if result.provider_ref is None:
                await own.show(session, message, DeliveryStatus.SENT)
            else:
                await own.learn_provider_id(session, message, result.provider_ref, channel)
        case EffectState.UNKNOWN:
            await own.show(session, message, DeliveryStatus.UNKNOWN, result.reason)
        case EffectState.FAILED:
            await own.show(session, message, DeliveryStatus.FAILED, result.reason)
        case EffectState.NOT_SENT | EffectState.ABANDONED:
            await own.show(session, message, DeliveryStatus.FAILED, unsent_because)
        case EffectState.PLANNED | EffectState.SENDING:
            raise AssertionError("an effect is at work though nobody may run its job")
