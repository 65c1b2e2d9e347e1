"""What the answer to a send proves: sent, refused for good, not sent yet, or nothing at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import uuid4

import httpx
import orjson
import pytest

from server.errors import ProviderBusyError, ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.ports import ChannelAccount, OutgoingText
from server.providers import whatsapp_bridge
from server.providers.answers import UNSAID_S
from server.providers.whatsapp_bridge import WhatsappBridge

DANA = "972501234567:3@s.whatsapp.net"


def account(base_url: str, secret: str = "the bridge's secret") -> ChannelAccount:
    return ChannelAccount(uuid4(), 6, base_url, secret, "business_6")


async def send(http, base_url: str, **account_parts):
    channel = account(base_url, **account_parts)
    return await WhatsappBridge(http).send(channel, OutgoingText("שלום"), to=DANA, key="reply:1")


async def test_a_text_goes_out_in_the_bridges_own_words(http, raw):
    raw.says(200, {"ok": True, "messageId": "3EB0OURS", "status": "sent"})

    accepted = await send(http, raw.url + "/")

    assert accepted.provider_id == "3EB0OURS"
    assert raw.heads[0].startswith("post /send ")
    assert "x-internal-secret: the bridge's secret" in raw.heads[0]
    assert orjson.loads(raw.bodies[0]) == {
        "to": DANA,
        "type": "text",
        "text": "שלום",
        "idempotencyKey": "reply:1",
        "tenantId": "business_6",
    }


async def test_no_connection_is_kept_that_could_close_under_a_send(http, raw):
    raw.says(200, {"messageId": "3EB0OURS"})

    await send(http, raw.url)

    assert "connection: close" in raw.heads[0]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, {"error": "WhatsApp not connected"}),
        (500, {"error": "send_failed", "message": "not on WhatsApp"}),
        (408, b""),
    ],
)
async def test_what_the_bridge_says_it_did_not_send_may_be_tried_again(http, raw, status, body):
    raw.says(status, body)

    with pytest.raises(ProviderDownError):
        await send(http, raw.url)


async def test_a_bridge_that_does_not_listen_took_nothing(http, free_port):
    with pytest.raises(ProviderDownError, match="business 6 cannot be reached"):
        await send(http, f"http://127.0.0.1:{free_port}")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"oops"),
        (500, {"error": "other"}),
        (500, {"error": "send_failed", "message": "Timed Out"}),
        (502, {"error": "bad gateway"}),
        (503, b"<html>"),
        (504, b""),
        (200, b"not json"),
        (200, b""),
        (200, {"ok": True}),
        (200, {"messageId": ""}),
        (200, {"messageId": 7}),
        (200, {"messageId": "3EB0\x00"}),
        (202, {"messageId": "3EB0"}),
        (200, []),
    ],
)
async def test_what_proves_nothing_is_unknown(http, raw, status, body):
    raw.says(status, body)

    with pytest.raises(ProviderUnknownError):
        await send(http, raw.url)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{", b"nonsense\r\n\r\n"]
)
async def test_a_connection_that_breaks_after_the_request_is_unknown(http, raw, answer):
    raw.answer = answer

    with pytest.raises(ProviderUnknownError):
        await send(http, raw.url)


async def test_a_bridge_that_never_answers_is_unknown(http, raw, monkeypatch):
    raw.answer = None
    monkeypatch.setattr(whatsapp_bridge, "TIMEOUT", httpx.Timeout(0.05, connect=5))

    with pytest.raises(ProviderUnknownError):
        await send(http, raw.url)


async def test_an_answer_that_only_drips_ends_at_the_total_time(http, raw, monkeypatch):
    raw.answer = None
    monkeypatch.setattr(whatsapp_bridge, "TOTAL_TIMEOUT_S", 0.05)

    with pytest.raises(ProviderUnknownError):
        await send(http, raw.url)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 413, 422])
async def test_a_refusal_is_for_good_and_says_what_to_do(http, raw, status):
    raw.says(status, {"error": "no"}, location="http://127.0.0.1:1/")

    with pytest.raises(ProviderRefusedError) as refused:
        await send(http, raw.url)

    assert "business 6" in str(refused.value)
    assert "the bridge's secret" not in str(refused.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "bridge",
        "ftp://127.0.0.1",
        "http://[",
        "http://127.0.0.1:99999",
        "http://xn--a.invalid",
        "http://",
    ],
)
async def test_an_address_that_is_none_is_refused(http, base_url):
    with pytest.raises(ProviderRefusedError):
        await send(http, base_url)


async def test_a_secret_that_fits_no_header_is_refused(http, raw):
    with pytest.raises(ProviderRefusedError):
        await send(http, raw.url, secret="two\nlines")


async def test_a_secret_may_be_in_any_script(http, raw):
    raw.says(200, {"messageId": "3EB0OURS"})

    await send(http, raw.url, secret="סוד")

    assert "x-internal-secret: סוד" in raw.heads[0]


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("7", 7.0), ("0", 1.0), ("1e9", 30.0), ("999999", 3600.0), ("", 30.0), ("soon", 30.0)],
)
async def test_a_busy_bridge_says_how_long_to_wait(http, raw, told, seconds):
    raw.says(429, {"error": "rate_limited"}, retry_after=told)

    with pytest.raises(ProviderBusyError) as busy:
        await send(http, raw.url)

    assert busy.value.retry_after_s == seconds


async def test_a_wait_may_be_told_as_a_date(http, raw):
    raw.says(429, b"", retry_after=format_datetime(datetime.now(UTC) + timedelta(seconds=90)))

    with pytest.raises(ProviderBusyError) as busy:
        await send(http, raw.url)

    assert 80 < busy.value.retry_after_s <= 90


async def test_a_wait_to_the_end_of_time_is_as_good_as_none(http, raw):
    raw.says(429, b"", retry_after="1 Jan 99999999999 00:00:00 GMT")

    with pytest.raises(ProviderBusyError) as busy:
        await send(http, raw.url)

    assert busy.value.retry_after_s == UNSAID_S
