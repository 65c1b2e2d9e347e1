"""Webhooks and API keys, as an owner sets them up: secrets once, nothing of anybody else's."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from server.domains import accounts
from server.secrets import Cipher
from tests.web.conftest import Shops
from tests.web.site import Site

URL = "https://flows.example/webhook/dana"
SECRET = re.compile(r'id="secret">([^<]+)<')


async def post(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    token = re.search(r'name="csrf" value="([^"]+)"', (await browser.get("/settings/api-keys")).text)
    assert token is not None
    return await browser.post(path, data={"csrf": token[1], **fields})


async def add(browser: httpx.AsyncClient, *events: str, url: str = URL) -> tuple[str, str]:
    page = await post(browser, "/settings/webhooks", url=url, **{f"event.{name}": "on" for name in events})
    assert page.status_code == 200, page.text
    secret, place = (
        SECRET.search(page.text),
        re.search(r'action="(/settings/webhooks/[^/"]+)/test"', page.text),
    )
    assert secret is not None
    assert place is not None
    return place[1], unescape(secret[1])


async def test_an_endpoint_is_made_and_its_secret_shown_once(dana: httpx.AsyncClient, shops: Shops) -> None:
    place, secret = await add(dana, "lead.created")

    page = await dana.get(place)
    sealed = await shops.dana.connection.fetchval("SELECT secret_encrypted FROM webhook_endpoint")
    assert secret.startswith("whsec_")
    assert Cipher("k" * 32).decrypt(sealed) == secret
    assert secret not in page.text
    assert URL in page.text
    assert URL in (await dana.get("/settings/webhooks")).text


async def test_a_new_secret_is_another_one(dana: httpx.AsyncClient) -> None:
    place, first = await add(dana, "lead.created")
    page = await post(dana, f"{place}/rotate")

    found = SECRET.search(page.text)
    assert found is not None
    assert unescape(found[1]) != first
    assert "older secret signs as well" in page.text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "ftp://n8n.example", "event.lead.created": "on"}, "Enter a whole address"),
        ({"url": URL}, "Choose at least one event"),
    ],
)
async def test_what_is_wrong_is_said_in_words(
    dana: httpx.AsyncClient, fields: dict[str, str], words: str
) -> None:
    page = await post(dana, "/settings/webhooks", **fields)

    assert (page.status_code, words in page.text) == (400, True)


async def test_the_log_shows_every_try_inert_and_tells_again(dana: httpx.AsyncClient, shops: Shops) -> None:
    place, _ = await add(dana, "lead.created")
    look = shops.dana.connection
    await look.execute(
        "WITH event AS (INSERT INTO webhook_event (business_id, type, key, data)"
        " VALUES ($1, 'lead.created', '1', '{}') RETURNING id),"
        " delivery AS (INSERT INTO webhook_delivery (business_id, endpoint_id, event_id, state, ended_at)"
        " SELECT $1, webhook_endpoint.id, event.id, 'failed', now() FROM webhook_endpoint, event"
        " RETURNING id)"
        " INSERT INTO webhook_attempt (delivery_id, number, business_id, status, duration_ms, error, answer)"
        " SELECT id, 1, $1, 500, 12, 'answered 500', '<script>alert(1)</script>' FROM delivery",
        shops.dana.business_id,
    )

    page = await dana.get(place)
    assert "answered 500" in page.text
    assert "<script>alert" not in page.text
    delivery = await look.fetchval("SELECT id::text FROM webhook_delivery")
    for path, fields in (("again", {"delivery": delivery}), ("failed-again", {"since": "day"})):
        await look.execute("UPDATE webhook_delivery SET state = 'failed', ended_at = now()")
        answer = await post(dana, f"{place}/{path}", **fields)
        assert answer.status_code == 303
        assert await look.fetchval("SELECT state FROM webhook_delivery") == "waiting"
    assert await look.fetchval("SELECT count(*) FROM job WHERE kind = 'webhook_deliver_job'") == 2


async def test_an_endpoint_is_turned_off_and_on_tested_and_deleted(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    place, _ = await add(dana, "lead.created")
    look = shops.dana.connection

    for deed, state in (("off", "off"), ("on", "on")):
        await post(dana, f"{place}/{deed}")
        assert await look.fetchval("SELECT state FROM webhook_endpoint") == state
    await post(dana, f"{place}/test")
    assert await look.fetchval("SELECT type FROM webhook_event") == "webhook.test"
    await post(dana, f"{place}/delete")
    assert await look.fetchval("SELECT count(*) FROM webhook_endpoint") == 0


async def test_noa_sees_and_changes_nothing_of_danas(
    dana: httpx.AsyncClient, noa: httpx.AsyncClient, shops: Shops
) -> None:
    place, _ = await add(dana, "lead.created")
    await post(dana, "/settings/api-keys", name="n8n")
    key_id = await shops.dana.connection.fetchval("SELECT id FROM api_key")

    assert (await noa.get(place)).status_code == 404
    assert URL not in (await noa.get("/settings/webhooks")).text
    for deed in ("off", "delete", "rotate", "test"):
        await post(noa, f"{place}/{deed}")
    await post(noa, f"/settings/api-keys/{key_id}/revoke")
    assert await shops.dana.connection.fetchval("SELECT state FROM webhook_endpoint") == "on"
    assert await shops.dana.connection.fetchval("SELECT count(*) FROM webhook_event") == 0
    assert await shops.dana.connection.fetchval("SELECT revoked_at FROM api_key") is None


async def test_a_key_is_shown_once_and_opens_the_business_until_it_is_revoked(
    dana: httpx.AsyncClient, shops: Shops, site: Site
) -> None:
    page = await post(dana, "/settings/api-keys", name="n8n")
    shown = SECRET.search(page.text)
    assert shown is not None
    key = unescape(shown[1])
    found = await accounts.find_api_key(site.context.database, key)
    assert found is not None
    assert found.business_id == shops.dana.business_id
    assert key not in (await dana.get("/settings/api-keys")).text

    await post(dana, f"/settings/api-keys/{found.key_id}/revoke")

    assert await accounts.find_api_key(site.context.database, key) is None
    assert "There is no key yet" in (await dana.get("/settings/api-keys")).text
