"""Asking for a message to be sent: by a person in the inbox, or by a program of the business's own.

What is asked for is stored and its job asked for in one transaction. The job goes in the lane of the
conversation, behind what the customer wrote before, so that a draft in the making is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from server import clock
from server.db import Session, text
from server.domains import media
from server.domains.messaging import queries, sendings, takeover
from server.domains.messaging.queries import Said
from server.domains.messaging.refusing import is_capped_still
from server.domains.messaging.rules import PauseReason, message_key
from server.domains.messaging.stored import StoredMessage
from server.errors import BadInputError
from server.ports import ButtonValue, DeliveryStatus, EventKind
from server.queue import Changed, EffectState, catalog, enqueue, find_effect, own_jobs

LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024
MOST_VARIABLES = 50
SENT_FILES = frozenset(
    {EventKind.IMAGE, EventKind.VIDEO, EventKind.DOCUMENT, EventKind.AUDIO, EventKind.VOICE}
)
WORDLESS = frozenset({EventKind.AUDIO.value, EventKind.VOICE.value})
# The lane of what the customer wrote last; a conversation whose events are forgotten has its address's.
TARGET = """
SELECT conversation.id, conversation.business_id, conversation.channel_id, conversation.address,
       (SELECT event.lane FROM message JOIN inbox_event AS event
            ON event.business_id = message.business_id AND event.channel_id = message.channel_id
           AND event.event_id = message.provider_id
        WHERE message.conversation_id = conversation.id AND message.direction = 'in'
        ORDER BY message.position DESC LIMIT 1) AS lane
FROM conversation
WHERE conversation.id = live_conversation(:conversation_id) AND conversation.business_id = :business_id
ORDER BY conversation.id LIMIT 1
"""
# What was changed on the owner's phone since was asked for in other words.
ASKED_BEFORE = """
SELECT id, text IS NOT DISTINCT FROM cast(:text AS text) OR details ?| ARRAY['edited', 'deleted'] AS is_same
FROM message WHERE business_id = :business_id AND client_key = :client_key ORDER BY id LIMIT 1
"""
TOUCH = """
UPDATE conversation SET last_message_at = greatest(last_message_at, now()), read_position = greatest(
    read_position, (SELECT position FROM message WHERE id = :message_id)) WHERE id = :conversation_id
"""
SEND_AGAIN = """
UPDATE message SET status = 'queued', status_reason = NULL, status_at = now(), effect_key = :effect_key,
                   details = details - 'refusal' || jsonb_build_object('tries', cast(:tries AS int))
WHERE id = :message_id
"""


@dataclass(frozen=True)
class TemplateUse:
    """A template with what fills it: see `ports.OutgoingTemplate`; `file_kind` is what its header shows."""

    name: str
    language: str
    body: Sequence[str] = ()
    names: Sequence[str] = ()
    header: str | None = None
    header_name: str | None = None
    file_kind: str | None = None
    buttons: Sequence[ButtonValue] = ()

    @property
    def stored(self) -> dict[str, Any]:
        """Return what is kept of it with its message."""
        told = asdict(self) | {"body": list(self.body)[:MOST_VARIABLES]}
        return {name: value for name, value in told.items() if value or name == "body"}


@dataclass(frozen=True)
class Link:
    """A file that is fetched from an address before its message is sent, as what it is unless as a `kind`."""

    url: str
    kind: str | None = None
    file_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One thing that somebody wants sent: words, a file, a template or a reaction.

    `client_key` is the asker's own name for it: the same key again is the same message. `author` is
    person, api, or assistant for what a person approved; only a person takes the conversation over.
    `quotes` and `reacts_to` are messages by our own ids; a file is named by the id of its upload, or by its
    address: such a letter is sent once its file is there.
    """

    business_id: int
    conversation_id: UUID
    client_key: str
    text: str | None = None
    kind: EventKind = EventKind.TEXT
    author: str = "person"
    user_id: UUID | None = None
    user_name: str | None = None
    quotes: UUID | None = None
    reacts_to: UUID | None = None
    template: TemplateUse | None = None
    media_id: UUID | None = None
    link: Link | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    sources: Sequence[Mapping[str, str]] = ()


