"""Programs that have messages sent: whose they are, what they are told, and that nothing goes twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette

from server.api.sending import Programs
from server.clock import monotonic_s
from server.domains import accounts, contacts, messaging
from server.ports import Outside
from server.providers.media_folder import MediaFolder
from server.providers.whatsapp_bridge import WhatsappBridge
from server.storages import MediaLimits
from tests.domains.messaging.conftest import CIPHER
from tests.engine import BUSINESS, open_engine

PHONE = "+972501234567"
SEND = "/api/whatsapp/webhook/send"


class House:
    def __init__(self, engine, http, key, programs):
        self.engine, self.http, self.key, self.programs = engine, http, key, programs

    async def send(self, body, *, key=None, once=None):
        headers = {"authorization": f"Bearer {key or self.key}"}
        headers |= {"idempotency-key": once} if once else {}
        return await self.http.post(SEND, json=body, headers=headers)

    async def look(self, query, *arguments):
        return await self.engine.look.fetchval(query, *arguments)


@pytest.fixture
async def bridge():
    async with httpx.AsyncClient() as client:
        yield WhatsappBridge(client)


@pytest.fixture
async def house(clean_database, redis_url, bridge, tmp_path):
    async with open_engine(clean_database, redis_url) as engine:
        async with engine.api.transaction(BUSINESS) as session:
            await messaging.connect_bridge(
                session,
                BUSINESS,
                base_url="http://bridge.test",
                secret="a secret",
                tenant="business_6",
                cipher=CIPHER,
            )
            _, key = await accounts.create_api_key(session, BUSINESS, "n8n")
        limits = MediaLimits(document_bytes=10_000)
        outside = Outside({"whatsapp_bridge": bridge}, media=MediaFolder(tmp_path), media_limits=limits)
        programs = Programs(engine.api, outside)
        app = Starlette(routes=programs.routes())
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
            yield House(engine, http, key, programs)


async def test_a_message_to_a_number_is_stored_and_its_job_asked_for(house):
    answer = await house.send({"to": "050-123-4567", "text": "שלום"})

    told = answer.json()
    assert (answer.status_code, told["ok"], told["status"]) == (202, True, "queued")
    assert await house.look("SELECT address FROM conversation") == "972501234567@s.whatsapp.net"
    assert await house.look("SELECT author || ' ' || text FROM message") == "api שלום"
    assert await house.look("SELECT count(*) FROM job WHERE kind = 'message_send_job'") == 1
    shown = await house.http.get(
        f"/api/whatsapp/messages/{told['message_id']}", headers={"x-api-key": house.key}
    )
    assert (shown.status_code, shown.json()["status"]) == (200, "queued")


async def test_the_same_key_and_body_are_one_message_however_often_and_at_once(house):
    body = {"to": PHONE, "text": "once"}
    answers = await asyncio.gather(*(house.send(body, once="order 7") for _ in range(5)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["message_id"] for answer in answers}) == 1
    assert await house.look("SELECT count(*) FROM message") == 1


async def test_the_same_key_with_another_body_is_refused(house):
    await house.send({"to": PHONE, "text": "one"}, once="order 7")
    answer = await house.send({"to": PHONE, "text": "two"}, once="order 7")

    assert (answer.status_code, answer.json()["error_code"]) == (422, "key_reused")
    assert await house.look("SELECT count(*) FROM message") == 1


async def test_what_was_refused_may_be_asked_again_under_its_key(house):
    refused = await house.send({"to": PHONE}, once="order 8")
    answer = await house.send({"to": PHONE, "text": "now with words"}, once="order 8")

    assert (refused.status_code, answer.status_code) == (400, 202)


async def test_a_flow_made_before_is_understood(house):
    answer = await house.http.post(
        SEND, json={"to": PHONE, "message": "hello"}, headers={"x-webhook-secret": house.key}
    )

    assert answer.status_code == 202
    assert answer.json()["db_id"] == answer.json()["message_id"]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer psk_guess"}, {"x-api-key": "psk_guess"}])
async def test_without_a_key_in_force_nothing_is_stored(house, headers):
    answer = await house.http.post(SEND, json={"to": PHONE, "text": "x"}, headers=headers)

    assert answer.status_code == 401
    assert await house.look("SELECT count(*) FROM message") == 0


async def test_a_key_opens_its_own_business_alone(house):
    sent = (await house.send({"to": PHONE, "text": "of Dana"})).json()
    async with house.engine.api.transaction(9) as session:
        _, noas = await accounts.create_api_key(session, 9, "Noa's")

    by_conversation = await house.send({"conversation_id": sent["conversation_id"], "text": "x"}, key=noas)
    by_number = await house.send({"to": PHONE, "text": "x"}, key=noas)
    shown = await house.http.get(f"/api/whatsapp/messages/{sent['message_id']}", headers={"x-api-key": noas})

    assert (by_conversation.status_code, shown.status_code) == (404, 404)
    # Noa has no channel, and never Dana's.
    assert (by_number.status_code, by_number.json()["error_code"]) == (400, "channel_unknown")
    assert await house.look("SELECT count(*) FROM message") == 1


async def test_ids_that_a_program_was_told_before_a_merge_still_lead_to_the_person(house):
    told = (await house.send({"to": PHONE, "text": "one"})).json()
    await house.send({"to": "+972502222222", "text": "two"})
    ids = (
        "SELECT contact_id FROM conversation JOIN message ON conversation_id = conversation.id"
        " WHERE text = $1"
    )
    one, two = await house.look(ids, "one"), await house.look(ids, "two")
    async with house.engine.api.transaction(BUSINESS) as session:
        staying = await contacts.accept(session, one, two, by="member")

    gone = two if staying == one else one
    answers = [
        await house.send({"contact_id": str(gone), "text": "three"}),
        await house.send({"conversation_id": told["conversation_id"], "text": "four"}),
    ]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert len({answer.json()["conversation_id"] for answer in answers}) == 1
    assert await house.look("SELECT count(DISTINCT conversation_id) FROM message") == 1


async def test_who_wants_no_marketing_gets_none_and_still_gets_service(house):
    sent = (await house.send({"to": PHONE, "text": "hello"})).json()
    async with house.engine.worker.transaction(BUSINESS) as session:
        contact_id = await house.look("SELECT contact_id FROM conversation")
        await contacts.note_consent(
            session, contact_id, value=contacts.WITHDRAWN, wording="STOP", source="member", key="stop"
        )

    marketing = await house.send(
        {"conversation_id": sent["conversation_id"], "text": "sale", "marketing": True}
    )
    service = await house.send({"conversation_id": sent["conversation_id"], "text": "your order is here"})

    assert (marketing.status_code, marketing.json()["error_code"]) == (422, "opted_out")
    assert service.status_code == 202


async def test_outside_the_window_only_a_template_is_taken(house, bridge):
    bridge.window = timedelta(hours=24)
    closed = await house.send({"to": PHONE, "text": "too late"})
    template = await house.send(
        {"to": PHONE, "template": {"name": "reminder", "language": "he", "body": ["מחר"]}, "text": "מחר"}
    )

    assert (closed.status_code, closed.json()["error_code"]) == (409, "window_closed")
    assert "template" in closed.json()["message"]
    assert template.status_code == 202


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"text": "x"}, "recipient_missing"),
        (
            {"to": PHONE, "contact_id": "00000000-0000-0000-0000-000000000001", "text": "x"},
            "recipient_missing",
        ),
        ({"to": "nobody", "text": "x"}, "bad_phone"),
        ({"to": PHONE, "text": "x" * 5000}, "text_too_long"),
        ({"to": PHONE, "text": "nul \x00"}, "text_invalid"),
        ({"to": PHONE, "text": "x", "channel": "\x00"}, "text_invalid"),
        ({"to": PHONE, "template": {"name": "x", "language": "he", "body": ["\x00"]}}, "text_invalid"),
        ({"to": PHONE, "text": 7}, "bad_field"),
        ({"to": PHONE, "txet": "x"}, "unknown_field"),
        ({"to": PHONE, "text": "x", "marketing": "no"}, "bad_field"),
        ({"to": PHONE, "text": "x", "channel": "telegram"}, "channel_unknown"),
        ({"conversation_id": "7", "text": "x"}, "bad_field"),
        ({"to": PHONE, "template": {"name": "x"}}, "bad_field"),
        ([], "not_json"),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_its_reason(house, body, code):
    answer = await house.send(body)

    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert answer.json()["message"]
    assert await house.look("SELECT count(*) FROM message") == 0


async def test_a_program_that_runs_wild_is_slowed_down(house):
    rates = house.programs.rates
    await house.send({"to": "nobody"})
    [key_id] = rates.left
    while not rates.wait_s(key_id):
        pass
    rates.left[key_id] = (0.0, monotonic_s() + 60)

    answer = await house.send({"to": PHONE, "text": "one too many"})

    assert (answer.status_code, answer.json()["error_code"]) == (429, "too_many_requests")
    assert int(answer.headers["retry-after"]) >= 1
    assert rates.wait_s(UUID(int=1)) == 0
