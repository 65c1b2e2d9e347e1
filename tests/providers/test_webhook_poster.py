"""Posting to addresses that customers chose: every way in which an answer can fail to come."""

from __future__ import annotations

import asyncio

import pytest

from server.errors import ProviderDownError, ProviderUnknownError
from server.providers.connections import open_guarded_connections
from server.providers.webhook_poster import AT_ONCE, MOST_ANSWER_BYTES, HttpWebhookPoster
from tests.engine import eventually
from tests.providers.raw_server import HANG

BODY = '{"type":"whatsapp_incoming","data":{"message":"שלום"}}'.encode()


@pytest.fixture
async def poster():
    async with open_guarded_connections("127.0.0.1") as http:
        yield HttpWebhookPoster(http, timeout_s=0.3)


async def post(poster, raw):
    return await poster.post(f"{raw.url}/hook?flow=1", body=BODY, headers={"webhook-id": "msg_1"}, name="one")


async def test_a_body_arrives_byte_by_byte(poster, raw):
    raw.says(200, {"message": "Workflow was started"})

    posted = await post(poster, raw)

    assert (posted.status, posted.retry_after_s) == (200, None)
    assert raw.bodies == [BODY]
    assert raw.heads[0].startswith("post /hook?flow=1 ")
    assert "webhook-id: msg_1" in raw.heads[0]


async def test_an_answer_is_read_to_a_limit(poster, raw):
    raw.says(500, b"x" * 1_000_000, retry_after="7")

    posted = await post(poster, raw)

    assert (posted.status, len(posted.answer), posted.retry_after_s) == (500, MOST_ANSWER_BYTES, 7)


@pytest.mark.parametrize("answer", [b"", b"not HTTP at all\r\n\r\n", HANG])
async def test_without_an_answer_nobody_knows_whether_it_arrived(poster, raw, answer):
    raw.answer = answer

    with pytest.raises(ProviderUnknownError):
        await post(poster, raw)


async def test_without_a_connection_it_did_not_arrive(poster, free_port):
    with pytest.raises(ProviderDownError):
        await poster.post(f"http://127.0.0.1:{free_port}/", body=BODY, headers={}, name="one")


async def test_so_many_are_on_their_way_to_one_endpoint_at_once(poster, raw):
    raw.answer = HANG
    posts = [asyncio.create_task(post(poster, raw)) for _ in range(AT_ONCE)]
    await eventually(lambda: not poster.has_room("one"))

    assert poster.has_room("another")
    await asyncio.gather(*posts, return_exceptions=True)
    assert poster.has_room("one")
