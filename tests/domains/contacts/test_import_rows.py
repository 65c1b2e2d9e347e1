"""What the rows of a file come to: in their order, each once, beside customers who write meanwhile."""

from __future__ import annotations

import asyncio
import random

import pytest

from server.domains import contacts
from server.domains.contacts.import_rows import LARGEST_SLICE, SLICE_S, next_size
from server.jobs import lead_import_rows_job
from server.ports import IdentityKind, Sender
from server.queue.catalog import LeadImportRows
from tests.domains.contacts.files import bring, read
from tests.engine import BUSINESS, Queue, eventually, open_engine

__all__ = ["lead_import_rows_job"]

MAYA = "+972501234567"
LISTENS = """
INSERT INTO webhook_endpoint (business_id, url, events, secret_encrypted)
VALUES ($1, 'http://127.0.0.1:1/', '{lead.created,lead.status_changed}', 'sealed')
"""


@pytest.fixture
async def engine(clean_database, redis_url):
    async with open_engine(clean_database, redis_url) as opened:
        await opened.look.execute(
            "UPDATE business SET country = 'IL', language = 'en' WHERE id = $1", BUSINESS
        )
        yield opened


async def write(engine, phone, name=None):
    """Have a customer write, as far as their contact and lead go."""
    async with engine.api.transaction(BUSINESS) as session:
        sender = Sender(phone, {IdentityKind.PHONE: phone}, name)
        contact_id = await contacts.recognise(session, BUSINESS, sender)
        await contacts.touch_lead(session, contact_id, "whatsapp")
    return contact_id


async def test_a_later_row_of_the_same_person_adds_to_what_an_earlier_one_said(engine, clean_database):
    await bring(
        engine,
        "name,phone,email,city,stage\n"
        ",0501234567,,,\n"
        "Maya,+972 50-123-4567,maya@example.com,,In contact\n"
        "Maya Levi,050-1234567,other@example.com,Haifa,Won\n"
        ",,MAYA@example.com,Eilat,\n",
    )
    await Queue(engine, clean_database).drain()

    people = await engine.look.fetch("SELECT name, email, city FROM contact ORDER BY created_at LIMIT 9")
    assert [tuple(one) for one in people] == [("Maya", "maya@example.com", "Haifa")]
    moves = await engine.look.fetch(
        "SELECT data ->> 'from', data ->> 'to' FROM lead_activity WHERE kind = 'stage'"
        " ORDER BY position LIMIT 9"
    )
    assert [tuple(one) for one in moves] == [("New", "In contact"), ("In contact", "Won")]
    assert (
        await engine.look.fetchval(
            "SELECT stage.name FROM lead JOIN lead_stage AS stage ON stage.id = lead.stage_id"
        )
        == "Won"
    )


async def test_a_customer_who_wrote_before_keeps_what_they_said(engine, clean_database):
    maya = await write(engine, MAYA, "Maya")

    await bring(engine, "name,phone,city,source\nSomebody,0501234567,Haifa,expo\n")
    await Queue(engine, clean_database).drain()

    told = await engine.look.fetchrow(
        "SELECT contact.id, name, city, source FROM contact JOIN lead ON lead.contact_id = contact.id"
    )
    assert tuple(told) == (maya, "Maya", "Haifa", "whatsapp")


async def test_others_are_told_of_each_lead_once_and_before_it_moves(engine):
    await engine.look.execute(LISTENS, BUSINESS)
    content = "phone,stage\n" + "".join(f"05012345{n:02},Won\n" for n in range(30))

    for file in (content, content + "0501234500,Lost\n"):
        await bring(engine, file)
        async with engine.working():
            await eventually(lambda: not_waiting(engine), within_s=20)

    told = await engine.look.fetch(
        "SELECT type, data ->> 'contact_id' AS who FROM webhook_event ORDER BY created_at, type LIMIT 99"
    )
    assert len(told) == 61
    assert [one["type"] for one in told].count("lead.created") == 30
    firsts = await engine.look.fetch(
        "SELECT DISTINCT ON (job.lane) event.type FROM job"
        " JOIN webhook_delivery AS delivery ON delivery.id::text = job.payload ->> 'delivery_id'"
        " JOIN webhook_event AS event ON event.id = delivery.event_id ORDER BY job.lane, job.seq LIMIT 99"
    )
    assert [one["type"] for one in firsts] == ["lead.created"] * 30


async def not_waiting(engine):
    await engine.sweeper.sweep()
    return not await engine.look.fetchval("SELECT count(*) FROM lead_import WHERE ended_at IS NULL")


