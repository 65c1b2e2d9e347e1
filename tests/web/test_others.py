"""What belongs to another business is not there: every deed that names something by its id says so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.routing import Route

from server.web import webhooks
from server.web.routes import web_routes
from tests.web.conftest import Shops, form_token
from tests.web.site import Site
from tests.web.story import Story

PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
# Enough for every form there is: a deed is refused for whom it is done to, not for what is written.
FORM = {
    "text": "hello",
    "stage": "new",
    "note": "hello",
    "name": "Maya",
    "value": "granted",
    "title": "Prices",
    "body": "Ten",
    "act": "stop",
    "do": "again",
    "for": "off",
    "message": str(uuid4()),
    "suggestion": str(uuid4()),
    "other": str(uuid4()),
    "merge": str(uuid4()),
    "delivery": str(uuid4()),
    "url": "https://flows.example/hook",
    "event.lead.created": "on",
}
OF_A_BUSINESS = """
SELECT columns.table_name FROM information_schema.columns
JOIN information_schema.tables USING (table_schema, table_name)
WHERE column_name = 'business_id' AND table_schema = 'public' AND table_type = 'BASE TABLE'
ORDER BY columns.table_name
"""


def deeds(site: Site) -> list[str]:
    """Every address that something is posted to with a part that varies; `deed` with each of its words."""
    paths = [
        route.path
        for route in web_routes(site.context)
        if isinstance(route, Route) and "POST" in (route.methods or ()) and PARAMETER.search(route.path)
    ]
    return [
        path.replace("{deed}", deed)
        for path in paths
        for deed in (webhooks.DEEDS if "{deed}" in path else [""])
    ]


async def one_of_each(story: Story) -> dict[str, str]:
    """A business that has one of each thing that an address may name."""
    business_id, look = story.business_id, story.connection
    conversation_id = await story.meet("Maya")
    made: dict[str, Any] = {
        "conversation_id": conversation_id,
        "contact_id": await look.fetchval(
            "SELECT contact_id FROM conversation WHERE id = $1", conversation_id
        ),
    }
    for name, statement in {
        "channel_id": "INSERT INTO channel (business_id, kind, name, account_id, base_url, secret_encrypted,"
        " token_digest) VALUES ($1, 'whatsapp_cloud', gen_random_uuid()::text, '5', '', '-',"
        " gen_random_uuid()::text) RETURNING id",
        "endpoint_id": "INSERT INTO webhook_endpoint (business_id, url, events, secret_encrypted)"
        " VALUES ($1, 'https://flows.example/hook', '{lead.created}', '-') RETURNING id",
        "key_id": "INSERT INTO api_key (business_id, name, prefix, token_digest)"
        " VALUES ($1, 'n8n', 'p', 'd') RETURNING id",
        "media_id": "INSERT INTO media_file (business_id, kind, state, reason)"
        " VALUES ($1, 'image', 'gone', 'away') RETURNING id",
        "import_id": "INSERT INTO lead_import (business_id, file_name, content, made_by)"
        " VALUES ($1, 'a.csv', 'a,b', 'dana') RETURNING id",
        "entry_id": "INSERT INTO knowledge_entry (business_id, title, body, language)"
        " VALUES ($1, 'Prices', 'Twenty', 'en') RETURNING id",
    }.items():
        made[name] = await look.fetchval(statement, business_id)
    return {name: str(value) for name, value in made.items()}


async def holdings(story: Story) -> dict[str, str | None]:
    """All that a business has, table by table."""
    tables = [row["table_name"] for row in await story.connection.fetch(OF_A_BUSINESS)]
    return {
        table: await story.connection.fetchval(
            f"SELECT string_agg(held::text, ' ' ORDER BY held::text) FROM {table} AS held"
            " WHERE business_id = $1",
            story.business_id,
        )
        for table in tables
    }


def named(path: str, ids: Mapping[str, str]) -> str:
    """An address with its ids; KeyError for a kind of thing of which `one_of_each` has none."""
    return PARAMETER.sub(lambda found: ids[found[1]], path)


@pytest.mark.parametrize("whose", ["another_business", "nobody"])
async def test_a_deed_on_what_is_not_of_the_business_is_answered_that_it_is_not_there_and_does_nothing(
    noa: httpx.AsyncClient, shops: Shops, site: Site, whose: str
) -> None:
    ids = await one_of_each(shops.dana)
    if whose == "nobody":
        ids = {name: str(uuid4()) for name in ids}
    token = form_token(await noa.get("/settings/api-keys"))
    before = await holdings(shops.dana), await holdings(shops.noa)

    answers = {}
    for path in deeds(site):
        answer = await noa.post(named(path, ids), data={"csrf": token, "client_key": str(uuid4()), **FORM})
        answers[path] = answer.status_code

    assert len(answers) > 20
    assert {path: status for path, status in answers.items() if status != 404} == {}
    assert (await holdings(shops.dana), await holdings(shops.noa)) == before


async def test_what_is_of_the_business_is_found_under_the_same_addresses(
    dana: httpx.AsyncClient, shops: Shops, site: Site
) -> None:
    token = form_token(await dana.get("/settings/api-keys"))

    for path in deeds(site):
        ids = await one_of_each(shops.dana)
        answer = await dana.post(named(path, ids), data={"csrf": token, "client_key": str(uuid4()), **FORM})
        assert answer.status_code != 404, path
        await shops.dana.connection.execute("DELETE FROM knowledge_entry; DELETE FROM api_key")
