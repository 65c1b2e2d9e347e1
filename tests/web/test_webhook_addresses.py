"""Where a webhook may lead is said when it is entered: the real guard, over names that lead as told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from server.ports import Outside
from server.providers.guarding import Allowed, GuardedClient, GuardedTransport
from server.providers.webhook_poster import HttpWebhookPoster
from tests.web.conftest import Shops
from tests.web.site import open_site
from tests.web.test_webhooks import URL, add, post

NAMES = {
    "flows.example": ["8.8.8.8"],
    "inside.example": ["10.0.0.5"],
    "both.example": ["8.8.8.8", "127.0.0.1"],
    "n8n.example": ["192.168.1.4"],
}
PRIVATE = "leads into a private network"


async def resolve(host: str, _port: int) -> list[str]:
    return NAMES.get(host) or ([host] if host[0].isdigit() else [])


@pytest.fixture
async def dana(clean_database: str, free_port: int, shops: Shops) -> AsyncIterator[httpx.AsyncClient]:
    guard = GuardedTransport(Allowed.parse("n8n.example:5678"), resolve_host=resolve)
    async with GuardedClient(guard) as http:
        outside = Outside(channels={}, webhooks=HttpWebhookPoster(http))
        async with open_site(clean_database, free_port, outside=outside) as site, site.visitor() as browser:
            await browser.get(f"/enter/{shops.links['dana']}")
            yield browser


@pytest.mark.parametrize("host", ["inside.example", "both.example", "169.254.169.254", "n8n.example:80"])
async def test_an_address_that_leads_inside_is_refused_in_words_and_not_kept(
    dana: httpx.AsyncClient, shops: Shops, host: str
) -> None:
    page = await post(dana, "/settings/webhooks", url=f"http://{host}/hook", **{"event.lead.created": "on"})

    assert (page.status_code, PRIVATE in page.text) == (400, True)
    assert await shops.dana.connection.fetchval("SELECT count(*) FROM webhook_endpoint") == 0


@pytest.mark.parametrize("url", [URL, "http://n8n.example:5678/hook"])
async def test_an_address_outside_or_that_the_operator_names_is_kept(
    dana: httpx.AsyncClient, url: str
) -> None:
    place, _ = await add(dana, "lead.created", url=url)

    assert "not found just now" not in (await dana.get(place)).text


async def test_a_name_that_is_not_there_yet_is_kept_and_said(dana: httpx.AsyncClient, shops: Shops) -> None:
    page = await post(
        dana, "/settings/webhooks", url="https://soon.example/hook", **{"event.lead.created": "on"}
    )

    assert (page.status_code, "not found just now" in page.text) == (200, True)
    assert await shops.dana.connection.fetchval("SELECT count(*) FROM webhook_endpoint") == 1


async def test_an_address_that_is_changed_or_tested_is_looked_at_again(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    place, _ = await add(dana, "lead.created")
    look = shops.dana.connection

    changed = await post(
        dana, f"{place}/change", url="http://inside.example/hook", **{"event.lead.created": "on"}
    )
    kept = await look.fetchval("SELECT url FROM webhook_endpoint")
    await look.execute("UPDATE webhook_endpoint SET url = 'http://inside.example/hook'")
    tested = await post(dana, f"{place}/test")

    assert [(page.status_code, PRIVATE in page.text) for page in (changed, tested)] == [(400, True)] * 2
    assert kept == URL
    assert await look.fetchval("SELECT count(*) FROM webhook_event") == 0
