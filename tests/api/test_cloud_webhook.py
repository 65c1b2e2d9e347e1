"""The webhook of a number at Meta: who may post, what is kept, and what a stranger learns."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette

from server.api.bodies import MOST_BYTES
from server.api.routes import api_routes
from server.domains import messaging
from server.domains.messaging import CloudNumber, Doors, Receiver
from server.errors import StoreUnavailableError
from server.ports import Outside
from server.providers.connections import open_connections
from server.providers.whatsapp_bridge import WhatsappBridge
from server.providers.whatsapp_cloud import WhatsappCloud
from server.secrets import Cipher
from tests.engine import Engine, open_engine

SAMPLE = Path(__file__).parents[1] / "fixtures" / "whatsapp" / "cloud" / "signed_raw_body.bin"
EXPECTED = orjson.loads((SAMPLE.parents[1] / "expected.json").read_bytes())["cloud/signed_raw_body.bin"]
SECRET, NUMBER = EXPECTED["app_secret"], "106540352242922"
CIPHER = Cipher("k" * 40)


@dataclass
class Place:
    """A channel of business 6, and a client that reaches the webhooks."""

    engine: Engine
    http: httpx.AsyncClient
    path: str
    verify_token: str

    async def post(self, body: bytes, *, secret: str = SECRET, path: str = "") -> httpx.Response:
        signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return await self.http.post(
            path or self.path, content=body, headers={"X-Hub-Signature-256": signature}
        )

    async def stored(self) -> list[tuple[str, str | None]]:
        rows = await self.engine.look.fetch("SELECT event_id, reason FROM inbox_event ORDER BY event_id")
        return [(row["event_id"], row["reason"]) for row in rows]


def refused(reason: str) -> float:
    told = {"channel": "whatsapp_cloud", "reason": reason}
    return REGISTRY.get_sample_value("prosaas_webhooks_refused_total", told) or 0.0


@pytest.fixture
async def place(clean_database: str, redis_url: str) -> AsyncIterator[Place]:
    async with open_engine(clean_database, redis_url) as engine, open_connections() as http:
        async with engine.api.transaction(6) as session:
            channel_id = await messaging.connect_cloud(
                session, 6, number=CloudNumber(NUMBER, "102290129340398", "token", SECRET), cipher=CIPHER
            )
            [channel] = await messaging.list_channels(session)
        outside = Outside(
            {
                "whatsapp_bridge": WhatsappBridge(http),
                "whatsapp_cloud": WhatsappCloud(http, base_url="http://127.0.0.1:1", version="v23.0"),
            },
            open_secret=CIPHER.decrypt,
            channel_key=CIPHER.key_of,
        )
        app = Starlette(routes=api_routes(engine.api, Receiver(engine.api), Doors(engine.api), outside))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://us") as client:
            token = CIPHER.decrypt(channel.verify_token_encrypted)
            yield Place(engine, client, f"/webhook/whatsapp/cloud/{channel_id}", token)


async def test_a_body_is_signed_as_it_came_and_not_as_it_would_be_written_again(place: Place) -> None:
    body = SAMPLE.read_bytes()
    again = orjson.dumps(orjson.loads(body))
    told = {"X-Hub-Signature-256": EXPECTED["x_hub_signature_256"]}

    passed = await place.http.post(place.path, content=body, headers=told)
    rewritten = await place.http.post(place.path, content=again, headers=told)
    resigned = await place.http.post(
        place.path, content=body, headers={"X-Hub-Signature-256": EXPECTED["must_fail_reencoded"]}
    )

    assert (passed.status_code, passed.json()) == (200, {"ok": True, "stored": 1})
    assert (rewritten.status_code, resigned.status_code) == (401, 401)
    assert await place.stored() == [("wamid.HBgM", None)]


async def test_an_address_is_verified_by_its_own_token_alone(place: Place) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": place.verify_token, "hub.challenge": "1158201444"}

    right = await place.http.get(place.path, params=asked)
    wrong = await place.http.get(place.path, params=asked | {"hub.verify_token": "guess"})
    empty = await place.http.get(place.path, params=asked | {"hub.verify_token": ""})

    assert (right.status_code, right.text) == (200, "1158201444")
    assert right.headers["content-type"].startswith("text/plain")
    assert (wrong.status_code, empty.status_code) == (403, 403)


@pytest.mark.parametrize(
    ("body", "secret", "status", "error"),
    [
        (b"{}", "another secret", 401, "unauthorized"),
        (b"{not json", SECRET, 400, "not_json"),
        (b"[1]", SECRET, 400, "not_json"),
        (b"{" + b" " * MOST_BYTES + b"}", SECRET, 413, "too_large"),
    ],
)
async def test_what_cannot_be_taken_is_refused_with_its_reason_and_counted(
    place: Place, body: bytes, secret: str, status: int, error: str
) -> None:
    before = refused(error)

    answer = await place.post(body, secret=secret)

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert refused(error) == before + 1
    assert await place.stored() == []


async def test_no_signature_is_refused_before_the_body_is_read(place: Place) -> None:
    assert (await place.http.post(place.path, content=b"{not json")).status_code == 401


async def test_an_address_that_is_nobodys_is_not_there_and_the_operator_sees_it(place: Place) -> None:
    before = refused("unknown_channel")

    answers = [await place.post(b"{}", path=f"/webhook/whatsapp/cloud/{uuid4()}") for _ in range(3)]

    assert {answer.status_code for answer in answers} == {404}
    assert refused("unknown_channel") == before + 3


async def test_a_channel_without_its_secret_refuses_all_traffic(place: Place) -> None:
    await place.engine.look.execute(
        "UPDATE channel SET signing_secret_encrypted = '', verify_token_encrypted = ''"
    )
    asked = {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"}

    assert (await place.post(SAMPLE.read_bytes(), secret="")).status_code == 401
    assert (await place.http.get(place.path, params=asked)).status_code == 403


async def test_a_replaced_secret_opens_nothing_from_that_moment(place: Place) -> None:
    assert (await place.post(SAMPLE.read_bytes())).status_code == 200
    async with place.engine.api.transaction(6) as session:
        await messaging.connect_cloud(
            session, 6, number=CloudNumber(NUMBER, "102290129340398", "", "the new one"), cipher=CIPHER
        )

    assert (await place.post(SAMPLE.read_bytes())).status_code == 401
    assert (await place.post(SAMPLE.read_bytes(), secret="the new one")).status_code == 200


async def test_what_came_to_another_number_is_kept_apart_and_seen(place: Place) -> None:
    before = refused("foreign_number")
    body = re.sub(NUMBER.encode(), b"999", SAMPLE.read_bytes())

    answer = await place.post(body)

    assert answer.json() == {"ok": True, "stored": 1}
    [(event_id, reason)] = await place.stored()
    assert event_id == "foreign:wamid.HBgM"
    assert reason
    assert "another number" in reason
    assert refused("foreign_number") == before + 1


async def test_nothing_is_acknowledged_while_the_database_is_away(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> int:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(Receiver, "receive_at", away)

    answer = await place.post(SAMPLE.read_bytes())

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_the_same_delivery_again_is_stored_once(place: Place) -> None:
    answers = [await place.post(SAMPLE.read_bytes()) for _ in range(3)]

    assert [answer.json()["stored"] for answer in answers] == [1, 1, 1]
    assert len(await place.stored()) == 1
    assert await place.engine.look.fetchval("SELECT count(*) FROM job") == 1
