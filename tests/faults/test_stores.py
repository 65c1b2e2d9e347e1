"""F7–F12: stores that lose what they held, are full, restart, or answer no more."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.engine import eventually
from tests.processes import text_message

QUESTION = "כמה עולה פריצת דלת?"


async def tell(house, number, group=0, within_s=60):
    """Post a message as a sender does: again and again, until it was taken."""
    message = text_message(QUESTION, phone=f"97251{group:02}{number:05}", message_id=f"G{group}N{number}")

    async def taken():
        answer = await house.post(message)
        assert answer.status_code in {200, 503}, answer.text
        return answer.status_code == 200

    await eventually(taken, within_s=within_s, what="a message that is taken")


async def tell_all(house, count, group=0):
    await asyncio.gather(*(tell(house, number, group) for number in range(count)))


async def until_answered(house, count, within_s=90):
    await house.until_sent(count, within_s=within_s)
    await house.until_quiet(within_s=within_s)
    assert len(await house.sends()) == count


@pytest.mark.slow
@pytest.mark.fault("F8")
async def test_webhooks_are_taken_while_redis_is_away_and_answered_when_it_is_back(house):
    await house.valkey.stop()
    await asyncio.gather(*(tell_all(house, 20, group) for group in range(3)))
    assert (await house.http.get("/healthz")).status_code == 200

    await house.valkey.start()

    await until_answered(house, 60)


@pytest.mark.slow
@pytest.mark.fault("F9")
async def test_a_full_redis_costs_time_and_no_message(house):
    await house.redis("CONFIG", "SET", "maxmemory", "1")
    await tell_all(house, 20)

    await house.redis("CONFIG", "SET", "maxmemory", "0")

    await until_answered(house, 20)


@pytest.mark.slow
@pytest.mark.fault("F10")
async def test_what_redis_forgot_of_a_queue_is_found_and_done(stopped):
    await stopped.start_all("simulator", "api", "scheduler")
    await tell_all(stopped, 10)
    await eventually(lambda: stopped.redis("LLEN", "rq:queue:default"), what="dispatches")

    await stopped.redis("RPOP", "rq:queue:default", 5)
    await stopped.start("worker")

    await until_answered(stopped, 10)


@pytest.mark.slow
@pytest.mark.fault("F12")
@pytest.mark.parametrize("table", ["job", "inbox_event"])
async def test_nothing_is_acknowledged_while_postgresql_is_stalled(house, table):
    locker = await asyncpg.connect(house.addresses.database_url)
    held = locker.transaction()
    await held.start()
    await locker.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

    answers = await asyncio.gather(
        *(house.post(text_message(QUESTION, message_id=f"L{n}")) for n in range(5))
    )
    assert {answer.status_code for answer in answers} == {503}

    await held.rollback()
    await locker.close()
    await tell_all(house, 5)
    await until_answered(house, 5)
