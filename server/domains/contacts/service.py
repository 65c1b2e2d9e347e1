"""Recognising people by any of their names, and keeping them in the pipeline."""

from __future__ import annotations

from uuid import UUID

from server.db import Session
from server.domains.contacts import queries
from server.domains.contacts.rules import known_names, presentable_name
from server.log import get_logger
from server.ports import IdentityKind, Sender

log = get_logger(__name__)

# Each lost race means that another transaction committed the name; then it is found.
MOST_RACES = 5


class NamelessSenderError(LookupError):
    """A sender came without any identity that could be kept."""


async def recognise(session: Session, business_id: int, sender: Sender) -> UUID:
    """Return the contact behind a sender, made now if nobody has any of their names.

    Names that came in one message prove each other, so those still free are attached. Where a
    phone and a LID belong to two contacts already, the phone's contact is the one and both keep
    what they have. Safe to call at once for the same person. Raises NamelessSenderError.
    """
    names = known_names(sender.identities)
    if not names:
        raise NamelessSenderError("the sender has neither a phone nor a LID")
    name = presentable_name(sender.name)
    for _ in range(MOST_RACES):
        owners = await queries.find_owners(session, business_id, names)
        if owners:
            return await _known(session, business_id, names, owners, name)
        async with session.begin_nested() as attempt:
            contact_id = await queries.insert_contact(session, business_id, name)
            if await queries.attach_names(session, business_id, contact_id, names) == len(names):
                return contact_id
            await attempt.rollback()
    raise RuntimeError("contact_identity kept changing under a sender of this business")


async def touch_lead(session: Session, contact_id: UUID, source: str) -> UUID:
    """Make a contact a lead, or note that they were in touch again; return the lead's id."""
    return await queries.upsert_lead(session, contact_id, source)


async def _known(
    session: Session,
    business_id: int,
    names: dict[IdentityKind, str],
    owners: dict[IdentityKind, UUID],
    name: str | None,
) -> UUID:
    contact_id = owners.get(IdentityKind.PHONE) or next(iter(owners.values()))
    if len(set(owners.values())) > 1:
        log.warning("two_contacts_are_one", contact_ids=sorted(map(str, owners.values())))
    free = {kind: value for kind, value in names.items() if kind not in owners}
    if free:
        await queries.attach_names(session, business_id, contact_id, free)
    if name is not None:
        await queries.name_nameless(session, contact_id, name)
    return contact_id
