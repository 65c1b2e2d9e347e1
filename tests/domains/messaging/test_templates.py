"""The templates that a provider lists: kept, archived once they are gone, and never sent unless approved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from server.domains import messaging
from server.domains.messaging import Filling, Letter, syncing
from server.errors import BadInputError, ProviderDownError
from server.jobs import load_handlers
from server.ports import ChannelAccount, ListedTemplate, TemplateStatus
from server.providers.whatsapp_cloud_templates import PAGE, EndlessListError, read_pages
from tests.domains.messaging.conftest import Phone
from tests.domains.messaging.test_letters import met
from tests.engine import BUSINESS

load_handlers()

YES = {"type": "quick_reply", "text": "Yes", "url": ""}
READY = ListedTemplate(
    "ready", "en", "UTILITY", TemplateStatus.APPROVED, None, "Order {{1}}", 1, buttons=[YES]
)
OFFER = ListedTemplate("offer", "he", "MARKETING", TemplateStatus.PAUSED, None, "מבצע")
KEPT = "SELECT name, status, variables, buttons -> 0 ->> 'text' FROM message_template ORDER BY name"


@dataclass
class Listing(Phone):
    """A channel whose provider has templates, or fails with what is there instead."""

    listed: list[ListedTemplate | Exception] = field(default_factory=list)

    async def list_templates(self, account: ChannelAccount) -> Sequence[ListedTemplate]:  # noqa: ARG002
        for one in self.listed:
            if isinstance(one, Exception):
                self.listed.remove(one)
                raise one
        return [one for one in self.listed if isinstance(one, ListedTemplate)]


@pytest.fixture
async def listing(shop):
    shop.phone = Listing(listed=[READY, OFFER])
    await met(shop)
    return shop


async def sync(shop):
    async with shop.engine.api.transaction(BUSINESS) as session:
        await messaging.ask_for_templates(session, BUSINESS, shop.channel_id)
    await shop.settle()


async def offered(shop):
    async with shop.engine.api.transaction(BUSINESS) as session:
        listed = await messaging.list_templates(session, BUSINESS)
    return [(one.name, one.may_be_sent) for one in listed]


async def test_what_the_provider_lists_is_kept_and_a_second_time_changes_nothing(listing):
    for _ in range(2):
        await sync(listing)

        assert await listing.rows(KEPT) == [("offer", "PAUSED", 0, None), ("ready", "APPROVED", 1, "Yes")]
    assert await offered(listing) == [("ready", True), ("offer", False)]


async def test_one_that_is_gone_is_archived_and_comes_back_when_it_does(listing):
    await sync(listing)
    template_id = await listing.look("SELECT id FROM message_template WHERE name = 'ready'")

    listing.phone.listed = [OFFER]
    await sync(listing)
    assert await offered(listing) == [("offer", False)]
    conversation_id = await listing.look("SELECT id FROM conversation")
    letter = Letter(business_id=BUSINESS, conversation_id=conversation_id, client_key="k", text="")
    async with listing.engine.api.transaction(BUSINESS) as session:
        with pytest.raises(BadInputError):
            await messaging.fill_template(session, letter, template_id, Filling(["7"]))

    listing.phone.listed = [replace(READY, status=TemplateStatus.PENDING), OFFER]
    await sync(listing)
    assert await listing.look("SELECT status FROM message_template WHERE id = $1", template_id) == "PENDING"


async def test_quick_replies_outlive_every_list(listing):
    async with listing.engine.api.transaction(BUSINESS) as session:
        await messaging.add_quick_reply(session, BUSINESS, name="hours", body="We open at 8.")
    listing.phone.listed = []

    await sync(listing)

    assert await offered(listing) == [("hours", True)]


async def test_a_list_that_breaks_off_changes_nothing_and_is_asked_for_again(listing):
    await sync(listing)
    listing.phone.listed = [ProviderDownError("away"), OFFER]

    await sync(listing)
    assert len(await listing.rows("SELECT FROM message_template WHERE status <> 'ARCHIVED'")) == 2
    await listing.engine.look.execute("UPDATE job SET due_at = now() WHERE state = 'ready'")
    await listing.settle()

    assert await offered(listing) == [("offer", False)]


async def test_what_is_told_in_one_minute_is_asked_for_once(listing):
    async with listing.engine.worker.transaction(BUSINESS) as session:
        for _ in range(20):
            await syncing.ask_for_changed_templates(session, BUSINESS, listing.channel_id)

    waits = "SELECT count(*), min(due_at - now()) > interval '4 seconds' FROM job WHERE kind = $1"
    assert await listing.rows(waits, "templates_sync_job") == [(1, True)]


def told(**more: Any) -> dict[str, Any]:
    body = {"type": "BODY", "text": "Hello {{1}}"}
    return (
        {"name": "a", "language": "he", "status": "APPROVED", "category": "UTILITY"}
        | {"components": [body, *more.pop("parts", [])]}
        | more
    )


def button(kind: str, **more: str) -> list[dict[str, Any]]:
    return [{"type": "BUTTONS", "buttons": [{"type": kind} | more]}]


def named(body: str) -> dict[str, Any]:
    return {"parameter_format": "NAMED", "components": [{"type": "BODY", "text": body}]}


async def read(*listed: Any) -> list[ListedTemplate]:
    async def ask(**_query: str) -> dict[str, Any]:
        return {"data": list(listed)}

    return [one async for one in read_pages(ask)]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, "APPROVED"),
        ({"parts": [{"type": "FOOTER", "text": "Bye"}]}, "APPROVED"),
        ({"parts": button("URL", url="https://a.b/c")}, "APPROVED"),
        ({"parts": button("URL", url="https://a.b/{{1}}")}, "APPROVED"),
        ({"parts": button("COPY_CODE", text="Copy")}, "APPROVED"),
        ({"parts": [{"type": "HEADER", "format": "IMAGE"}]}, "APPROVED"),
        ({"parts": [{"type": "HEADER", "format": "TEXT", "text": "{{1}}"}]}, "APPROVED"),
        (named("Hello {{first_name}}"), "APPROVED"),
        ({"parts": button("OTP")}, "UNSUPPORTED"),
        ({"parts": button("URL", url="https://{{1}}/{{2}}")}, "UNSUPPORTED"),
        ({"parts": [{"type": "HEADER", "format": "LOCATION"}]}, "UNSUPPORTED"),
        ({"parts": [{"type": "CAROUSEL"}]}, "UNSUPPORTED"),
        ({"components": [{"type": "BODY", "text": "Hello {{name}}"}]}, "UNSUPPORTED"),
        (named("Hello {{First Name}}"), "UNSUPPORTED"),
        ({"components": [{"type": "BODY", "text": "Hello {{2}}"}]}, "UNSUPPORTED"),
        ({"components": "nonsense"}, "UNSUPPORTED"),
        ({"category": "AUTHENTICATION"}, "UNSUPPORTED"),
        ({"status": "REJECTED"}, "REJECTED"),
        ({"status": "LIMIT_EXCEEDED"}, "WAITING"),
    ],
)
async def test_only_what_can_be_filled_in_here_may_be_sent(more, status):
    [one] = await read(told(**more))

    assert one.status == status
    assert (one.reason is not None) == (status == "UNSUPPORTED")


async def test_a_list_that_is_no_list_of_templates_is_read_as_far_as_it_goes():
    assert [one.name for one in await read(7, None, {}, {"name": 3}, told(name="x" * 600), told())] == ["a"]


async def test_a_list_that_goes_in_a_circle_comes_to_an_end():
    pages = []

    async def ask(**query: str) -> dict[str, Any]:
        pages.append(query)
        return {"data": [], "paging": {"next": "there", "cursors": {"after": "same"}}}

    with pytest.raises(EndlessListError):
        [one async for one in read_pages(ask)]

    assert (pages[0]["limit"], pages[1]["after"]) == (str(PAGE), "same")
