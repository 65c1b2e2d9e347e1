"""F1–F5, F28: processes that are killed, frozen and told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import httpx
import psutil
import pytest

from server.db.session import Database
from server.domains.messaging import GIVEN_UP
from server.queue.connection import connect_redis
from server.queue.crash_points import CrashPoint
from server.queue.operators import Operators, Selection
from tests.engine import eventually
from tests.processes import QUICK, is_alive, text_message

IS_SETTLED = "SELECT state IN ('sent', 'confirmed') FROM effect"
QUESTION = "כמה עולה פריצת דלת?"


@pytest.mark.slow
@pytest.mark.fault("F1")
async def test_a_process_killed_in_the_providers_call_leaves_one_reply(house):
    await house.behave(times=1, delay_ms=1500)
    await house.post(text_message(QUESTION))
    await house.until_sent(1)

    for pid in house.processes_of("worker"):
        os.kill(pid, signal.SIGKILL)

    await house.until_quiet(within_s=30)
    await eventually(lambda: house.value(IS_SETTLED), within_s=20, what="evidence")
    assert len(await house.sends()) == 1


@pytest.mark.slow
@pytest.mark.fault("F2")
async def test_no_process_outlives_its_killed_supervisor_and_nothing_is_sent_twice(house):
    await house.behave(times=1, delay_ms=1500)
    await house.post(text_message(QUESTION))
    await house.until_sent(1)
    forked = house.processes_of("worker")

    os.kill(house.running["worker"][0].pid, signal.SIGKILL)

    await eventually(lambda: not any(is_alive(pid) for pid in forked), within_s=1, what="their end")
    await house.start("worker")
    await house.until_quiet()
    assert len(await house.sends()) == 1


@pytest.mark.slow
@pytest.mark.fault("F3")
async def test_all_workers_killed_at_once_lose_nothing(house):
    await house.start("worker")
    await house.behave(times=10, delay_ms=500)
    for number in range(30):
        await house.post(text_message(QUESTION, phone=f"9725044444{number:02}"))
    await house.until_sent(5)

    await asyncio.gather(house.kill("worker"), house.kill("worker"))
    await house.start("worker")

    await house.until_quiet(within_s=60)
    states = await house.value("SELECT array_agg(DISTINCT state ORDER BY state) FROM effect")
    assert set(states) <= {"sent", "confirmed", "unknown"}
    assert await house.value("SELECT count(*) FROM effect") == 30


@pytest.mark.slow
@pytest.mark.fault("F5")
async def test_a_message_that_kills_its_process_three_times_waits_for_a_person(stopped):
    await stopped.start_all("simulator", "api", "scheduler")
    await stopped.start("worker", PROSAAS_CRASH_POINT=CrashPoint.BEFORE_SENDING, WORKER_PROCESSES="1")
    await stopped.post(text_message(QUESTION))

    await eventually(
        lambda: stopped.value("SELECT needs_person FROM conversation"), within_s=60, what="a person called"
    )
    assert await stopped.value("SELECT state FROM job WHERE urgency = 0") == "quarantined"
    assert await stopped.value("SELECT deaths FROM job WHERE urgency = 0") == 3
    answer = "SELECT status || ': ' || status_reason FROM message WHERE author = 'assistant'"
    assert await stopped.value(answer) == f"failed: {GIVEN_UP['quarantined']}"
    assert await stopped.value("SELECT state FROM effect") == "abandoned"
    assert await stopped.sends() == []

    # Whoever mends what was wrong runs it again: then it goes out, once.
    await stopped.kill("worker")
    await stopped.start("worker")
    assert await run_again(stopped) == 1
    await stopped.until_quiet()
    assert len(await stopped.sends()) == 1
    assert await stopped.value("SELECT state FROM effect") in {"sent", "confirmed"}
    assert await run_again(stopped) == 0


async def run_again(installation):
    database = Database(installation.addresses.database_url, role="prosaas_scheduler")
    redis = connect_redis(installation.addresses.redis_url)
    try:
        return await Operators(database, redis, actor="op").run_again(Selection(), reason="mended")
    finally:
        await redis.aclose()
        await database.aclose()


STOPPED_AT = {
    CrashPoint.AFTER_POP: 1,
    CrashPoint.AFTER_CLAIM: 1,
    CrashPoint.BEFORE_SENDING: 1,
    CrashPoint.AFTER_SENDING: None,
    CrashPoint.AFTER_ACCEPTED: 1,
    CrashPoint.AFTER_SENT: 1,
    CrashPoint.BEFORE_FINISH: 1,
    CrashPoint.AFTER_FINISH: 1,
}


@pytest.mark.slow
@pytest.mark.fault("F4")
@pytest.mark.parametrize("point", STOPPED_AT)
async def test_a_worker_frozen_at_a_crash_point_writes_nothing_when_it_wakes(stopped, tmp_path, point):
    crashed = tmp_path / "frozen"
    await stopped.start_all("simulator", "api")
    await stopped.start(
        "worker", PROSAAS_CRASH_POINT=f"{point}:stop", PROSAAS_CRASH_ONCE=str(crashed), WORKER_PROCESSES="1"
    )
    await stopped.post(text_message(QUESTION))
    await eventually(crashed.exists, within_s=20, what=f"the freezing {point}")
    frozen, leases_end = stopped.freeze("worker"), time.monotonic() + 3 * float(QUICK["JOB_LEASE_S"])

    await stopped.start_all("scheduler", "worker")
    await stopped.until_quiet()
    await eventually(lambda: time.monotonic() > leases_end, what="three leases")
    stopped.thaw(frozen)

    # Awake again, it either ends what it may or is replaced; then it answers the next customer too.
    await stopped.kill("worker")
    await stopped.post(text_message(QUESTION, phone="972505555555"))
    await stopped.until_quiet()
    calls = len(await stopped.sends())
    expected = STOPPED_AT[point]
    assert calls == 1 + expected if expected is not None else calls in {1, 2}


@pytest.mark.slow
@pytest.mark.fault("F28")
async def test_a_worker_told_to_stop_twice_and_then_killed_gives_everything_back(house):
    await house.behave(times=2, delay_ms=3000)
    for number in range(5):
        await house.post(text_message(QUESTION, phone=f"9725066666{number:02}"))
    await house.until_sent(1)

    for _ in range(2):
        house.send("worker", signal.SIGTERM)
    await asyncio.sleep(0)
    await house.kill("worker")
    await house.start("worker")

    await house.until_quiet()
    assert await house.value("SELECT count(*) FROM effect") == 5


@pytest.mark.slow
@pytest.mark.fault("F28")
async def test_work_that_is_given_back_has_used_no_attempt(house):
    # Longer than the grace: it cannot end, so it is given back, and the call's end is unknown.
    await house.behave(times=1, hang=True)
    await house.post(text_message(QUESTION))
    await house.until_sent(1)

    assert await house.stop("worker") == 0

    await eventually(
        lambda: house.value("SELECT attempts = 0 FROM job WHERE urgency = 0"), what="an attempt given back"
    )
    await house.start("worker")
    await house.until_quiet()
    assert len(await house.sends()) == 1


@pytest.mark.slow
@pytest.mark.fault("F24")
async def test_an_api_killed_under_load_has_lost_nothing_that_its_senders_tell_again(house):
    async def tell(number):
        message = text_message(QUESTION, phone=f"9725077777{number:02}", message_id=f"K{number}")
        async with asyncio.timeout(40):
            while True:
                try:
                    if (await house.post(message)).status_code == 200:
                        return
                except httpx.TransportError:
                    # However the connection broke: a sender tells it again.
                    await asyncio.sleep(0.1)

    async def kill():
        await house.until_sent(1)
        await house.kill("api")
        await house.start("api")

    await asyncio.gather(kill(), *(tell(number) for number in range(30)))

    await house.until_quiet(within_s=60)
    assert len(await house.sends()) == 30
    assert psutil.pid_exists(house.running["api"][0].pid)
