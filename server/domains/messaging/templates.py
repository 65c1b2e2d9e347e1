"""Words that are sent by name: a provider's templates, and the business's own quick replies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from server.db import Session, text
from server.domains import contacts
from server.domains.messaging.filling import (
    OWN,
    Filling,
    Template,
    in_order,
    not_approved,
    require_filled,
    used,
    words_of,
)
from server.domains.messaging.letters import LONGEST_TEXT, Letter
from server.errors import BadInputError
from server.ports import EventKind, TemplateStatus

MARKETING = "MARKETING"
MOST_OWN = 100
LONGEST_NAME = 60
NUMBER = re.compile(r"\{\{\s*(\d{1,2})\s*\}\}")
LIST = """
SELECT id, channel_id, name, language, category, status, reason, body, variables, names, header, buttons
FROM message_template
WHERE business_id = :business_id AND status <> 'ARCHIVED'
  AND (channel_id IS NULL OR cast(:conversation_id AS uuid) IS NULL
       OR channel_id = (SELECT channel_id FROM conversation WHERE id = cast(:conversation_id AS uuid)))
ORDER BY channel_id NULLS FIRST, status <> 'APPROVED', name, language LIMIT 300
"""
# By our id, as a page names it, or by its own name, as a program does.
READ = """
SELECT template.id, template.channel_id, template.name, language, category, status, reason, body, variables,
       names, header, buttons
FROM message_template AS template
JOIN conversation ON conversation.id = :conversation_id
WHERE template.business_id = :business_id AND status <> 'ARCHIVED'
  AND (template.id = cast(:id AS uuid) OR template.channel_id = conversation.channel_id
       AND template.name = cast(:name AS text) AND template.language = cast(:language AS text))
  AND (template.channel_id IS NULL OR template.channel_id = conversation.channel_id)
ORDER BY template.id LIMIT 1
"""
CONTACT = "SELECT contact_id FROM conversation WHERE id = :conversation_id ORDER BY id LIMIT 1"
ADD = """
INSERT INTO message_template (business_id, name, body)
SELECT cast(:business_id AS bigint), :name, :body WHERE (
    SELECT count(*) FROM message_template AS own
    WHERE own.business_id = cast(:business_id AS bigint) AND own.channel_id IS NULL) < cast(:most AS int)
ON CONFLICT (business_id, name) WHERE channel_id IS NULL DO UPDATE SET body = excluded.body
RETURNING id
"""
REMOVE = """
DELETE FROM message_template WHERE id = :id AND business_id = :business_id AND channel_id IS NULL
"""


async def list_templates(
    session: Session, business_id: int, conversation_id: UUID | None = None
) -> list[Template]:
    """Return the templates of a conversation's channel, or of all, after the business's quick replies."""
    names = {"business_id": business_id, "conversation_id": conversation_id}
    rows = await session.execute(text(LIST), names)
    return [Template(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def fill_template(
    session: Session, letter: Letter, template_id: UUID | None, filling: Filling
) -> Letter:
    """Return a letter that sends a template that is filled; a quick reply becomes its words.

    Raises BadInputError `template_invalid` for one that is not there, not approved, or not filled, and
    `opted_out` for advertising to somebody who wants none.
    """
    template = await _find(session, letter, template_id=template_id)
    if template is None:
        raise BadInputError("template_invalid", "There is no such template on this channel.")
    if template.status == OWN:
        values = [value.strip() for value in filling.body][: template.variables]
        if len(values) < template.variables or not all(values):
            raise BadInputError("template_invalid", f"Fill all {template.variables} variables.")
        return replace(letter, kind=EventKind.TEXT, text=fill(template.body, values))
    use = used(template, filling)
    require_filled(template, use)
    letter = replace(letter, kind=EventKind.TEMPLATE, text=words_of(template, use), template=use)
    return await _with_consent(session, letter, template)


async def check_template(session: Session, letter: Letter) -> Letter:
    """Return a program's letter with the words of its template, held against what the provider listed.

    One that we do not know, new as it may be, is left to the provider. Raises as `fill_template` does.
    """
    use = letter.template
    if use is None:
        return letter
    template = await _find(session, letter, name=use.name, language=use.language)
    if template is None:
        return letter
    if template.status == TemplateStatus.APPROVED:
        use = in_order(template, use)
        require_filled(template, use)
        letter = replace(letter, template=use, text=letter.text or words_of(template, use))
    elif template.status != TemplateStatus.UNSUPPORTED:
        raise not_approved(template)
    return await _with_consent(session, letter, template)


async def _find(
    session: Session, letter: Letter, *, template_id: UUID | None = None, name: str = "", language: str = ""
) -> Template | None:
    told = {"business_id": letter.business_id, "conversation_id": letter.conversation_id}
    names = told | {"id": template_id, "name": name or None, "language": language}
    row = (await session.execute(text(READ), names)).first()
    return None if row is None else Template(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name


async def _with_consent(session: Session, letter: Letter, template: Template) -> Letter:
    """Mark advertising as such: whoever wants none gets none, also if they say so before it goes out."""
    if template.category != MARKETING:
        return letter
    contact_id = await session.scalar(text(CONTACT), {"conversation_id": letter.conversation_id})
    if contact_id is not None and not await contacts.may_market(session, contact_id):
        raise BadInputError("opted_out", "This contact wants no marketing: nothing was sent.")
    return replace(letter, details={**letter.details, "marketing": True})


async def add_quick_reply(session: Session, business_id: int, *, name: str, body: str) -> UUID:
    """Keep a quick reply; one of the same name gets the new words. Raises BadInputError."""
    name, body = name.strip(), body.strip()
    if not name or not body or len(name) > LONGEST_NAME or len(body) > LONGEST_TEXT or "\x00" in name + body:
        raise BadInputError("template_invalid", "A quick reply has a name of 1 to 60 letters, and words.")
    added: UUID | None = await session.scalar(
        text(ADD), {"business_id": business_id, "name": name, "body": body, "most": MOST_OWN}
    )
    if added is None:
        raise BadInputError("template_invalid", f"There are {MOST_OWN} already: remove one first.")
    return added


async def remove_quick_reply(session: Session, business_id: int, template_id: UUID) -> None:
    """Forget a quick reply; one that is gone already is fine."""
    await session.execute(text(REMOVE), {"id": template_id, "business_id": business_id})


def fill(body: str, variables: Sequence[str]) -> str:
    """Return a quick reply with its variables in place; what a value holds is not filled again."""
    return NUMBER.sub(lambda found: _value(found, variables), body)


def _value(found: re.Match[str], variables: Sequence[str]) -> str:
    place = int(found[1])
    return variables[place - 1] if 1 <= place <= len(variables) else found[0]
