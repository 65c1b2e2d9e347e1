"""Recognising people by any of their names."""

from __future__ import annotations

from uuid import UUID

from server.db import Session
from server.domains.contacts import queries
from server.domains.contacts.merging import unite
from server.domains.contacts.rules import known_names, presentable_name, proving_names, share_a_name
from server.ports import IdentityKind, Sender

# Each lost race means that another transaction committed the name, or a merge; then it is found.
MOST_RACES = 8


class NamelessSenderError(LookupError):
    """A sender came without any identity that could be kept."""


async def recognise(session: Session, business_id: int, sender: Sender) -> UUID:
    """Return the contact behind a sender, made now if nobody has any of their names.

    Names that came in one message prove each other: those still free are attached, and contacts that
    have them are merged into one. A username alone proves nothing. The contact is held against merges
    until the transaction ends. Safe to call at once for the same person. Raises NamelessSenderError.
    """
    names = known_names(sender.identities)
    if not names:
        raise NamelessSenderError("the sender has no name that can be kept")
    proof = proving_names(sender.identities)
    name = presentable_name(sender.name)
    username = names.get(IdentityKind.USERNAME)
    if not proof and username is None:
        raise NamelessSenderError("the sender has an address alone, which proves nothing")
    if not proof:
        return await _by_username(session, business_id, username or "", name)
    contact_id = await _by_proof(session, business_id, proof, name)
    if username is not None:
        await _note_username(session, business_id, contact_id, username)
    return contact_id


async def are_one(session: Session, business_id: int, one: Sender, other: Sender) -> bool:
    """Tell whether two senders are proved to be one person, by a name in common or by one contact's names."""
    if share_a_name(one.identities, other.identities):
        return True
    return await queries.are_one(
        session, business_id, proving_names(one.identities), proving_names(other.identities)
    )


async def leads_to(session: Session, business_id: int, sender: Sender, contact_id: UUID) -> bool:
    """Tell whether what this sender writes will be this contact's, once it is taken; nobody is held.

    Where a person said that two of its names' owners are not one, nobody can say so before.
    """
    return await queries.leads_to(session, business_id, proving_names(sender.identities), contact_id)


async def _by_proof(
    session: Session, business_id: int, names: dict[IdentityKind, str], name: str | None
) -> UUID:
    for _ in range(MOST_RACES):
        owners = await queries.find_owners(session, business_id, names)
        if not owners.of:
            found = await _make(session, business_id, names, name)
        elif len(set(owners.of.values())) > 1:
            found = await unite(session, business_id, names, owners.of)
        else:
            found = next(iter(owners.of.values())) if owners.is_held else None
        if found is not None:
            await _complete(session, business_id, found, names, owners, name)
            return found
    raise RuntimeError("contact_identity kept changing under a sender of this business")


async def _make(
    session: Session, business_id: int, names: dict[IdentityKind, str], name: str | None
) -> UUID | None:
    """Make a contact with these names; None when someone else took one of them meanwhile.

    Of several some may be taken and others not, which are let go again; one alone needs no savepoint.
    """
    if len(names) == 1:
        contact_id = await queries.insert_contact(session, business_id, name)
        if await queries.attach_names(session, business_id, contact_id, names):
            return contact_id
        await queries.delete_contact(session, contact_id)
        return None
    async with session.begin_nested() as attempt:
        contact_id = await queries.insert_contact(session, business_id, name)
        if await queries.attach_names(session, business_id, contact_id, names) == len(names):
            return contact_id
        await attempt.rollback()
    return None


async def _complete(
    session: Session,
    business_id: int,
    contact_id: UUID,
    names: dict[IdentityKind, str],
    owners: queries.Owners,
    name: str | None,
) -> None:
    free = {kind: value for kind, value in names.items() if kind not in owners.of}
    if owners.of and free:
        await queries.attach_names(session, business_id, contact_id, free)
    if owners.of and name is not None:
        await queries.name_nameless(session, contact_id, name)


async def _by_username(session: Session, business_id: int, username: str, name: str | None) -> UUID:
    """Return who goes by this username and nothing else.

    Where its owner has a name that proves who they are, this may be someone else: a new contact takes it.
    """
    found = await queries.find_username(session, business_id, username)
    if found is not None and not found[1]:
        return found[0]
    contact_id = await queries.insert_contact(session, business_id, name)
    await queries.take_username(session, business_id, contact_id, username)
    await queries.note_username(session, contact_id, username)
    return contact_id


async def _note_username(session: Session, business_id: int, contact_id: UUID, username: str) -> None:
    """Keep the username of a contact whose other names prove who they are, unless a stranger has it."""
    found = await queries.find_username(session, business_id, username)
    if found is not None and found[0] == contact_id:
        return
    await queries.note_username(session, contact_id, username)
    if found is None or found[1]:
        await queries.take_username(session, business_id, contact_id, username)
