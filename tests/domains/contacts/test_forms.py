"""What forms post becomes leads, whatever they call their fields; twice the same is once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from server.api.lead_forms import LeadFormWebhook
from server.api.refusals import Refusals
from server.domains import contacts
from server.domains.contacts.form_fields import flatten, read_fields
from server.jobs import inbox_cleanup_job, lead_webhook_job
from server.queue.catalog import InboxCleanup
from tests.engine import BUSINESS, Queue, open_engine

__all__ = ["inbox_cleanup_job", "lead_webhook_job"]


@pytest.fixture
async def engine(clean_database, redis_url):
    async with open_engine(clean_database, redis_url) as opened:
        yield opened


@pytest.fixture
async def form(engine):
    """The form's id and secret."""
    async with engine.api.transaction(BUSINESS) as session:
        return await contacts.open_form(session, BUSINESS, "Site")


@pytest.fixture
async def site(engine):
    """Somebody's web site, that posts to the api."""
    leads = LeadFormWebhook(engine.api, Refusals())
    app = Starlette(routes=[Route("/api/webhook/leads/{form}", leads, methods=["POST"])])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        yield client


def post(site, form, where=None, secret=None, headers=None, **body):
    told = {"x-webhook-secret": form[1] if secret is None else secret} | (headers or {})
    return site.post(f"/api/webhook/leads/{where or form[0]}", headers=told, **body)


async def leads(engine):
    rows = await engine.look.fetch(
        "SELECT contact.name, contact.email, contact_identity.value, lead.source FROM lead"
        " JOIN contact ON contact.id = lead.contact_id"
        " LEFT JOIN contact_identity ON contact_identity.contact_id = contact.id AND kind = 'phone'"
        " ORDER BY contact.created_at"
    )
    return [tuple(row) for row in rows]


async def test_a_posted_form_is_stored_and_becomes_a_lead_once(engine, form, site, clean_database):
    body = {"שם מלא": "מאיה לוי", "טלפון": "050-123-4567", "הודעה": "דלת", "budget": 7}
    answers = await asyncio.gather(*(post(site, form, json=body) for _ in range(5)))
    await Queue(engine, clean_database).drain()

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["delivery_id"] for answer in answers}) == 1
    assert await leads(engine) == [("מאיה לוי", None, "+972501234567", "form")]
    told = await engine.look.fetchrow("SELECT text, data FROM lead_activity WHERE kind = 'form'")
    assert told["text"] == "דלת"
    assert '"budget": "7"' in told["data"]


async def test_a_form_joins_whom_it_names_by_phone_or_address(engine, form, site, clean_database):
    for body in (
        {"name": "Maya", "email": "Maya@Example.com"},
        {"email": "maya@example.com", "message": "again"},
        {"phone": "+972501234567", "source": "ads"},
        {"phone": "0501234567", "message": "again"},
    ):
        await post(site, form, json=body)
        await Queue(engine, clean_database).drain()

    assert await leads(engine) == [
        ("Maya", "maya@example.com", None, "form"),
        (None, None, "+972501234567", "ads"),
    ]


async def test_a_second_address_finds_the_contact_that_a_form_gave_it_to(engine, form, site, clean_database):
    for body in (
        {"phone": "0501234567", "email": "maya@example.com"},
        {"phone": "0501234567", "email": "Maya@Work.example"},
        {"email": "maya@work.example", "message": "again"},
        {"phone": "0507654321", "email": "maya@example.com"},
    ):
        await post(site, form, json=body)
        await Queue(engine, clean_database).drain()

    rows = await engine.look.fetch(
        "SELECT contact_id, value FROM contact_identity ORDER BY created_at, kind DESC"
    )
    assert [row["value"] for row in rows] == [
        "+972501234567",
        "maya@example.com",
        "maya@work.example",
        "+972507654321",
    ]
    assert len({row["contact_id"] for row in rows[:3]}) == 1
    assert await engine.look.fetchval("SELECT count(*) FROM contact") == 2


async def test_a_delivery_that_has_a_name_is_taken_once_whatever_it_says(engine, form, site):
    named = {"idempotency-key": "7"}
    first = await post(site, form, headers=named, json={"name": "a"})
    again = await post(site, form, headers=named, json={"name": "b"})

    assert first.json() == again.json()


async def test_who_may_not_post_is_refused(engine, form, site):
    body = {"name": "Maya"}
    assert (await post(site, form, secret="wrong", json=body)).status_code == 401
    assert (await post(site, form, secret="", json=body)).status_code == 401
    assert (await post(site, form, where="9", json=body)).status_code == 404
    assert (await post(site, form, where=form[1], secret="", json=body)).status_code == 202
    assert (await post(site, form, where="6", data={"name": "Eli"})).status_code == 202
    assert (await post(site, form, content=b"{")).status_code == 400
    assert (await post(site, form, json={})).status_code == 400
    assert (await post(site, form, content=b"x" * (3 * 1024 * 1024 + 1))).status_code == 413
    async with engine.api.transaction(BUSINESS) as session:
        await contacts.close_form(session, form[0])
    assert (await post(site, form, json=body)).status_code == 401


async def test_a_form_that_names_nobody_is_kept_with_the_reason(engine, form, site, clean_database):
    await post(site, form, json={"colour": "red"})
    await Queue(engine, clean_database).drain()

    assert await engine.look.fetchval("SELECT state FROM lead_delivery") == "unreadable"
    assert await leads(engine) == []


