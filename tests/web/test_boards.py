"""News of a page of lists: what changed, once, and not more often than the page wants."""

from __future__ import annotations

import orjson

from server.db import Session
from server.web.boards import Board, BoardNews, part


async def test_only_lists_that_changed_are_told_again() -> None:
    rows = {"one": [{"id": "a"}], "two": [{"id": "b"}]}

    async def read(_: Session) -> Board:
        return {name: part(some, 1) for name, some in rows.items()}

    async def told(news: BoardNews) -> set[str]:
        event = await news(Session())
        return set(orjson.loads(event.partition(b"data: ")[2])) if event else set()

    news, seldom = BoardNews(read, every_s=0), BoardNews(read, every_s=3600)
    assert await told(news) == await told(seldom) == {"one", "two"}
    assert await told(news) == set()
    rows["two"].append({"id": "c"})
    assert await told(news) == {"two"}
    assert await told(seldom) == set()


def test_a_list_says_whether_there_are_none_some_or_more() -> None:
    rows = [{"id": name} for name in "abc"]
    assert [part(rows[:count], 2)["amount"] for count in range(4)] == ["none", "some", "some", "more"]
    assert part(rows, 2)["rows"] == rows[:2]
