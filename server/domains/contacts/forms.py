"""Leads that forms of web sites and automations post: stored first, then made leads by a job."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from server.db import Database, Session, text
from server.db.tenancy import credential_digest
from server.domains.contacts.asking import note_answers, says_no
from server.domains.contacts.form_fields import Written, consent_fields, flatten, read_fields
from server.domains.contacts.leads import SYSTEM, move_lead, record, save_details, touch_lead
from server.domains.contacts.queries import attach_names, insert_contact
from server.domains.contacts.rules import normalise_email, normalise_phone, presentable_name
from server.domains.contacts.service import recognise
from server.errors import BadInputError, ProsaasError
from server.ports import IdentityKind, Sender
from server.queue import Run, enqueue
from server.queue.catalog import LeadWebhook

MOST_FORMS = 50
LONGEST_FORM = 100
LONGEST_KEY = 200
LONGEST_SOURCE = 100
FORM = "form"
NOBODY = "it names neither a phone, nor an e-mail address, nor a name"

FIND = """
SELECT id, business_id FROM lead_form WHERE token_digest = :digest AND closed_at IS NULL ORDER BY id LIMIT 1
"""
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(:what, 7))"
# Senders repeat what got no answer within hours; the same words a day later are another wish.
KNOWN = """
SELECT id FROM lead_delivery
WHERE form_id = :form_id AND dedup_key = :key
  AND (received_at > now() - interval '1 day' OR :is_named)
ORDER BY received_at DESC LIMIT 1
"""
STORE = """
INSERT INTO lead_delivery (business_id, form_id, dedup_key, body)
VALUES (:business_id, :form_id, :key, cast(:body AS jsonb)) RETURNING id
"""
READ = """
SELECT delivery.id, delivery.business_id, delivery.body, delivery.received_at, form.name AS form,
       business.country
FROM lead_delivery AS delivery
JOIN lead_form AS form ON form.id = delivery.form_id
JOIN business ON business.id = delivery.business_id
WHERE delivery.id = :id AND delivery.state = 'stored' ORDER BY delivery.id LIMIT 1 FOR UPDATE OF delivery
"""
CLOSE = "UPDATE lead_delivery SET state = :state, reason = :reason, processed_at = now() WHERE id = :id"
FORGET = """
DELETE FROM lead_delivery WHERE id IN (
    SELECT id FROM lead_delivery
    WHERE received_at < now() - cast(:days AS int) * interval '1 day' AND state <> 'stored'
    ORDER BY received_at LIMIT :limit)
RETURNING id
"""
BY_EMAIL = """
SELECT id FROM contact
WHERE id = coalesce(
    (SELECT contact_id FROM contact_identity
     WHERE business_id = :business_id AND kind = 'email' AND value = :email ORDER BY id LIMIT 1),
    (SELECT id FROM contact WHERE business_id = :business_id AND email = :email
     ORDER BY created_at, id LIMIT 1))
ORDER BY id LIMIT 1 FOR KEY SHARE
"""
MISSING = """
SELECT email IS NULL AS email, told_phone IS NULL AS phone, city IS NULL AS city FROM contact
WHERE id = :id ORDER BY id LIMIT 1
"""
OPEN = """
INSERT INTO lead_form (business_id, name, token_digest) VALUES (:business_id, :name, :digest) RETURNING id
"""
SHUT = "UPDATE lead_form SET closed_at = now() WHERE id = :id AND closed_at IS NULL"
FORMS = """
SELECT form.id, form.name, form.created_at,
       (SELECT max(received_at) FROM lead_delivery WHERE form_id = form.id) AS last_at
FROM lead_form AS form WHERE form.business_id = :business_id AND form.closed_at IS NULL
ORDER BY form.created_at, form.id LIMIT 100
"""


class WrongFormSecretError(ProsaasError):
    """No open form has this secret."""


class UnknownFormError(ProsaasError):
    """The secret is a form's, but not the one that the path names."""


@dataclass(frozen=True)
class FormRow:
    """A form as its page shows it; its secret is told once, when it is made."""

    id: UUID
    name: str
    created_at: datetime
    last_at: datetime | None


async def find_form(database: Database, *, named: str, secret: str) -> tuple[UUID, int]:
    """Return the form whose secret this is, and its business; `named` is the path's own part.

    The path may hold the secret itself, the form's id, or its business's id. Raises WrongFormSecretError
    or UnknownFormError, which say nothing of which forms there are.
    """
    digest = credential_digest(secret or named)
    async with database.transaction(credentials=[digest]) as session:
        row = (await session.execute(text(FIND), {"digest": digest})).first()
    if row is None:
        raise WrongFormSecretError("no form has this secret")
    if secret and named not in {str(row.id), str(row.business_id), f"business_{row.business_id}", secret}:
        raise UnknownFormError("this secret is another form's")
    return row.id, row.business_id