async def ask_to_send(session: Session, letter: Letter) -> UUID:
    """Store a message that is to be sent and ask for its job; return its id, the same for the same key.

    A person who writes takes the conversation over. Raises BadInputError with a stable code:
    text_missing, text_too_long, conversation_unknown, message_unknown, template_invalid, media_missing,
    caption_invalid, and key_reused for other words under a key that was used.
    """
    check(letter)
    target = await _find_target(session, letter.business_id, letter.conversation_id)
    letter = replace(letter, conversation_id=target.id)
    await queries.lock_conversation(session, letter.conversation_id)
    known = await _find_asked(session, letter)
    if known is not None:
        return known
    message_id = (await queries.insert_reply(session, await _said(session, letter, target))).id
    await sendings.name_effect(session, message_id, message_key(message_id, 1))
    if letter.media_id is not None and await media.attach(session, letter.media_id, message_id) is None:
        raise media_missing()
    if letter.author == "person" and letter.kind is not EventKind.REACTION:
        await takeover.hand_to_person(session, letter.conversation_id, PauseReason.INBOX, letter.user_id)
    await session.execute(text(TOUCH), {"message_id": message_id, "conversation_id": letter.conversation_id})
    if letter.link is None:
        await _enqueue(session, target, message_id, tries=1)
        return message_id
    kind, name = letter.link.kind or EventKind.DOCUMENT.value, letter.link.file_name
    await media.expect_link(session, letter.business_id, message_id, kind=kind, file_name=name)
    session.outbox.append(Changed(letter.business_id, "conversation", letter.conversation_id))
    return message_id


async def go_on(session: Session, business_id: int, message_id: UUID) -> None:
    """Have a message sent whose file is there now."""
    message = await queries.get_message(session, message_id)
    if message is not None and message.status == DeliveryStatus.QUEUED.value:
        target = await _find_target(session, business_id, message.conversation_id)
        await _enqueue(session, target, message_id, tries=int(message.details.get("tries", 1)))


async def send_again(
    session: Session, business_id: int, message_id: UUID, *, though_unknown: bool = False
) -> bool:
    """Send a message again that is proved not to have gone out; tell whether it will be.

    One of which nobody knows goes again only when `though_unknown`: the customer may get it twice. Raises
    BadInputError `too_early` within a day of Meta's holding back marketing from this customer.
    """
    message = await _lock_own(session, business_id, message_id)
    if message is None or message.effect_key is None or not is_letter(message):
        return False
    found = await find_effect(session, message.effect_key)
    is_unsent = found is None or found.is_unsent
    is_unknown = found is not None and found.result.state is EffectState.UNKNOWN
    if not (message.status == DeliveryStatus.FAILED.value or (is_unknown and though_unknown)):
        return False
    if is_capped_still(message, clock.utc_now()):
        raise BadInputError("too_early", "Meta holds marketing back from this customer: try a day later.")
    if is_unknown and not (though_unknown and await own_jobs.abandon(session, message.effect_key)):
        return False
    tries = int(message.details.get("tries", 1)) + 1
    # What never went out keeps its key: the ledger then stands between this try and any of before.
    effect_key = message.effect_key if is_unsent else message_key(message_id, tries)
    await session.execute(
        text(SEND_AGAIN), {"message_id": message_id, "effect_key": effect_key, "tries": tries}
    )
    if "link" in message.details and await media.link_again(session, business_id, message_id):
        session.outbox.append(Changed(business_id, "conversation", message.conversation_id))
        return True
    target = await _find_target(session, business_id, message.conversation_id)
    await _enqueue(session, target, message_id, tries=tries)
    return True


async def mark_sent(session: Session, business_id: int, message_id: UUID) -> bool:
    """Record that a person found out that a message went out; tell whether that was unknown."""
    message = await _lock_own(session, business_id, message_id)
    if message is None or message.effect_key is None:
        return False
    return await own_jobs.settle(session, business_id, message.effect_key, EffectState.CONFIRMED)


def is_letter(message: StoredMessage) -> bool:
    """Tell whether somebody asked for a message; an answer belongs to the event that it answers."""
    return (message.effect_key or "").startswith("message:")


def check(letter: Letter) -> None:
    """Raise BadInputError where a letter says nothing that can be sent."""
    if letter.kind is EventKind.TEXT and not (letter.text or "").strip():
        raise BadInputError("text_missing", "There is nothing to send: write something first.")
    if len(letter.text or "") > LONGEST_TEXT:
        raise BadInputError("text_too_long", f"A message has at most {LONGEST_TEXT} characters.")
    if "\x00" in (letter.text or ""):
        raise BadInputError("text_invalid", "A message cannot hold the character NUL.")
    if letter.kind is EventKind.TEMPLATE and letter.template is None:
        raise BadInputError("template_invalid", "Say which template is to be sent.")
    has_file = letter.media_id is not None or letter.link is not None
    if letter.kind in SENT_FILES and not has_file:
        raise media_missing()
    if letter.template is not None and has_file != (letter.template.file_kind is not None):
        told = f"needs a file: {letter.template.file_kind}" if not has_file else "takes no file"
        raise BadInputError("template_invalid", f"The header of the template {letter.template.name} {told}.")
    if letter.kind is EventKind.REACTION and letter.reacts_to is None:
        raise BadInputError("message_unknown", "Say which message the reaction belongs to.")


