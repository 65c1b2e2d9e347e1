"""Words that are sent by name: a provider's templates, and the business's own quick replies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import text

from server.db import Session
from server.domains.messaging.letters import LONGEST_TEXT, Letter, TemplateUse
from server.errors import BadInputError
from server.ports import EventKind, TemplateStatus

OWN = "own"
MOST_OWN = 100
LONGEST_NAME = 60
VARIABLE = re.compile(r"\{\{\s*(\d{1,2})\s*\}\}")
LIST = """
SELECT id, channel_id, name, language, category, status, reason, body, variables FROM message_template
WHERE business_id = :business_id AND status <> 'ARCHIVED'
  AND (channel_id IS NULL OR cast(:conversation_id AS uuid) IS NULL
       OR channel_id = (SELECT channel_id FROM conversation WHERE id = cast(:conversation_id AS uuid)))
ORDER BY channel_id NULLS FIRST, status <> 'APPROVED', name, language LIMIT 300
"""
READ = """
SELECT template.id, template.channel_id, name, language, category, status, reason, body, variables
FROM message_template AS template
JOIN conversation ON conversation.id = :conversation_id
WHERE template.id = :id AND template.business_id = :business_id
  AND (template.channel_id IS NULL OR template.channel_id = conversation.channel_id)
ORDER BY template.id LIMIT 1
"""
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


@dataclass(frozen=True)
class Template:
    """One template; `variables` says how many `{{1}}` its body has. A quick reply's status is own."""

    id: UUID
    channel_id: UUID | None
    name: str
    language: str
    category: str
    status: str
    reason: str | None
    body: str
    variables: int

    @property
    def is_own(self) -> bool:
        """Tell whether it is a quick reply of the business's own."""
        return self.status == OWN

    @property
    def may_be_sent(self) -> bool:
        """Tell whether its provider lets it out."""
        return self.status in {OWN, TemplateStatus.APPROVED}


async def list_templates(
    session: Session, business_id: int, conversation_id: UUID | None = None
) -> list[Template]:
    """Return the templates of a conversation's channel, or of all, after the business's quick replies."""
    names = {"business_id": business_id, "conversation_id": conversation_id}
    rows = await session.execute(text(LIST), names)
    return [Template(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def fill_template(
    session: Session, letter: Letter, template_id: UUID | None, variables: Sequence[str]
) -> Letter:
    """Return a letter that sends a template with its variables filled; a quick reply becomes its words.

    Raises BadInputError `template_invalid` for one that is not there, not approved, or not filled.
    """
    row = None
    if template_id is not None:
        names = {
            "id": template_id,
            "business_id": letter.business_id,
            "conversation_id": letter.conversation_id,
        }
        row = (await session.execute(text(READ), names)).first()
    if row is None:
        raise BadInputError("template_invalid", "There is no such template on this channel.")
    template = Template(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name
    filled = [value.strip() for value in variables][: template.variables]
    if not template.may_be_sent:
        raise BadInputError("template_invalid", f"WhatsApp has not approved the template {template.name}.")
    if len(filled) < template.variables or not all(filled):
        raise BadInputError("template_invalid", f"Fill all {template.variables} variables.")
    words = fill(template.body, filled)
    if template.status == OWN:
        return replace(letter, kind=EventKind.TEXT, text=words)
    used = TemplateUse(template.name, template.language, tuple(filled))
    return replace(letter, kind=EventKind.TEMPLATE, text=words, template=used)


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
    """Return a template's body with its variables in place; what a value holds is not filled again."""
    return VARIABLE.sub(lambda found: _value(found, variables), body)


def _value(found: re.Match[str], variables: Sequence[str]) -> str:
    place = int(found[1])
    return variables[place - 1] if 1 <= place <= len(variables) else found[0]