async def receive_form(
    database: Database, form: tuple[UUID, int], body: Mapping[str, Any], *, delivery: str = ""
) -> UUID:
    """Store what a form posted, with its job; the same delivery, or the same words within a day, once.

    Words that say no to marketing are taken each time: whoever said yes in between means it again.
    Raises BadInputError `no_fields` for a body that says nothing, and StoreUnavailableError.
    """
    form_id, business_id = form
    fields = flatten(body)
    if not fields:
        raise BadInputError("no_fields", "The body holds no fields.")
    encoded = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    key = f"id:{delivery[:LONGEST_KEY]}" if delivery else f"hash:{hashlib.sha256(encoded).hexdigest()}"
    about = {"form_id": form_id, "key": key.replace("\x00", ""), "is_named": bool(delivery)}
    async with database.transaction(business_id) as session:
        await session.execute(text(LOCK), {"what": f"{form_id} {about['key']}"})
        known: UUID | None = await session.scalar(text(KNOWN), about)
        if known is not None and (delivery or not says_no(consent_fields(fields))):
            return known
        made = await session.execute(
            text(STORE), about | {"business_id": business_id, "body": encoded.decode()}
        )
        delivery_id: UUID = made.scalar_one()
        await enqueue(session, LeadWebhook(delivery_id), business_id=business_id)
    return delivery_id


async def take_form(run: Run, delivery_id: UUID) -> None:
    """Make a lead of what a form posted; a second time changes nothing."""
    async with run.completing() as session:
        row = (await session.execute(text(READ), {"id": delivery_id})).first()
        if row is None:
            return
        written = read_fields(row.body)
        contact_id = await find_person(session, row.business_id, written, row.country)
        if contact_id is not None:
            email = normalise_email(written.email)
            key = f"form:{row.id}"
            await keep_lead(session, contact_id, written, kind=FORM, title=row.form, key=key)
            # Last: whoever takes a name holds its contact by then. Another contact's stays theirs.
            if email is not None:
                await attach_names(session, row.business_id, contact_id, {IdentityKind.EMAIL: email})
            asked = consent_fields(row.body)
            await note_answers(session, contact_id, asked, source=FORM, key=key, at=row.received_at)
        state, reason = ("done", None) if contact_id else ("unreadable", NOBODY)
        await session.execute(text(CLOSE), {"id": row.id, "state": state, "reason": reason})


async def forget_deliveries(run: Run, *, older_than_days: int, limit: int) -> int:
    """Delete what forms posted long ago; the leads keep all that was written. Return how many."""
    businesses = await run.every_business()
    if not businesses:
        return 0
    async with run.step(*businesses) as session:
        gone = await session.execute(text(FORGET), {"days": older_than_days, "limit": limit})
        return len(gone.all())


async def find_person(session: Session, business_id: int, written: Written, country: str) -> UUID | None:
    """Return whose phone or address this is, made now if nobody's; None where it names nobody."""
    phone, email = normalise_phone(written.phone, country), normalise_email(written.email)
    name = presentable_name(written.name)
    if email is not None:
        await session.execute(text(LOCK), {"what": f"{business_id} {email}"})
    if phone is not None:
        return await recognise(session, business_id, Sender(phone, {IdentityKind.PHONE: phone}, name))
    if email is None:
        return None if name is None else await insert_contact(session, business_id, name)
    found: UUID | None = await session.scalar(text(BY_EMAIL), {"business_id": business_id, "email": email})
    return found or await insert_contact(session, business_id, name)


async def keep_lead(
    session: Session, contact_id: UUID, written: Written, *, kind: str, title: str, key: str
) -> bool:
    """Make a contact a lead with what was written, which fills what is missing; tell whether it is new."""
    source = " ".join(written.source.split())[:LONGEST_SOURCE] or kind
    data = {"form": title} | dict(written.others)
    if (
        await record(session, contact_id, kind, kind, words=written.message or None, data=data, key=key)
        is None
    ):
        return False
    missing = (await session.execute(text(MISSING), {"id": contact_id})).one()
    email = normalise_email(written.email) if missing.email else None
    city = written.city if missing.city else None
    await save_details(session, contact_id, actor=kind, email=email, city=city)
    await touch_lead(session, contact_id, source, actor=kind)
    if written.stage:
        await _move(session, contact_id, written.stage, kind)
    return True


async def open_form(session: Session, business_id: int, name: str) -> tuple[UUID, str]:
    """Make a form and return its id and its secret, which is told this once; raise BadInputError."""
    told = " ".join(name.split())[:LONGEST_FORM]
    if not told:
        raise BadInputError("bad_form", "A form needs a name.")
    if len(await list_forms(session, business_id)) >= MOST_FORMS:
        raise BadInputError("too_many_forms", f"There are {MOST_FORMS} forms already: close one first.")
    secret = f"lf_{secrets.token_urlsafe(32)}"
    about = {"business_id": business_id, "name": told, "digest": credential_digest(secret)}
    return (await session.execute(text(OPEN), about)).scalar_one(), secret


async def close_form(session: Session, form_id: UUID) -> None:
    """Let a form post nothing more."""
    await session.execute(text(SHUT), {"id": form_id})


async def list_forms(session: Session, business_id: int) -> Sequence[FormRow]:
    """Return a business's open forms."""
    rows = await session.execute(text(FORMS), {"business_id": business_id})
    return [FormRow(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def _move(session: Session, contact_id: UUID, stage: str, actor: str) -> None:
    """Move a lead where it says, if there is such a stage: another system's words may be none of ours."""
    try:
        await move_lead(session, contact_id, stage, actor=actor or SYSTEM)
    except BadInputError as error:
        if error.code != "no_such_stage":
            raise
