"""F19, F21, F22, F25, F26: more of everything than anybody expected."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

import httpx
import pytest

from server.errors import ProviderUnknownError
from server.queue import Account, Asked
from server.queue.accounts import TRIPS, Accounts
from server.queue.asking import insert
from server.queue.kinds import KIND_OF, Urgency
from tests.engine import eventually, job_kind, open_engine
from tests.faults.senders import QUESTION, taken_sends, tell, tell_all
from tests.processes import SECRET, text_message

BUSY, QUIET = 6, 9
# How long a reply may wait for others' work on these two cores, whatever others ask for.
BOUND_S = 1.0
ANSWERED = "SELECT count(*) = 240 FROM effect WHERE state IN ('sent', 'confirmed')"
MILLION = 1_000_000
TIMEOUT_S = 2.0
JOBS_OF_EVENT = """
SELECT count(*) FROM job JOIN inbox_event ON job.payload ->> 'event_id' = inbox_event.id::text
WHERE inbox_event.event_id = 'ONE'
"""


@pytest.mark.slow
@pytest.mark.fault("F21")
async def test_a_storm_of_429_uses_no_attempt_and_everything_is_sent_once(house):
    await house.behave(times=30, status=429, retry_after_s=1)

    await tell_all(house, 20)

    async def all_taken():
        return len(await taken_sends(house)) >= 20

    await eventually(all_taken, within_s=90, what="every reply")
    await house.until_quiet()
    keys = await taken_sends(house)
    assert (len(keys), len(set(keys))) == (20, 20)
    assert await house.value("SELECT max(attempts) FROM job WHERE kind = 'webhook_process_job'") == 1


@pytest.mark.slow
@pytest.mark.fault("F22")
async def test_the_same_webhook_from_four_apis_and_again_after_eight_days_is_one_reply(house):
    await house.start("api")
    await house.start("api")
    await house.start("api")
    message = json.dumps(text_message(QUESTION, message_id="ONE")).encode()

    async def post(port):
        answer = await house.http.post(
            f"http://127.0.0.1:{port}/webhook/whatsapp/incoming",
            content=message,
            headers={"X-Internal-Secret": SECRET, "Content-Type": "application/json"},
        )
        return answer.status_code

    answers = await asyncio.gather(*(post(port) for port in house.ports["api"] * 25))
    await house.until_sent(1)
    await house.until_quiet()
    await house.value("UPDATE inbox_event SET received_at = received_at - interval '8 days'")
    later = await post(house.ports["api"][0])
    await house.until_quiet()

    assert [*set(answers), later] == [httpx.codes.OK, httpx.codes.OK]
    assert await house.value("SELECT count(*) FROM inbox_event WHERE event_id = 'ONE'") == 1
    assert await house.value(JOBS_OF_EVENT) == 1
    assert len(await house.sends()) == 1


@pytest.fixture
async def engine(clean_database, redis_url):
    async with open_engine(clean_database, redis_url) as engine:
        yield engine


@dataclass(frozen=True)
class Reply:
    number: int


@dataclass(frozen=True)
class Send:
    number: int


async def short(_run, _payload):
    await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Hanging:
    number: int


async def sweep_until(engine, ended):
    while not ended.is_set():
        await engine.sweeper.sweep()
        await asyncio.sleep(0.2)


async def longest_wait_s(engine, count, *, start=0):
    """Ask for replies of a quiet business, one after another; return their longest way to a start."""
    waits = []
    for number in range(start, start + count):
        asked_at = time.monotonic()
        [job_id] = await ask_many(engine, [Reply(MILLION + number)], QUIET)
        await engine.until_state(job_id, "running", "done", within_s=30)
        waits.append(time.monotonic() - asked_at)
    return max(waits)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.fault("F25")
async def test_a_burst_of_one_business_keeps_another_waiting_no_longer_than_its_bound(engine):
    ended = asyncio.Event()
    with job_kind(Reply, short):
        async with engine.working():
            sweeping = asyncio.create_task(sweep_until(engine, ended))
            await ask_many(engine, [Reply(number) for number in range(10_000)])

            assert await longest_wait_s(engine, 30) < BOUND_S

            left = await engine.look.fetchval(
                "SELECT count(*) FROM job WHERE state = 'ready' AND business_id = $1", BUSY
            )
            assert left > 0, "the burst was over before it was measured"
            ended.set()
            await sweeping


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.fault("F19")
async def test_a_provider_that_hangs_keeps_others_waiting_for_one_timeout_and_then_no_more(engine):
    accounts, ended = Accounts(engine.worker), asyncio.Event()

    async def hang(_run, _payload):
        async with accounts.calling(Account("whatsapp_bridge", "hangs")):
            await asyncio.sleep(TIMEOUT_S)
            raise ProviderUnknownError("timed out")

    async def answer(_run, _payload):
        async with accounts.calling(Account("whatsapp_bridge", "answers")):
            await asyncio.sleep(0.02)

    with job_kind(Hanging, hang), job_kind(Reply, answer):
        async with engine.working(concurrency=20):
            sweeping = asyncio.create_task(sweep_until(engine, ended))
            await ask_many(engine, [Hanging(number) for number in range(60)])
            full = "SELECT count(*) >= 15 FROM job WHERE state = 'running'"
            await eventually(lambda: engine.look.fetchval(full), what="a worker full of calls that hang")

            # The others of its line are turned away without a call: three timeouts would take longer.
            assert await longest_wait_s(engine, 1) < TIMEOUT_S + 2 * BOUND_S
            assert await longest_wait_s(engine, 20, start=1) < BOUND_S

            closed = await engine.look.fetch("SELECT name FROM provider_account WHERE failures >= $1", TRIPS)
            assert [row["name"] for row in closed] == ["hangs"]
            ended.set()
            await sweeping


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.fault("F25")
async def test_in_a_burst_of_everybody_each_message_is_taken_within_a_second(stopped):
    # With the lease of production: how a busy machine keeps it is what is looked at here.
    await stopped.start_all("simulator", "api", "scheduler")
    await stopped.start("worker", JOB_LEASE_S="15")
    took_s, telling = [], set()

    async def tell_timed(number):
        started = time.monotonic()
        await tell(stopped, number)
        took_s.append(time.monotonic() - started)

    # Thirty a second for eight seconds, whether or not the ones before were taken.
    for number in range(240):
        telling.add(asyncio.create_task(tell_timed(number)))
        await asyncio.sleep(1 / 30)
    await asyncio.gather(*telling)

    assert sorted(took_s)[int(len(took_s) * 0.99)] < 1
    await eventually(lambda: stopped.value(ANSWERED), within_s=60, what="an answer to everybody")
    assert len(await stopped.sends()) == 240


async def ask_many(engine, payloads, business_id=BUSY):
    async with engine.api.driver_transaction(business_id) as connection:
        found = await insert(connection, [Asked(one, business_id) for one in payloads])
    await engine.dispatcher.announce(found)
    await engine.dispatcher.flushed()
    return [one.job_id for one in found]


A_MILLION_SENDS = """
INSERT INTO job (id, business_id, kind, payload, queue, urgency)
SELECT 'send_job-6-' || n, 6, $1, jsonb_build_object('number', n), 'low', $2
FROM generate_series(1, $3::int) AS n
"""


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.fault("F26")
async def test_behind_a_million_sends_of_a_broadcast_a_reply_is_within_its_bound(engine):
    ended = asyncio.Event()
    with (
        job_kind(Reply, short),
        job_kind(Send, short, queue="low", urgency=Urgency.BROADCAST),
    ):
        kind = KIND_OF[Send].name
        await engine.look.execute(A_MILLION_SENDS, kind, int(Urgency.BROADCAST), MILLION, timeout=300)
        await engine.look.execute("VACUUM ANALYZE job", timeout=100)
        async with engine.working():
            sweeping = asyncio.create_task(sweep_until(engine, ended))
            first_sends = "SELECT count(*) >= 50 FROM job WHERE kind = $1 AND state = 'done'"
            await eventually(
                lambda: engine.look.fetchval(first_sends, kind), within_s=30, what="sends on their way"
            )

            assert await longest_wait_s(engine, 30) < BOUND_S

            ended.set()
            await sweeping
