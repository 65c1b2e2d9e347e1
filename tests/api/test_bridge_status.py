"""What a bridge says of its own connection: kept once it changes, and never taken from a stranger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from server.api.routes import api_routes
from server.domains import messaging
from server.domains.messaging import Away, Doors, Reason, Receiver
from server.ports import Outside
from server.providers.connections import open_connections
from server.providers.whatsapp_bridge import WhatsappBridge
from server.providers.whatsapp_cloud import WhatsappCloud
from server.secrets import Cipher
from tests.engine import Engine, open_engine

SECRET, PATH = "the secret of this bridge", "/webhook/whatsapp/status"
OTHER_PATH = "/api/internal/whatsapp/status-webhook"


@dataclass
class Place:
    """Business 6 with a bridge, and a client that reaches the webhooks."""

    engine: Engine
    http: httpx.AsyncClient

    async def says(self, path: str = PATH, *, secret: str = SECRET, **body: Any) -> httpx.Response:
        return await self.http.post(path, json=body, headers={"X-Internal-Secret": secret})

    async def away(self) -> list[Away]:
        async with self.engine.api.transaction(6) as session:
            return list(await messaging.list_away(session))

    async def state(self) -> tuple[str, str | None]:
        row = await self.engine.look.fetchrow(
            "SELECT connection, connection_reason FROM channel WHERE business_id = 6"
        )
        return row["connection"], row["connection_reason"]

    async def reopened(self) -> int:
        count: int = await self.engine.look.fetchval(
            "SELECT count(*) FROM job WHERE kind = 'channel_reconnected_job'"
        )
        return count


@pytest.fixture
async def place(clean_database: str, redis_url: str) -> AsyncIterator[Place]:
    async with open_engine(clean_database, redis_url) as engine, open_connections() as calls:
        async with engine.api.transaction(6) as session:
            await messaging.connect_bridge(
                session,
                6,
                base_url="http://127.0.0.1:1",
                secret=SECRET,
                tenant="business_6",
                cipher=Cipher("k" * 40),
            )
        outside = Outside(
            channels={
                "whatsapp_bridge": WhatsappBridge(calls),
                "whatsapp_cloud": WhatsappCloud(calls, base_url="http://127.0.0.1:1", version="v23.0"),
            }
        )
        app = Starlette(routes=api_routes(engine.api, Receiver(engine.api), Doors(engine.api), outside))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
            yield Place(engine, http)


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        (PATH, {"tenantId": "business_6", "connection": "close", "pushName": "דנה"}, None),
        (PATH, {"tenantId": "6", "connection": "qr"}, Reason.WAITS_FOR_CODE),
        (OTHER_PATH, {"tenant_id": "business_6", "status": "disconnected", "reason": None}, None),
        (
            OTHER_PATH,
            {"tenant_id": "business_6", "status": "disconnected", "reason": "logged_out"},
            Reason.LOGGED_OUT,
        ),
        (OTHER_PATH, {"tenant_id": "business_6", "status": "disconnected", "reason": "made up"}, None),
    ],
)
async def test_a_bridge_that_lost_whatsapp_is_shown_as_away_until_it_is_back(
    place: Place, path: str, body: dict[str, Any], reason: Reason | None
) -> None:
    told = await place.says(path, **body)

    assert (told.status_code, told.json()) == (200, {"ok": True, "state": "disconnected"})
    assert [one.reason for one in await place.away()] == [reason]

    await place.says(PATH, tenantId="business_6", connection="open")
    assert await place.state() == ("connected", None)
    assert await place.away() == []


async def test_what_waited_is_tried_once_when_the_bridge_is_back_however_often_it_says_so(
    place: Place,
) -> None:
    before = await place.reopened()

    for connection in ("open", "close", "close", "open", "open"):
        await place.says(tenantId="business_6", connection=connection)

    assert await place.reopened() == before + 1


@pytest.mark.parametrize(
    "body",
    [{"connection": "connecting"}, {"connection": {"is": "open"}}, {"status": "dreaming"}, {"battery": 80}],
)
async def test_what_says_neither_is_taken_and_ignored(place: Place, body: dict[str, Any]) -> None:
    await place.says(tenantId="business_6", connection="close")

    told = await place.says(tenantId="business_6", **body)

    assert (told.status_code, told.json()) == (200, {"ok": True, "state": "ignored"})
    assert await place.state() == ("disconnected", None)


async def test_a_stranger_or_another_business_changes_nothing(place: Place) -> None:
    answers = [
        await place.says(secret="a guess", tenantId="business_6", connection="close"),
        await place.says(tenantId="business_9", connection="close"),
        await place.says(tenantId="not one", connection="close"),
        await place.says(connection="close"),
        await place.http.post(PATH, content=b"{", headers={"X-Internal-Secret": SECRET}),
        await place.http.post(PATH, json={"tenantId": "business_6", "connection": "close"}),
    ]

    assert [answer.status_code for answer in answers] == [401, 404, 404, 400, 400, 401]
    assert await place.state() == ("unknown", None)


async def test_a_customers_message_says_that_the_bridge_is_back_where_its_report_was_lost(
    place: Place,
) -> None:
    await place.says(tenantId="business_6", connection="close")
    look = place.engine.look
    await look.execute(
        "WITH who AS (INSERT INTO contact (business_id) VALUES (6) RETURNING id),"
        " chat AS (INSERT INTO conversation (business_id, channel_id, contact_id, address, last_message_at)"
        " SELECT 6, channel.id, who.id, '1', now() FROM channel, who WHERE business_id = 6"
        " RETURNING id, channel_id)"
        " INSERT INTO message (business_id, conversation_id, channel_id, direction, author, kind, status)"
        " SELECT 6, id, channel_id, 'in', 'customer', 'text', 'received' FROM chat"
    )
    # It may have come before, and been stored late.
    assert len(await place.away()) == 1

    await look.execute("UPDATE channel SET connection_at = now() - interval '2 minutes'")

    assert await place.away() == []
