"""The inbox's writer, on a real database."""

from __future__ import annotations

import asyncio

import pytest

from server.db.tenancy import credential_digest
from server.domains.messaging import Delivery, Receiver, UnknownBusinessError, WrongSecretError
from server.ports import RawEvent
from server.queue.dispatch import BACKLOG_KEY, STRAIGHT_AT_ONCE
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
    return Delivery(digest, business_id, [RawEvent(one, f"chat of {one}", {"key": one}) for one in ids])


async def test_a_secret_that_is_no_channels_is_refused_before_anything_is_read(engine):
    receiver = Receiver(engine.api)
    await receiver.require_secret(OURS)

    with pytest.raises(WrongSecretError):
        await receiver.require_secret(credential_digest("guess"))


async def test_a_secret_opens_nothing_from_the_moment_it_is_taken_back(engine):
    receiver = Receiver(engine.api)
    assert await receiver.receive(delivery(OURS, 6, "a")) == 1

    await engine.look.execute("UPDATE channel SET token_digest = $1 WHERE business_id = 6", "f" * 64)

    with pytest.raises(WrongSecretError):
        await receiver.receive(delivery(OURS, 6, "b"))
    with pytest.raises(WrongSecretError):
        await receiver.require_secret(OURS)
    assert await engine.look.fetchval("SELECT count(*) FROM inbox_event") == 1


async def test_an_old_secret_is_not_let_in_by_the_new_one_that_comes_at_the_same_moment(engine):
    receiver, new = Receiver(engine.api), credential_digest("danas new secret")
    await receiver.receive(delivery(OURS, 6, "a"))
    await engine.look.execute("UPDATE channel SET token_digest = $1 WHERE business_id = 6", new)
    await receiver.require_secret(new)

    answers = await asyncio.gather(
        receiver.receive(delivery(new, 6, "b")),
        receiver.receive(delivery(OURS, 6, "c")),
        return_exceptions=True,
    )

    assert answers[0] == 1
    assert isinstance(answers[1], WrongSecretError)
    assert await engine.look.fetchval("SELECT count(*) FROM inbox_event") == 2


async def test_a_secret_that_is_remembered_opens_a_channel_that_came_later(engine):
    receiver = Receiver(engine.api)
    await receiver.receive(delivery(OURS, 6, "a"))

    await engine.look.execute("UPDATE channel SET token_digest = $1 WHERE business_id = 9", OURS)

    assert await receiver.receive(delivery(OURS, 9, "b")) == 1


async def test_a_closed_channel_among_open_ones_holds_back_none(engine):
    receiver = Receiver(engine.api)
    await asyncio.gather(receiver.receive(delivery(OURS, 6, "a")), receiver.receive(delivery(THEIRS, 9, "b")))
    await engine.look.execute("UPDATE channel SET token_digest = $1 WHERE business_id = 9", "f" * 64)

    answers = await asyncio.gather(
        receiver.receive(delivery(THEIRS, 9, "c", "d")),
        receiver.receive(delivery(OURS, 6, "e", "f")),
        receiver.receive(delivery(THEIRS, 9, "a")),
        receiver.receive(delivery(OURS, 6, "g")),
        return_exceptions=True,
    )

    assert [type(one).__name__ if isinstance(one, Exception) else one for one in answers] == [
        "WrongSecretError",
        2,
        "WrongSecretError",
        1,
    ]
    rows = await engine.look.fetch("SELECT business_id, event_id FROM inbox_event ORDER BY event_id")
    assert [tuple(row) for row in rows] == [(6, "a"), (9, "b"), (6, "e"), (6, "f"), (6, "g")]


async def test_the_same_event_is_stored_once_and_other_content_under_its_id_is_kept_beside_it(engine):
    receiver = Receiver(engine.api)
    other = Delivery(OURS, 6, [RawEvent("a", "chat of a", {"key": "other"})])

    await receiver.receive(delivery(OURS, 6, "a", "a"))
    await asyncio.gather(receiver.receive(other), receiver.receive(delivery(OURS, 6, "a", "b")))
    await receiver.receive(other)

    assert await engine.look.fetchval("SELECT array_agg(payload ->> 'key' ORDER BY 1) FROM inbox_event") == [
        "a",
        "b",
    ]
    assert await engine.look.fetchval("SELECT count(*) FROM job") == 2
    assert await engine.look.fetchval("SELECT array_agg(payload ->> 'key') FROM inbox_conflict") == ["other"]