async def test_customers_who_write_meanwhile_are_each_one_contact_with_one_lead(engine):
    phones = [f"+9725012{n:05}" for n in range(300)]
    shuffled = random.Random(7).sample(phones, len(phones))
    await bring(engine, "phone,city\n" + "".join(f"{phone},Haifa\n" for phone in shuffled))

    async def customers(mine):
        for phone in mine:
            await write(engine, phone, "Dana")

    async with engine.working():
        await asyncio.gather(*(customers(phones[start::4]) for start in range(4)))
        await eventually(lambda: not_waiting(engine), within_s=30)

    for table in ("contact", "contact_identity", "lead"):
        assert await engine.look.fetchval(f"SELECT count(*) FROM {table}") == 300
    named = "SELECT count(*) FROM contact WHERE name = 'Dana' AND city = 'Haifa'"
    assert await engine.look.fetchval(named) == 300


async def test_a_slice_begins_again_where_someone_was_first(engine):
    import_id = await bring(engine, f"phone\n{MAYA}\n0509999999\n")
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )

    async def waits():
        return await engine.look.fetchval(waiting)

    async with engine.working():
        async with engine.api.transaction(BUSINESS) as session:
            sender = Sender(MAYA, {IdentityKind.PHONE: MAYA}, "Maya")
            maya = await contacts.recognise(session, BUSINESS, sender)
            await eventually(waits, within_s=10)
        await eventually(lambda: not_waiting(engine), within_s=20)

    assert dict((await read(engine, import_id)).stand.counts) == {"added": 2}
    assert await engine.look.fetchval(
        "SELECT contact_id FROM lead_activity WHERE kind = 'import' AND contact_id = $1", maya
    )


async def test_a_second_run_of_the_same_job_changes_nothing(engine, clean_database):
    import_id = await bring(engine, "phone\n0501234567\n0509999999\n")
    await Queue(engine, clean_database).drain()
    happened = "SELECT id, position FROM lead_activity ORDER BY position LIMIT 9"
    before = await engine.look.fetch(happened)

    await engine.ask(LeadImportRows(import_id), key="again")
    await Queue(engine, clean_database).drain()

    assert await engine.look.fetch(happened) == before
    assert (await read(engine, import_id)).stand.state == "done"


@pytest.mark.parametrize(
    ("size", "took_s", "following"),
    [
        (100, SLICE_S * 2, 50),
        (1, SLICE_S * 2, 1),
        (100, SLICE_S / 2, 100),
        (100, SLICE_S / 8, 200),
        (LARGEST_SLICE, 0.0, LARGEST_SLICE),
    ],
)
def test_a_slice_has_as_many_rows_as_can_be_taken_in_time(size, took_s, following):
    assert next_size(size, took_s) == following


async def test_a_no_of_a_file_counts_and_a_yes_never_overrules_a_persons_no(engine, clean_database):
    maya = await write(engine, MAYA, "Maya")
    async with engine.api.transaction(BUSINESS) as session:
        await contacts.note_consent(session, maya, value="withdrawn", wording="הסר", source="message")

    await bring(
        engine,
        "phone,הסכמה לדיוור\n0501234567,כן\n0502222222,Yes\n0503333333,לא\n"
        "0504444444,perhaps\n0502222222,STOP\n",
    )
    await Queue(engine, clean_database).drain()

    said = await engine.look.fetch(
        "SELECT name.value, consent.value, wording FROM consent JOIN contact_identity AS name"
        " USING (contact_id) WHERE source = 'import' ORDER BY consent.position LIMIT 9"
    )
    assert [tuple(one) for one in said] == [
        ("+972502222222", "granted", "Yes"),
        ("+972503333333", "withdrawn", "לא"),
        ("+972502222222", "withdrawn", "STOP"),
    ]
    async with engine.api.transaction(BUSINESS) as session:
        assert not await contacts.may_market(session, maya)
    told = "SELECT count(*) FROM consent JOIN lead_import ON lead_import.created_at = consent.at"
    assert await engine.look.fetchval(told) == 3


async def test_hostile_text_of_a_file_is_kept_as_it_was_sent(engine, clean_database):
    name, note = "<b>\u202eevil\u202c</b> \x07\x1b[31m", "'; DROP TABLE lead; --" + "x" * 12_000
    import_id = await bring(engine, f'name,phone,notes,budget\n"{name}",0501234567,{note},=cmd|calc\n')
    await Queue(engine, clean_database).drain()

    assert dict((await read(engine, import_id)).stand.counts) == {"added": 1}
    told = await engine.look.fetchrow(
        "SELECT contact.name, told.text, told.data ->> 'budget' FROM contact"
        " JOIN lead_activity AS told ON told.contact_id = contact.id AND told.kind = 'import'"
    )
    assert tuple(told) == (name, note[:10_000], "=cmd|calc")
