"""What stands still is told on the inbox and above the settings, until somebody put it right."""

from __future__ import annotations

import httpx
import pytest

from tests.web.conftest import Shops
from tests.web.test_webhooks import add, post


@pytest.mark.parametrize(
    ("state", "words"), [("gone", "says that it is gone"), ("failing", "nothing arrived there")]
)
async def test_an_endpoint_that_was_turned_off_by_itself_is_told_where_its_owner_looks(
    dana: httpx.AsyncClient, noa: httpx.AsyncClient, shops: Shops, state: str, words: str
) -> None:
    place, _ = await add(dana, "lead.created")
    await shops.dana.connection.execute("UPDATE webhook_endpoint SET state = $1", state)

    for path in ("/inbox", "/settings"):
        page = (await dana.get(path)).text
        assert "The webhook to flows.example was turned off" in page
        assert words in page
        assert f'<a href="{place}">' in page
        assert "flows.example" not in (await noa.get(path)).text
    await post(dana, f"{place}/off")
    assert "flows.example" not in (await dana.get("/inbox")).text


async def test_many_endpoints_that_were_turned_off_are_one_line(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    for host in ("a", "b"):
        await add(dana, "lead.created", url=f"https://{host}.example/hook")
    await shops.dana.connection.execute("UPDATE webhook_endpoint SET state = 'failing'")

    assert "2 webhooks were turned off" in (await dana.get("/settings")).text


async def test_what_the_assistant_has_to_tell_is_said_where_its_owner_looks(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    await shops.dana.connection.execute(
        "INSERT INTO assistant_notice (business_id, kind, period) VALUES ($1, 'model_down', current_date)",
        shops.dana.business_id,
    )

    for path in ("/inbox", "/settings"):
        assert "something you should know of the assistant" in (await dana.get(path)).text
    await post(dana, "/settings/assistant/seen")
    assert "something you should know" not in (await dana.get("/inbox")).text


@pytest.mark.parametrize(
    ("reason", "words"), [(None, "not connected to WhatsApp"), ("logged_out", "scan its QR code again")]
)
async def test_a_bridge_that_lost_whatsapp_is_told_where_people_look(
    dana: httpx.AsyncClient, noa: httpx.AsyncClient, shops: Shops, reason: str | None, words: str
) -> None:
    await shops.dana.connection.execute(
        "UPDATE channel SET connection = 'disconnected', connection_reason = $2, connection_at = now()"
        " WHERE business_id = $1",
        shops.dana.business_id,
        reason,
    )

    for path in ("/inbox", "/settings", "/settings/channels"):
        assert words in (await dana.get(path)).text
        assert words not in (await noa.get(f"{path}?lang=en")).text