async def test_a_secret_opens_its_own_business_alone(engine):
    receiver = Receiver(engine.api)

    with pytest.raises(UnknownBusinessError):
        await receiver.receive(delivery(THEIRS, 6, "a"))

    assert await engine.look.fetchval("SELECT count(*) FROM inbox_event") == 0


async def test_requests_of_one_moment_share_a_transaction_and_each_gets_its_own_answer(engine):
    receiver = Receiver(engine.api)

    answers = await asyncio.gather(
        receiver.receive(delivery(OURS, 6, "a", "b")),
        receiver.receive(delivery(THEIRS, 9, "c")),
        receiver.receive(delivery(OURS, 9, "d")),
        receiver.receive(delivery(OURS, 6)),
        return_exceptions=True,
    )

    assert [type(one).__name__ if isinstance(one, Exception) else one for one in answers] == [
        2,
        1,
        "UnknownBusinessError",
        0,
    ]
    rows = await engine.look.fetch("SELECT business_id, event_id FROM inbox_event ORDER BY event_id")
    assert [tuple(row) for row in rows] == [(6, "a"), (6, "b"), (9, "c")]
    assert await engine.look.fetchval("SELECT count(*) FROM job") == 3


async def test_of_a_burst_what_has_a_place_goes_to_its_queue_and_the_rest_is_written_as_it_waits(engine):
    receiver = Receiver(engine.api)

    await receiver.receive(delivery(OURS, 6, *map(str, range(1000))))
    await engine.dispatcher.flushed()

    straight = await engine.look.fetchval("SELECT count(*) FROM job WHERE dispatch_no = 1")
    assert STRAIGHT_AT_ONCE <= straight < STRAIGHT_AT_ONCE + 100
    assert await engine.redis.llen("rq:queue:default") == straight
    waiting = "SELECT count(*) FROM job WHERE dispatch_no = 0 AND dispatched_at IS NULL AND state = 'ready'"
    assert await engine.look.fetchval(waiting) == 1000 - straight
    assert await engine.redis.exists(BACKLOG_KEY)


async def test_what_comes_again_and_again_takes_no_place_from_what_is_new(engine):
    receiver = Receiver(engine.api)
    for _ in range(10):
        await receiver.receive(delivery(OURS, 6, *map(str, range(150))))

    await receiver.receive(delivery(OURS, 6, "new"))

    assert await engine.look.fetchval("SELECT count(*) FROM job WHERE dispatch_no = 1") == 151


@pytest.mark.slow
@pytest.mark.parametrize("key", ["first", "other"])
async def test_the_largest_delivery_there_may_be_costs_by_its_events_and_not_by_their_square(engine, key):
    receiver = Receiver(engine.api)
    events = [RawEvent(f"e{n}", "chat", {"key": "first"}) for n in range(20_000)]
    if key == "other":
        await receiver.receive(Delivery(OURS, 6, events))

    again = [RawEvent(one.event_id, "chat", {"key": key}) for one in events]
    async with asyncio.timeout(9):
        assert await receiver.receive(Delivery(OURS, 6, again)) == 20_000

    assert await engine.look.fetchval("SELECT count(*) FROM job") == 20_000
    conflicts = 20_000 if key == "other" else 0
    assert await engine.look.fetchval("SELECT count(*) FROM inbox_conflict") == conflicts


async def test_the_same_events_in_opposite_orders_at_once_wait_for_one_another(engine, capsys):
    first, second = Receiver(engine.api), Receiver(engine.api)
    for turn in ("new", *map(str, range(12))):
        events = [RawEvent(f"e{n}", "chat", {"key": turn}) for n in range(400)]
        await asyncio.gather(
            first.receive(Delivery(OURS, 6, events)), second.receive(Delivery(OURS, 6, events[::-1]))
        )

    assert await engine.look.fetchval("SELECT count(*) FROM inbox_conflict") == 4800
    assert "batch_failed" not in capsys.readouterr().out


async def test_an_event_that_the_database_refuses_does_not_fail_its_neighbours(engine):
    receiver = Receiver(engine.api)
    refused = Delivery(OURS, 6, [RawEvent("x" * 9000, "lane", {"random": "".join(map(str, range(9000)))})])

    answers = await asyncio.gather(
        receiver.receive(delivery(OURS, 6, "a")),
        receiver.receive(refused),
        receiver.receive(delivery(OURS, 6, "b")),
        return_exceptions=True,
    )

    assert [answers[0], answers[2]] == [1, 1]
    assert await engine.look.fetchval("SELECT count(*) FROM inbox_event WHERE event_id IN ('a', 'b')") == 2
