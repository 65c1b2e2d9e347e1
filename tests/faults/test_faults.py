"""Stores and processes that vanish, against real processes: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine import eventually
from tests.processes import text_message

pytestmark = pytest.mark.slow
EVERY_FIVE_MINUTES = "whatsapp_sessions_cleanup_job"
GO_BACK = f"UPDATE schedule SET watermark = $1, next_slot = $1 WHERE name = '{EVERY_FIVE_MINUTES}'"
SLOTS_SINCE = f"""
SELECT count(*) >= 4 AND (SELECT watermark > $1 FROM schedule WHERE name = '{EVERY_FIVE_MINUTES}')
FROM schedule_slot WHERE schedule = '{EVERY_FIVE_MINUTES}'
"""
ENQUEUED = (
    f"SELECT count(*) FROM schedule_slot WHERE schedule = '{EVERY_FIVE_MINUTES}' AND state = 'enqueued'"
)
MADE = f"SELECT count(*) FROM job WHERE kind = '{EVERY_FIVE_MINUTES}'"
QUESTION = "כמה עולה פריצת דלת?"


@pytest.mark.fault("F11")
async def test_without_postgresql_nothing_is_acknowledged_and_the_senders_retry_is_answered(house):
    await house.postgres.stop()
    refused = await house.post(text_message(QUESTION, message_id="R1"))
    ready = await house.http.get("/readyz")

    assert (refused.status_code, refused.json()["error"]) == (503, "store_unavailable")
    assert ready.status_code == 503

    await house.postgres.start()
    await eventually(lambda: accepted(house, text_message(QUESTION, message_id="R1")), within_s=20)
    await house.until_sent(1)
    await house.until_quiet()
    assert len(await house.sends()) == 1


async def accepted(house, message):
    return (await house.post(message)).status_code == 200


@pytest.mark.fault("F8")
async def test_messages_that_come_while_redis_is_away_are_answered_when_it_is_back(house):
    await house.valkey.stop()
    answers = [
        await house.post(text_message(QUESTION, phone=f"9725011111{number:02}")) for number in range(10)
    ]
    assert {answer.status_code for answer in answers} == {200}

    await house.valkey.start()

    await house.until_sent(10, within_s=45)
    await house.until_quiet()
    assert len(await house.sends()) == 10
    assert await house.broken_promises() == []


@pytest.mark.fault("F7")
async def test_a_flush_of_redis_while_messages_come_in_loses_and_doubles_nothing(house):
    async def write(number):
        answer = await house.post(text_message(QUESTION, phone=f"9725022222{number:02}"))
        assert answer.status_code == 200

    async def flush():
        for _ in range(5):
            await redis_command(house, "FLUSHALL")
            await asyncio.sleep(0.05)

    await asyncio.gather(flush(), *(write(number) for number in range(30)))

    await house.until_sent(30, within_s=60)
    await house.until_quiet()
    assert len(await house.sends()) == 30
    assert await house.broken_promises() == []


async def redis_command(house, command):
    import redis.asyncio

    async with redis.asyncio.Redis.from_url(house.addresses.redis_url) as client:
        await client.execute_command(command)


@pytest.mark.fault("F1")
async def test_a_worker_killed_in_the_middle_of_a_reply_leaves_one_reply(house):
    await house.simulator.post(
        "/sim/behaviour", json={"provider": "whatsapp_bridge", "times": 1, "delay_ms": 3000}
    )
    await house.post(text_message(QUESTION))
    await house.until_sent(1)

    await house.kill("worker")
    await house.start("worker")

    await house.until_quiet()
    assert len(await house.sends()) == 1
    settled = await house.value("SELECT state FROM effect")
    assert settled in {"unknown", "sent", "confirmed"}
    assert await house.broken_promises() == []


@pytest.mark.fault("F20")
async def test_an_answer_that_the_provider_dropped_is_settled_by_its_receipt_and_not_sent_again(house):
    await house.simulator.post(
        "/sim/behaviour", json={"provider": "whatsapp_bridge", "times": 1, "drop_answer": True}
    )
    await house.post(text_message(QUESTION))

    await eventually(lambda: settled(house), within_s=30, what="evidence")

    await house.until_quiet()
    assert len(await house.sends()) == 1
    assert await house.broken_promises() == []


async def settled(house):
    return await house.value("SELECT state IN ('sent', 'confirmed') FROM effect")


@pytest.mark.fault("F20")
async def test_what_no_receipt_ever_settles_is_shown_as_unknown_and_not_sent_again(stopped):
    await stopped.start_all("simulator", "api", "scheduler")
    await stopped.simulator.post(
        "/sim/behaviour", json={"provider": "whatsapp_bridge", "times": 1, "hang": True}
    )
    await stopped.post(text_message(QUESTION))

    # Nobody is there to be told, and then nobody who could tell.
    await stopped.kill("api")
    await stopped.start("worker")
    await stopped.until_sent(1)
    await stopped.kill("simulator")
    await stopped.start_all("simulator", "api")
    await stopped.until_quiet()
    await stopped.kill("worker")
    await stopped.start("worker")
    await stopped.post(text_message(QUESTION, phone="972505555555"))
    await stopped.until_sent(1)
    await stopped.until_quiet()

    [first, second] = await stopped.value("SELECT array_agg(state ORDER BY planned_at) FROM effect")
    assert (first, second in {"sent", "confirmed"}) == ("unknown", True)
    shown = "SELECT status FROM message WHERE direction = 'out' ORDER BY position LIMIT 1"
    assert await stopped.value(shown) == "unknown"
    assert len(await stopped.sends()) == 1


@pytest.mark.fault("F4")
async def test_a_frozen_worker_that_wakes_up_sends_nothing_more(house):
    await house.simulator.post(
        "/sim/behaviour", json={"provider": "whatsapp_bridge", "times": 1, "delay_ms": 1500}
    )
    await house.post(text_message(QUESTION))
    await house.until_sent(1)

    frozen = house.freeze("worker")
    await house.start("worker")
    await house.until_quiet()
    house.thaw(frozen)

    await eventually(lambda: settled(house), within_s=20, what="evidence")
    assert len(await house.sends()) == 1
    assert await house.broken_promises() == []


@pytest.mark.fault("F28")
async def test_a_worker_that_is_told_to_stop_ends_in_time_and_another_answers(house):
    await house.simulator.post(
        "/sim/behaviour", json={"provider": "whatsapp_bridge", "times": 1, "delay_ms": 800}
    )
    await house.post(text_message(QUESTION))
    await house.until_sent(1)

    assert await house.stop("worker") == 0
    await house.start("worker")

    await house.until_quiet()
    assert len(await house.sends()) == 1
    assert await house.broken_promises() == []


@pytest.mark.fault("F16")
async def test_a_scheduler_that_was_frozen_as_the_leader_makes_no_slot_twice(stopped):
    await stopped.start("scheduler")
    leader = await stopped.redis("GET", "scheduler:global_lock")
    await stopped.start("scheduler")
    since = await stopped.value("SELECT now() - interval '21 minutes'")

    frozen = stopped.freeze("scheduler")
    await stopped.value(GO_BACK, since)
    await eventually(lambda: stopped.value(SLOTS_SINCE, since), within_s=20, what="slots without the leader")

    async def is_another():
        return await stopped.redis("GET", "scheduler:global_lock") not in {leader, None}

    await eventually(is_another, within_s=20, what="another leader")
    stopped.thaw(frozen)
    await stopped.kill("scheduler")
    await stopped.value(GO_BACK, since)

    await eventually(lambda: stopped.value(SLOTS_SINCE, since), within_s=20, what="slots by the leader again")
    assert await stopped.value(ENQUEUED) == await stopped.value(MADE) >= 1


@pytest.mark.fault("F16")
async def test_two_workers_and_two_schedulers_answer_each_message_once(house):
    await house.start("worker", "scheduler")

    answers = await asyncio.gather(
        *(house.post(text_message(QUESTION, phone=f"9725033333{number:02}")) for number in range(40))
    )

    assert {answer.status_code for answer in answers} == {200}
    await house.until_sent(40, within_s=45)
    await house.until_quiet()
    assert len(await house.sends()) == 40
    assert (
        await house.value("SELECT count(*) FROM schedule_slot GROUP BY schedule, slot HAVING count(*) > 1")
        is None
    )
    assert await house.broken_promises() == []