@pytest.mark.parametrize(
    "body",
    [
        {"first_name": "Maya", "last-name": "Levi", "Mobile Phone": "0501"},
        {"fields": [{"name": "full_name", "value": "Maya Levi"}, {"name": "phone_number", "value": "0501"}]},
        {
            "fields": {
                "name": {"id": "name", "value": "Maya Levi"},
                "f_2": {"title": "Phone", "value": "0501"},
            }
        },
        {
            "field_data": [
                {"name": "full_name", "values": ["Maya Levi"]},
                {"name": "phone", "values": ["0501"]},
            ]
        },
        {"form_fields[name]": "Maya Levi", "form_fields[tel]": "0501"},
        {"data": {"contact": {"name": "Maya Levi", "phone": "0501"}}},
    ],
)
def test_fields_are_found_in_every_builders_shape(body):
    written = read_fields(flatten(body))

    assert (written.name, written.phone) == ("Maya Levi", "0501")


async def ledger(engine):
    rows = await engine.look.fetch("SELECT value, wording, source FROM consent ORDER BY position")
    return [tuple(row) for row in rows]


async def fill_in(engine, form, site, clean_database, **fields):
    await post(site, form, json={"phone": "+972501234567"} | fields)
    await Queue(engine, clean_database).drain()


@pytest.mark.parametrize(
    ("field", "noted"),
    [
        ({"marketing_consent": True}, [("granted", "marketing_consent: True", "form")]),
        ({"form_fields[newsletter]": "on"}, [("granted", "form_fields[newsletter]: on", "form")]),
        ({"fields": [{"name": "אישור דיוור", "value": "כן"}]}, [("granted", "אישור דיוור: כן", "form")]),
        ({"consent": "No"}, [("withdrawn", "consent: No", "form")]),
        ({"optin": "yes", "sms-consent": "off"}, [("withdrawn", "sms-consent: off", "form")]),
        ({"consent": "perhaps", "newsletter": "yes, but not by SMS", "optin": "\u202e" + "yes" * 3000}, []),
        ({"consent": "", "terms": "yes"}, []),
        ({}, []),
    ],
)
async def test_a_forms_clear_yes_or_no_to_marketing_is_noted(
    engine, form, site, clean_database, field, noted
):
    await fill_in(engine, form, site, clean_database, **field)

    assert await ledger(engine) == noted
    assert len(await leads(engine)) == 1


async def test_a_form_that_is_posted_again_notes_its_consent_once(engine, form, site, clean_database):
    for message in ("first", "first", "second"):
        await fill_in(engine, form, site, clean_database, consent="yes", message=message)

    assert [value for value, *_ in await ledger(engine)] == ["granted"]


async def test_a_forms_own_no_can_be_taken_back_in_a_form(engine, form, site, clean_database):
    for answer in ("no", "yes"):
        await fill_in(engine, form, site, clean_database, consent=answer)

    assert [value for value, *_ in await ledger(engine)] == ["withdrawn", "granted"]


async def test_a_no_counts_again_in_the_same_words_once_a_yes_came_between(
    engine, form, site, clean_database
):
    for answer in ("no", "yes", "no"):
        await fill_in(engine, form, site, clean_database, consent=answer)

    assert [value for value, *_ in await ledger(engine)] == ["withdrawn", "granted", "withdrawn"]


@pytest.mark.parametrize("stopped_at", [datetime(2026, 1, 1, tzinfo=UTC), None])
async def test_a_forms_yes_never_overrules_a_customers_stop(engine, form, site, clean_database, stopped_at):
    await fill_in(engine, form, site, clean_database, consent="yes")
    contact_id = await engine.look.fetchval("SELECT id FROM contact")
    async with engine.api.transaction(BUSINESS) as session:
        said = {"value": contacts.WITHDRAWN, "wording": "STOP", "source": "message", "at": stopped_at}
        await contacts.note_consent(session, contact_id, **said)
    for answer in ("no", "yes"):
        await fill_in(engine, form, site, clean_database, consent=answer)

    async with engine.api.transaction(BUSINESS) as session:
        assert not await contacts.may_market(session, contact_id)
    assert [value for value, *_ in await ledger(engine)] == ["granted", "withdrawn"]


def test_a_hostile_body_is_bounded():
    deep: dict[str, object] = {}
    for _ in range(500):
        deep = {"a": deep}
    fields = flatten(
        {"deep": deep, "nul": "a\x00b", "long": "x" * 99_999} | {f"k{n}": "v" for n in range(999)}
    )

    assert len(fields) == 200
    assert fields["nul"] == "a\ufffdb"
    assert len(fields["long"]) == 10_000


async def test_what_was_posted_long_ago_is_forgotten_and_its_lead_stays(engine, form, site, clean_database):
    await post(site, form, json={"phone": "+972501234567"})
    await Queue(engine, clean_database).drain()
    await engine.look.execute("UPDATE lead_delivery SET received_at = now() - interval '31 days'")
    await engine.ask(InboxCleanup(datetime(2026, 1, 1, tzinfo=UTC)))
    await Queue(engine, clean_database).drain()

    assert await engine.look.fetchval("SELECT count(*) FROM lead_delivery") == 0
    assert len(await leads(engine)) == 1
