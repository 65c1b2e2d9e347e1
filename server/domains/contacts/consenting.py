"""The consent ledger: who may be sent marketing, by what they said, where and in which words."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from server.db import Session, text
from server.domains.contacts import queries
from server.domains.contacts.leads import record

LONGEST_WORDING = 1000
GRANTED, WITHDRAWN = "granted", "withdrawn"
CONSENTS = (GRANTED, WITHDRAWN)
# Through what it was said; a merge withdraws for both where one of the two had.
CONSENT_SOURCES = ("message", "provider", "refusal", "form", "import", "member", "merge")

NOTE = """
INSERT INTO consent (business_id, contact_id, purpose, value, wording, source, key, at)
SELECT contact.business_id, contact.id, 'marketing', :value, :wording, :source, :key,
       least(coalesce(cast(:at AS timestamptz), now()), now())
FROM contact WHERE contact.id = :contact_id
ON CONFLICT (business_id, key) DO NOTHING RETURNING id
"""
NOTED = "SELECT EXISTS (SELECT FROM consent WHERE key = :key)"
# What a merge withdrew counts no more once the merge was undone.
STANDING = """
SELECT consent.value FROM consent LEFT JOIN contact_merge AS merge ON merge.id = consent.merge_id
WHERE consent.contact_id = :contact_id AND consent.purpose = 'marketing' AND merge.undone_at IS NULL
ORDER BY consent.at DESC, consent.position DESC LIMIT 1
"""


async def note_consent(
    session: Session,
    contact_id: UUID,
    *,
    value: str,
    wording: str,
    source: str,
    key: str | None = None,
    at: datetime | None = None,
) -> bool:
    """Add to the ledger that marketing was granted or withdrawn; False where `key` was noted already.

    `source` is one of CONSENT_SOURCES, `wording` the words as they were said, `at` when, None for now.
    """
    contact_id = await queries.live_contact(session, contact_id)
    said = await session.execute(
        text(NOTE),
        {
            "contact_id": contact_id,
            "value": value,
            "wording": wording.replace("\x00", "\ufffd")[:LONGEST_WORDING],
            "source": source,
            "key": key,
            "at": at,
        },
    )
    if said.first() is None:
        return False
    await record(session, contact_id, "consent", source, data={"value": value})
    return True


async def may_market(session: Session, contact_id: UUID) -> bool:
    """Tell whether marketing may be sent to a contact now: not after they said no. Ask at send time."""
    live = await queries.live_contact(session, contact_id)
    standing: str | None = await session.scalar(text(STANDING), {"contact_id": live})
    return standing != WITHDRAWN


async def was_noted(session: Session, key: str) -> bool:
    """Tell whether the ledger has an entry of this key."""
    return bool(await session.scalar(text(NOTED), {"key": key}))