def why_not_with(kind: str, words: str | None) -> str | None:
    """Return why words cannot go with a file of a kind, None where they can."""
    if words and kind in WORDLESS:
        return "WhatsApp sends no words with a sound: send them by themselves"
    if words and len(words) > LONGEST_CAPTION:
        return f"the words with a file have at most {LONGEST_CAPTION} characters"
    return None


def media_missing() -> BadInputError:
    """Return the refusal of a letter whose file is not there, or belongs to another message."""
    return BadInputError("media_missing", "Say which file is to be sent: choose it again.")


async def _find_target(session: Session, business_id: int, conversation_id: UUID) -> Row[Any]:
    names = {"business_id": business_id, "conversation_id": conversation_id}
    target = (await session.execute(text(TARGET), names)).first()
    if target is None:
        raise BadInputError("conversation_unknown", "There is no such conversation.")
    return target


async def _find_asked(session: Session, letter: Letter) -> UUID | None:
    names = {"business_id": letter.business_id, "client_key": letter.client_key, "text": letter.text}
    found = (await session.execute(text(ASKED_BEFORE), names)).first()
    if found is None:
        return None
    if not found.is_same:
        raise BadInputError("key_reused", "Under this name something else was sent: take a new one.")
    message_id: UUID = found.id
    return message_id


async def _said(session: Session, letter: Letter, target: Row[Any]) -> Said:
    details, kind = dict(letter.details), letter.kind.value
    if letter.user_name:
        details["by"] = letter.user_name
    if letter.template is not None:
        details["template"] = letter.template.stored
    if letter.link is not None:
        details["link"] = asdict(letter.link)
        kind = kind if letter.template else letter.link.kind or EventKind.DOCUMENT.value
        _require_words_for(kind, letter)
    if letter.media_id is not None:
        kind = await _kind_with_file(session, letter, letter.media_id)
    if letter.reacts_to is not None:
        details["target"] = await _provider_id(session, letter, letter.reacts_to)
    quoted = None if letter.quotes is None else await _provider_id(session, letter, letter.quotes)
    return Said(
        business_id=letter.business_id,
        conversation_id=letter.conversation_id,
        channel_id=target.channel_id,
        direction="out",
        author=letter.author,
        kind=kind,
        text=letter.text,
        status=DeliveryStatus.QUEUED.value,
        details=details,
        quoted_provider_id=quoted,
        client_key=letter.client_key,
        sources=letter.sources,
    )


async def _kind_with_file(session: Session, letter: Letter, media_id: UUID) -> str:
    """Return as what a letter with a file goes: what the file is, and not what it was called."""
    file = await media.get_file(session, media_id)
    if file is None:
        raise media_missing()
    if letter.template is not None:
        if letter.template.file_kind not in {file.kind, EventKind.DOCUMENT.value}:
            wanted = f"The template {letter.template.name} shows a file: {letter.template.file_kind}."
            raise BadInputError("template_invalid", wanted)
        return letter.kind.value
    _require_words_for(file.kind, letter)
    return file.kind


def _require_words_for(kind: str, letter: Letter) -> None:
    if letter.template is None and (why_not := why_not_with(kind, letter.text)):
        raise BadInputError("caption_invalid", f"Nothing was sent: {why_not}.")


async def _provider_id(session: Session, letter: Letter, message_id: UUID) -> str:
    message = await queries.get_message(session, message_id)
    if message is None or message.conversation_id != letter.conversation_id or message.provider_id is None:
        raise BadInputError("message_unknown", "The message that this belongs to is not known to WhatsApp.")
    return message.provider_id


async def _enqueue(session: Session, target: Row[Any], message_id: UUID, *, tries: int) -> None:
    await enqueue(
        session,
        catalog.MessageSend(message_id, tries),
        business_id=target.business_id,
        lane=f"{target.channel_id}:{target.lane or target.address}",
    )
    session.outbox.append(Changed(target.business_id, "conversation", target.id))


async def _lock_own(session: Session, business_id: int, message_id: UUID) -> StoredMessage | None:
    message = await queries.get_message(session, message_id)
    if message is None or message.business_id != business_id:
        return None
    await queries.lock_conversation(session, message.conversation_id)
    return await sendings.lock_message(session, message_id)
