"""Consent to marketing that a form asks for: what its answers add to the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from server.db import Session
from server.domains.contacts import queries
from server.domains.contacts.consenting import GRANTED, WITHDRAWN, note_consent, standing_of
from server.domains.contacts.intents import answer_in


def says_no(asked: Mapping[str, str]) -> bool:
    """Tell whether one of the answers where a form asked for consent is a no."""
    return any(answer_in(told) == WITHDRAWN for told in asked.values())


async def note_answers(
    session: Session, contact_id: UUID, asked: Mapping[str, str], *, source: str, key: str, at: datetime
) -> None:
    """Note what was answered where a form asked for consent; `asked` are its fields, as they came.

    One "no" of several answers counts. An unclear answer says nothing, nor does none. Whoever fills in a
    form proves nothing: a no of theirs is noted, a yes only where no firm no stands. `at` is when the form
    came, so that what was said since then is right.
    """
    answers = {name: answer_in(told) for name, told in asked.items()}
    value = WITHDRAWN if says_no(asked) else GRANTED
    wording = "; ".join(f"{name}: {asked[name]}" for name, answer in answers.items() if answer == value)
    contact_id = await queries.live_contact(session, contact_id)
    standing = (await standing_of(session, [contact_id])).get(contact_id)
    is_known = standing is not None and (standing.value == value or standing.is_firm_no)
    if wording and not is_known:
        await note_consent(session, contact_id, value=value, wording=wording, source=source, key=key, at=at)
