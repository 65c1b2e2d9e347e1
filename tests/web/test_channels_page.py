"""Connecting WhatsApp: what an owner enters, what is kept sealed, and what is never shown again."""

from __future__ import annotations

import re

import asyncpg
import httpx
import pytest

from server.db.tenancy import credential_digest
from tests.web.conftest import Shops, form_token
from tests.web.site import BRIDGE_URL

PATH = "/settings/channels"
DIGEST = "SELECT token_digest FROM channel WHERE business_id = $1"
NUMBER = {
    "number": "106540352242922",
    "waba": "102290129340398",
    "access_token": "EAAG-the-access-token",
    "app_secret": "the-app-secret-of-dana",
}


@pytest.fixture
async def look(clean_database: str):
    connection = await asyncpg.connect(clean_database)
    yield connection
    await connection.close()


async def enter(browser: httpx.AsyncClient, what: str, **fields: str) -> httpx.Response:
    token = form_token(await browser.get(PATH))
    return await browser.post(f"{PATH}/{what}", data={"csrf": token} | fields, follow_redirects=True)


async def test_a_number_is_connected_and_its_secrets_are_never_shown(
    dana: httpx.AsyncClient, shops: Shops, look: asyncpg.Connection
) -> None:
    page = await enter(dana, "number", **NUMBER)

    row = await look.fetchrow("SELECT * FROM channel WHERE kind = 'whatsapp_cloud'")
    assert page.status_code == 200
    assert f"/webhook/whatsapp/cloud/{row['id']}" in page.text
    for secret in (NUMBER["access_token"], NUMBER["app_secret"]):
        assert secret not in page.text
        assert secret not in str(dict(row))
    assert row["business_id"] == shops.dana.business_id
    assert await look.fetchval("SELECT count(*) FROM job WHERE kind = 'channel_reconnected_job'") == 1


async def test_new_secrets_replace_the_old_and_empty_ones_keep_them(
    dana: httpx.AsyncClient, look: asyncpg.Connection
) -> None:
    await enter(dana, "number", **NUMBER)
    before = await look.fetchrow("SELECT * FROM channel WHERE kind = 'whatsapp_cloud'")

    await enter(dana, "number", **(NUMBER | {"access_token": "EAAG-a-newer-token", "app_secret": ""}))

    after = await look.fetchrow("SELECT * FROM channel WHERE kind = 'whatsapp_cloud'")
    assert after["id"] == before["id"]
    assert after["secret_encrypted"] != before["secret_encrypted"]
    assert after["signing_secret_encrypted"] == before["signing_secret_encrypted"]


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("number", NUMBER | {"number": "+972 50"}),
        ("number", NUMBER | {"app_secret": ""}),
        ("number", NUMBER | {"access_token": "short"}),
        ("bridge", {"base_url": "http://169.254.169.254/"}),
        ("bridge", {"base_url": "javascript:alert(1)"}),
        ("bridge", {"base_url": "http://[", "secret": ""}),
        ("bridge", {"base_url": BRIDGE_URL, "secret": "short"}),
    ],
)
async def test_what_cannot_be_used_is_said_and_nothing_is_kept(
    dana: httpx.AsyncClient, look: asyncpg.Connection, what: str, fields: dict[str, str]
) -> None:
    before = await look.fetch("SELECT * FROM channel ORDER BY id")

    page = await enter(dana, what, **fields)

    assert page.status_code == 422
    assert 'role="alert"' in page.text
    assert await look.fetch("SELECT * FROM channel ORDER BY id") == before


async def test_a_secret_that_was_made_for_a_bridge_is_shown_once(
    dana: httpx.AsyncClient, shops: Shops, look: asyncpg.Connection
) -> None:
    page = await enter(dana, "bridge", base_url=BRIDGE_URL, renew="yes", secret="a-secret-of-our-own-1")
    own = await look.fetchval(DIGEST, shops.dana.business_id)

    made = await enter(dana, "bridge", base_url=BRIDGE_URL, renew="yes")

    [secret] = re.findall(r'<code class="copyable" dir="ltr">([^<]+)</code>', made.text)
    digest = await look.fetchval(DIGEST, shops.dana.business_id)
    assert own == credential_digest("a-secret-of-our-own-1")
    assert "a-secret-of-our-own-1" not in page.text
    assert digest == credential_digest(secret)
    assert made.headers["cache-control"] == "no-store"
    assert secret not in (await dana.get(PATH)).text


async def test_a_held_number_says_what_to_do(dana: httpx.AsyncClient, look: asyncpg.Connection) -> None:
    await enter(dana, "number", **NUMBER)
    await look.execute(
        "INSERT INTO provider_account (provider, name, tokens, failures, reason, held_at)"
        " SELECT kind, id::text, 0, 5, 'held:payment', now() FROM channel WHERE kind = 'whatsapp_cloud'"
    )

    assert "billing settings" in (await dana.get(f"{PATH}?lang=en")).text


async def test_another_business_sees_none_of_it(dana: httpx.AsyncClient, noa: httpx.AsyncClient) -> None:
    await enter(dana, "number", **NUMBER)

    assert NUMBER["number"] not in (await noa.get(PATH)).text


async def test_a_numbers_templates_are_asked_for_and_those_that_may_not_go_say_why(
    dana: httpx.AsyncClient, shops: Shops, look: asyncpg.Connection
) -> None:
    await enter(dana, "number", **NUMBER)
    channel_id = await look.fetchval("SELECT id FROM channel WHERE kind = 'whatsapp_cloud'")
    await look.execute(
        "INSERT INTO message_template (business_id, channel_id, name, language, status, reason, body)"
        " VALUES ($1, $2, 'ready', 'he', 'APPROVED', NULL, 'hi'),"
        " ($1, $2, 'offer', 'he', 'REJECTED', 'PROMOTIONAL', 'hi'),"
        " ($1, $2, 'gone', 'he', 'ARCHIVED', NULL, 'hi')",
        shops.dana.business_id,
        channel_id,
    )

    page = await enter(dana, f"{channel_id}/templates")

    assert "Templates that may be sent: 1" in page.text
    assert "Meta rejected it" in page.text
    assert "PROMOTIONAL" in page.text
    assert "gone" not in page.text
    assert await look.fetchval("SELECT count(*) FROM job WHERE kind = 'templates_sync_job'") == 2


async def test_nobody_asks_for_the_templates_of_another_business(
    dana: httpx.AsyncClient, noa: httpx.AsyncClient, look: asyncpg.Connection
) -> None:
    await enter(dana, "number", **NUMBER)
    channel_id = await look.fetchval("SELECT id FROM channel WHERE kind = 'whatsapp_cloud'")

    answer = await enter(noa, f"{channel_id}/templates")

    assert answer.status_code == 404
    assert await look.fetchval("SELECT count(*) FROM job WHERE kind = 'templates_sync_job'") == 1
