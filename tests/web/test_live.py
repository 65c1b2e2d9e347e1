"""The stream: what changed is sent, quickly, to whom it belongs, and it ends when it must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest

from server.web import scene
from server.web.feed import StreamLimit, TooManyStreamsError
from tests.web.conftest import Shops, form_token
from tests.web.site import Site


class Stream:
    """Reads one event after another."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self, wanted: str) -> Any:
        """The next event of this name, within five seconds."""
        async with asyncio.timeout(5):
            name = ""
            async for line in self._lines:
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                if line.startswith("data: ") and name == wanted:
                    return orjson.loads(line.removeprefix("data: "))
        raise AssertionError(f"the stream ended before {wanted}")

    async def ends(self) -> bool:
        async with asyncio.timeout(5):
            async for _ in self._lines:
                pass
        return True


@asynccontextmanager
async def watching(browser: httpx.AsyncClient, query: str = "page=inbox") -> AsyncIterator[Stream]:
    async with browser.stream("GET", f"/live?{query}") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield Stream(answer.aiter_lines())


async def test_a_new_message_is_told_at_once_after_a_hint(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    conversation = await shops.dana.meet("Yossi")
    await shops.dana.writes(conversation, "one")
    async with watching(dana, f"page=inbox&conversation={conversation}") as stream:
        first = await stream.next("messages")
        assert [message["text"] for message in first["messages"]] == ["one"]
        await shops.dana.writes(conversation, "two")
        site.hints.tell(shops.dana.business_id)
        async with asyncio.timeout(1):
            news = await stream.next("messages")
    assert [message["text"] for message in news["messages"]] == ["two"]


async def test_a_change_nobody_hinted_at_is_told_within_seconds(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    conversation = await shops.dana.meet("Yossi")
    async with watching(dana) as stream:
        await stream.next("conversation")
        await shops.dana.writes(conversation, "are you there?")
        row = await stream.next("conversation")
    assert row["snippet"] == "are you there?"
    assert row["href"] == f"/inbox/{conversation}"


async def test_a_status_changes_its_bubble_and_nothing_else_is_sent_again(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    conversation = await shops.dana.meet("Yossi")
    await shops.dana.writes(conversation, "hello")
    answer = await shops.dana.says(conversation, "hi", status="sent")
    async with watching(dana, f"page=inbox&conversation={conversation}") as stream:
        await stream.next("messages")
        await shops.dana.status(answer, "delivered")
        site.hints.tell(shops.dana.business_id)
        news = await stream.next("messages")
    assert [(view["id"], view["status_word"]) for view in news["messages"]] == [(str(answer), "Delivered")]


async def test_the_steps_light_up_one_after_another(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    story = shops.dana
    async with watching(dana, "page=demo") as stream:

        async def done() -> list[str]:
            site.hints.tell(story.business_id)
            strip = await stream.next("steps")
            return [step["name"] for step in strip["steps"] if step["state"] == "done"]

        assert await done() == []
        event_id = await story.arrives("W1")
        assert await done() == ["received", "stored", "enqueued"]
        await story.starts(event_id)
        assert (await done())[-1] == "running"
        conversation = await story.meet("Yossi")
        question = await story.writes(conversation, "price?", provider_id="W1", event_id=event_id)
        answer = await story.says(
            conversation, "180", answers=question, effect_key="reply", status="queued", provider_id="P1"
        )
        assert (await done())[-1] == "drafted"
        await story.effect("reply", "sent")
        await story.status(answer, "sent")
        assert (await done())[-1] == "sent"
        await story.status(answer, "delivered")
        assert (await done())[-1] == "delivered"


async def test_the_demo_opens_the_conversation_that_someone_just_wrote_in(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    await shops.dana.writes(await shops.dana.meet("Yossi"), "one")
    async with watching(dana, "page=demo") as stream:
        assert (await stream.next("opened"))["name"] == "Yossi"
        await shops.dana.writes(await shops.dana.meet("Maya"), "two")
        site.hints.tell(shops.dana.business_id)
        assert (await stream.next("opened"))["name"] == "Maya"
        assert [view["text"] for view in (await stream.next("messages"))["messages"]] == ["two"]


async def test_noa_s_stream_holds_nothing_of_dana_s(noa: httpx.AsyncClient, site: Site, shops: Shops) -> None:
    conversation = await shops.dana.meet("Yossi")
    await shops.dana.writes(conversation, "for Dana only")
    await shops.noa.writes(await shops.noa.meet("Ruth"), "for Noa")
    async with watching(noa, f"page=inbox&conversation={conversation}") as stream:
        assert (await stream.next("conversation"))["name"] == "Ruth"
        await shops.noa.writes(await shops.noa.meet("Tal"), "also for Noa")
        site.hints.tell(shops.noa.business_id)
        assert (await stream.next("conversation"))["name"] == "Tal"


async def test_without_a_session_there_is_no_stream(site: Site, shops: Shops) -> None:
    async with site.visitor() as stranger:
        assert (await stranger.get("/live")).status_code == 401


async def test_a_stream_ends_with_a_goodbye_when_its_session_ends(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    token = form_token(await dana.get("/inbox"))
    async with watching(dana) as stream:
        await dana.post("/logout", data={"csrf": token})
        await stream.next("bye")
        assert await stream.ends()


async def test_open_streams_do_not_hold_the_server_up_when_it_stops(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    await shops.dana.meet("Yossi")
    async with watching(dana) as stream:
        await stream.next("conversation")
        await site.stop()
        assert await stream.ends()


async def test_a_client_that_goes_away_frees_its_place(
    dana: httpx.AsyncClient, site: Site, shops: Shops
) -> None:
    await shops.dana.meet("Yossi")
    async with watching(dana) as stream:
        await stream.next("conversation")
        assert len(site.hints.listeners) == 1
    async with asyncio.timeout(5):
        while site.hints.listeners:
            await asyncio.sleep(0.01)


def test_only_so_many_streams_are_open_at_once() -> None:
    limit = StreamLimit(per_session=2, per_business=3)
    with limit.one_more(session="a", business_id=1), limit.one_more(session="a", business_id=1):
        with pytest.raises(TooManyStreamsError), limit.one_more(session="a", business_id=1):
            pass
        with limit.one_more(session="b", business_id=1):
            with pytest.raises(TooManyStreamsError), limit.one_more(session="c", business_id=1):
                pass
            with limit.one_more(session="c", business_id=2):
                pass
    with limit.one_more(session="a", business_id=1):
        pass


async def test_a_search_is_made_anew_only_so_often_and_the_open_conversation_told_at_once(
    dana: httpx.AsyncClient, site: Site, shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene, "SEARCH_EVERY_S", 3600.0)
    opened = await shops.dana.meet("Yossi")
    await shops.dana.writes(opened, "a door of steel")
    async with watching(dana, f"page=inbox&q=steel&conversation={opened}") as stream:
        await stream.next("messages")
        found_later = await shops.dana.meet("Maya")
        await shops.dana.writes(found_later, "steel too")
        await shops.dana.writes(opened, "two")
        site.hints.tell(shops.dana.business_id)
        assert [message["text"] for message in (await stream.next("messages"))["messages"]] == ["two"]

        monkeypatch.setattr(scene, "SEARCH_EVERY_S", 0.0)
        site.hints.tell(shops.dana.business_id)
        told = [(await stream.next("conversation"))["id"] for _ in range(2)]

    assert sorted(told) == sorted([str(opened), str(found_later)])
