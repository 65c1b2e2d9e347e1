"""Answering a customer: decide, draft outside any transaction, decide again, send once.

The conversation's row is locked while it is decided, so of several messages handled at once the
newest is answered; a draft that went stale is dropped where it would have been recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from server.db import Session
from server.domains import assistant, contacts
from server.domains.messaging import consents, inbox, own, queries, standing, suggesting
from server.domains.messaging.changing import customer_of, takes_back, was_taken_back
from server.domains.messaging.delivering import Parcel, Route, deliver, find_route
from server.domains.messaging.intake import Question
from server.domains.messaging.marking import Mark, read_mark, shown
from server.domains.messaging.queries import Said
from server.domains.messaging.rules import (
    CAME_LATE,
    OVERTAKEN,
    TAKEN_OVER,
    Standing,
    Way,
    is_takeover,
    reply_key,
    way_of,
    why_silent,
)
from server.domains.messaging.stored import StoredMessage
from server.domains.messaging.telling import Told, read_told, turns
from server.log import get_logger
from server.ports import ChannelEvent, ChatTurn, DeliveryStatus, OutgoingText, Outside
from server.queue import Changed, Run, abandon_effect, find_effect, plan_effect

log = get_logger(__name__)

TOLD_TO_WAIT = "not answered again: the customer knows that a person will answer"
NOTHING_TO_SAY = "not answered: the assistant had nothing to say"


@dataclass(frozen=True)
class Decided:
    """What becomes of a message: an answer is drafted from what is `told`, or one goes out that is `ready`.

    Neither where it stays without an answer.
    """

    told: Told | None = None
    mark: Mark | None = None
    ready: Ready | None = None


async def decide(run: Run, session: Session, question: Question) -> Decided:
    """Decide what a customer's message gets, whatever runs before this one have done."""
    reply = await queries.find_reply(session, question.message_id)
    if reply is None or await _is_unsent(session, question):
        silence = await why_silent_now(session, run.outside, question, lane=_lane_of(run))
        if silence is not None:
            await stay_silent(session, question, reply, silence)
            return Decided()
        if reply is not None:
            await queries.queue_again(session, reply.id)
            await _plan(session, run, question)
    if reply is not None:
        return Decided(ready=await _make_ready(run, session, question, reply))
    told = await read_told(session, question, has_model=run.outside.model is not None)
    return Decided(told, await read_mark(session, run.outside, question))


async def answer(
    run: Run, question: Question, decided: Decided, toolboxes: assistant.Toolboxes | None = None
) -> None:
    """Answer a customer's message as it was decided, at most once.

    Raises ProviderDownError when the provider took nothing and the sending may be tried again.
    """
    ready = decided.ready
    if decided.told is not None:
        async with shown(decided.mark):
            ready = await _draft(run, question, decided.told, toolboxes)
    if ready is not None:
        await _send(run, question, ready)


async def _draft(
    run: Run, question: Question, told: Told, toolboxes: assistant.Toolboxes | None
) -> Ready | None:
    draft = await _confirm(run, question, told) or await _ask(run, question, told.asked, told, toolboxes)
    if draft.hands_over and draft.model is None and (alone := turns(told.history)) != told.asked:
        # Several lines may ask several things: the newest alone may be one that the entries answer.
        second = await _ask(run, question, alone)
        draft = draft if second.hands_over else replace(second, spent=draft.spent, trouble=draft.trouble)
    async with run.step() as session:
        silence = await why_silent_now(session, run.outside, question, lane=_lane_of(run))
        await assistant.note_draft(session, question.business_id, draft, question.message_id)
        silence = silence or await _why_useless(session, question, draft)
        if silence is not None:
            log.info("draft_dropped", message_id=str(question.message_id), why=silence)
            await stay_silent(session, question, None, silence)
            return None
        if draft.needs_approval if told.needs_approval is None else told.needs_approval:
            await suggesting.suggest(session, question, draft)
            return None
        await _plan(session, run, question)
        return await _make_ready(run, session, question, await _record(session, question, draft))


async def _confirm(run: Run, question: Question, told: Told) -> assistant.Draft | None:
    """Return the one sentence that answers a message about marketing: nothing is asked of the assistant."""
    said = told.history[-1].text if told.history else None
    if contacts.consent_in(said) is None:
        return None
    async with run.step() as session:
        words = await consents.confirmation(session, question.event_id, said)
    return None if words is None else assistant.Draft(words)


async def _ask(
    run: Run,
    question: Question,
    history: Sequence[ChatTurn],
    told: Told | None = None,
    toolboxes: assistant.Toolboxes | None = None,
) -> assistant.Draft:
    """Ask the assistant, with a model and its tools where there is something `told` for them."""
    return await assistant.draft_reply(
        run.database,
        run.outside.model if told else None,
        business_id=question.business_id,
        history=history,
        kind=question.kind,
        facts=told.facts if told else assistant.Facts(),
        toolbox=toolboxes(run, told.occasion) if told and toolboxes else None,
        briefing=told.briefing if told else None,
    )


@dataclass(frozen=True)
class Place:
    """Where a job stands: what comes after it in its lane is newer."""

    lane: str
    job_id: str


def _lane_of(run: Run) -> Place | None:
    return None if run.claim.lane is None else Place(run.claim.lane, run.job_id)


async def why_silent_now(
    session: Session, outside: Outside, question: Question, *, lane: Place | None
) -> str | None:
    """Lock the conversation and return why its message must not be answered now, if so."""
    await queries.lock_conversation(session, question.conversation_id)
    place = (lane.lane, lane.job_id) if lane else (None, None)
    endings = outside.channels[question.channel_kind].lane_endings
    found = await standing.read_standing(
        session, question.message_id, lane=place[0], job_id=place[1], lane_endings=endings
    )
    silence = why_silent(found)
    if silence is not None or lane is None or not found.followed_in:
        return silence
    return await _why_followed(session, outside, question, lane, found)


