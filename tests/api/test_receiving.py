"""The inbox's writer, on a real database."""

from __future__ import annotations

import asyncio

import pytest

from server.db.tenancy import credential_digest
from server.domains.messaging import Delivery, Receiver, UnknownBusinessError, WrongSecretError
from server.errors import BadInputError
from server.ports import RawEvent
from tests.engine import open_engine

OURS, THEIRS = credential_digest("danas secret"), credential_digest("noas secret")


@pytest.fixture
async def engine(clean_database, redis_url):
    async with open_engine(clean_database, redis_url) as engine:
        for business_id, digest in ((6, OURS), (9, THEIRS)):
            await engine.look.execute(
                "INSERT INTO channel (business_id, kind, base_url, secret_encrypted, token_digest)"
                " VALUES ($1, 'whatsapp_bridge', 'http://127.0.0.1:1', '', $2)",
                business_id,
                digest,
            )
        yield engine


def delivery(digest, business_id, *ids):
    return Delivery(
        digest, business_id, lambda: [RawEvent(one, f"chat of {one}", {"key": one}) for one in ids]
    )


async def test_a_strangers_body_is_not_even_cut_into_events(engine):
    def split():
        raise AssertionError("it was")

    with pytest.raises(WrongSecretError):
        await Receiver(engine.api).receive(Delivery(credential_digest("guess"), 6, split))


async def test_a_secret_opens_its_own_business_alone(engine):
    receiver = Receiver(engine.api)

    with pytest.raises(UnknownBusinessError):
        await receiver.receive(delivery(THEIRS, 6, "a"))

    assert await engine.look.fetchval("SELECT count(*) FROM inbox_event") == 0


async def test_requests_of_one_moment_share_a_transaction_and_each_gets_its_own_answer(engine):
    def bad():
        raise BadInputError("too_many_messages", "too many")

    receiver = Receiver(engine.api)

    answers = await asyncio.gather(
        receiver.receive(delivery(OURS, 6, "a", "b")),
        receiver.receive(delivery(THEIRS, 9, "c")),
        receiver.receive(delivery(OURS, 9, "d")),
        receiver.receive(Delivery(OURS, 6, bad)),
        receiver.receive(delivery(OURS, 6)),
        return_exceptions=True,
    )

    assert [type(one).__name__ if isinstance(one, Exception) else one for one in answers] == [
        2,
        1,
        "UnknownBusinessError",
        "BadInputError",
        0,
    ]
    rows = await engine.look.fetch("SELECT business_id, event_id FROM inbox_event ORDER BY event_id")
    assert [tuple(row) for row in rows] == [(6, "a"), (6, "b"), (9, "c")]
    assert await engine.look.fetchval("SELECT count(*) FROM job") == 3


async def test_an_event_that_the_database_refuses_does_not_fail_its_neighbours(engine):
    receiver = Receiver(engine.api)
    refused = Delivery(
        OURS, 6, lambda: [RawEvent("x" * 9000, "lane", {"random": "".join(map(str, range(9000)))})]
    )

    answers = await asyncio.gather(
        receiver.receive(delivery(OURS, 6, "a")),
        receiver.receive(refused),
        receiver.receive(delivery(OURS, 6, "b")),
        return_exceptions=True,
    )

    assert [answers[0], answers[2]] == [1, 1]
    assert await engine.look.fetchval("SELECT count(*) FROM inbox_event WHERE event_id IN ('a', 'b')") == 2
