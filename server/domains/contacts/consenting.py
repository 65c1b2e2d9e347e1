"""The consent ledger: who may be sent marketing, by what they said, where and in which words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
# What was said last, except that a yes of a form or a file, which anybody could have written, ends no "no"
# but a form's own, whichever was stored first. What a merge withdrew counts no more once it was undone.
STANDING = """
SELECT said.contact_id, coalesce(said.firm[1] = 'withdrawn', false) AS is_firm_no,
       CASE WHEN said.firm[1] = 'withdrawn' THEN 'withdrawn' ELSE said.every[1] END AS value
FROM (
    SELECT consent.contact_id,
           array_agg(consent.value ORDER BY consent.at DESC, consent.position DESC) AS every,
           array_agg(consent.value ORDER BY consent.at DESC, consent.position DESC)
               FILTER (WHERE consent.source <> 'form'
                         AND (consent.source, consent.value) <> ('import', 'granted')) AS firm
    FROM consent LEFT JOIN contact_merge AS merge ON merge.id = consent.merge_id
    WHERE consent.contact_id = ANY (cast(:ids AS uuid[])) AND consent.purpose = 'marketing'
      AND merge.undone_at IS NULL
    GROUP BY consent.contact_id) AS said
ORDER BY said.contact_id LIMIT :limit
"""


@dataclass(frozen=True)
class Standing:
    """What stands of what a contact said: no form or file can end a firm no."""

    value: str
    is_firm_no: bool


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
    standing = (await standing_of(session, [live])).get(live)
    return standing is None or standing.value != WITHDRAWN


async def standing_of(session: Session, contact_ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """Return what stands of what these contacts said of marketing; who said nothing is left out."""
    about = {"ids": list(contact_ids), "limit": len(contact_ids)}
    rows = await session.execute(text(STANDING), about)
    return {row.contact_id: Standing(row.value, row.is_firm_no) for row in rows}


async def was_noted(session: Session, key: str) -> bool:
    """Tell whether the ledger has an entry of this key."""
    return bool(await session.scalar(text(NOTED), {"key": key}))