async def _why_followed(
    session: Session, outside: Outside, question: Question, place: Place, found: Standing
) -> str | None:
    """Return why something that waits makes answering a message wrong, if so."""
    before: list[ChannelEvent] = []
    for waiting in await inbox.list_waiting(
        session,
        found.followed_in,
        lane=place.lane,
        job_id=place.job_id,
        position=question.position,
    ):
        channel = outside.channels[waiting.channel_kind]
        event = channel.read(waiting.payload)
        silence = await _why_overtaken(session, question, waiting, event)
        # One that was deleted before it came gets no answer: it must not cost this one its own.
        if silence is not None and not (
            await _is_elses(session, waiting, event, place, found)
            or any(takes_back(change, event) for change in before)
            or await was_taken_back(session, channel, waiting, event)
        ):
            return silence
        before.append(event)
    return None


async def _is_elses(
    session: Session, waiting: inbox.StoredEvent, event: ChannelEvent, place: Place, found: Standing
) -> bool:
    """Tell whether an event of another lane will be another contact's, though its lane has this one's name.

    A person may have said that two who share a name are not one.
    """
    if f"{waiting.channel_id}:{waiting.lane}" == place.lane:
        return False
    return not await contacts.leads_to(session, waiting.business_id, customer_of(event), found.contact_id)


async def _why_overtaken(
    session: Session, question: Question, waiting: inbox.StoredEvent, event: ChannelEvent
) -> str | None:
    """Return why an event that waits behind a message makes answering that message wrong, if so."""
    match way_of(event):
        case Way.CUSTOMER if event.may_be_answered:
            return OVERTAKEN
        case Way.OWN if is_takeover(event):
            ours = await own.find_own(session, waiting, event.provider_id)
            if ours is None and event.text:
                ours = await own.find_unconfirmed(session, question.conversation_id, event.text)
            return TAKEN_OVER if ours is None else None
        case _:
            return None


async def _why_useless(session: Session, question: Question, draft: assistant.Draft) -> str | None:
    """Return why a draft would help nobody; a conversation that needs a person is marked all the same."""
    if draft.hands_over and await standing.was_told_to_wait(session, question.conversation_id):
        return TOLD_TO_WAIT
    if not draft.text.strip():
        await queries.mark_needs_person(session, question.conversation_id)
        return NOTHING_TO_SAY
    return None


async def stay_silent(
    session: Session, question: Question, reply: StoredMessage | None, silence: str
) -> None:
    """Deal with a message without answering it; a reply that was recorded and never sent is called off.

    To one that came late a person is called: the answer that went out did not know of it.
    """
    if reply is not None and await abandon_effect(
        session, key=reply_key(question.message_id), reason=silence
    ):
        await queries.delete_message(session, reply.id)
    if silence == CAME_LATE:
        await queries.mark_needs_person(session, question.conversation_id)
    await inbox.close_event(session, question.event_id, "done", silence)
    session.outbox.append(Changed(question.business_id, "conversation", question.conversation_id))


async def _record(session: Session, question: Question, draft: assistant.Draft) -> StoredMessage:
    details: dict[str, Any] = {"model": draft.model, "cost_micro": draft.spent.cost_micro}
    details |= ({"hands_over": True} if draft.hands_over else {}) | (
        {"tools": draft.deeds} if draft.deeds else {}
    )
    reply = await queries.insert_reply(
        session,
        Said(
            business_id=question.business_id,
            conversation_id=question.conversation_id,
            channel_id=question.channel_id,
            direction="out",
            author="assistant",
            kind="text",
            text=draft.text,
            status=DeliveryStatus.QUEUED.value,
            details=details | {"input_tokens": draft.input_tokens, "output_tokens": draft.output_tokens},
            answers_message_id=question.message_id,
            effect_key=reply_key(question.message_id),
            sources=draft.sources,
        ),
    )
    if draft.hands_over:
        await queries.mark_needs_person(session, question.conversation_id)
    session.outbox.append(Changed(question.business_id, "conversation", question.conversation_id))
    return reply


async def _plan(session: Session, run: Run, question: Question) -> None:
    await plan_effect(
        session,
        key=reply_key(question.message_id),
        business_id=question.business_id,
        provider=question.channel_kind,
        job_id=run.job_id,
    )


async def _is_unsent(session: Session, question: Question) -> bool:
    found = await find_effect(session, reply_key(question.message_id))
    return found is not None and found.is_unsent


@dataclass(frozen=True)
class Ready:
    """An answer that is recorded and planned, with how it goes out."""

    parcel: Parcel
    outgoing: OutgoingText
    route: Route


async def _make_ready(run: Run, session: Session, question: Question, reply: StoredMessage) -> Ready:
    parcel = Parcel(
        conversation_id=question.conversation_id,
        channel_id=question.channel_id,
        channel_kind=question.channel_kind,
        message_id=reply.id,
        effect_key=reply_key(question.message_id),
        address=question.address,
    )
    outgoing = OutgoingText(reply.text or "")
    return Ready(parcel, outgoing, await find_route(run, session, parcel, outgoing))


async def _send(run: Run, question: Question, ready: Ready) -> None:
    async def close(session: Session) -> None:
        await inbox.close_event(session, question.event_id, "done")

    await deliver(run, ready.parcel, ready.outgoing, ready.route, also=close)
