"""F8, F12: stores that are away, or silent, for as long as the matrix says, while customers go on writing.

`PROSAAS_OUTAGE_S` says how long Redis is away, and `PROSAAS_STALL_S` how long PostgreSQL's tables are locked.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import httpx
import pytest

from tests.engine import eventually
from tests.faults.senders import QUESTION, open_business, question, tell, tell_all, until_answered
from tests.processes import text_message

OUTAGE_S = float(os.environ.get("PROSAAS_OUTAGE_S", "24"))
STALL_S = float(os.environ.get("PROSAAS_STALL_S", "60"))
BIG, SMALL = 6, (7, 8, 9)
TICK_S = 0.5
BIGS_SHARE = 10
ANSWERED = "SELECT count(*) FROM effect WHERE state IN ('sent', 'confirmed')"
BEFORE, STALLED = 12, 13
TABLES = ("schedule", "job", "inbox_event", "message", "effect")
# PostgreSQL is told to give up a lock after 5 s and a statement after 10 s; whoever asks may need two.
LONGEST_WAIT_S = 10.0
LONGEST_ANSWER_S = 2 * LONGEST_WAIT_S
LONGEST_WAITING = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)::float8 FROM pg_stat_activity
WHERE application_name LIKE 'prosaas%' AND wait_event_type = 'Lock'
"""


class Customers:
    """Customers of several businesses who write at a steady rate, and how each message was received."""

    def __init__(self, house):
        self._house = house
        self._posting = set()
        self.told: Counter[int] = Counter()
        self.statuses: Counter[int] = Counter()
        self.took_s = []

    async def write_for(self, seconds):
        """Write to each small business once a tick, and to the big one ten times."""
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            for business in (*SMALL, *[BIG] * BIGS_SHARE):
                self.told[business] += 1
                self._posting.add(asyncio.create_task(self._post(business, self.told[business])))
            await asyncio.sleep(TICK_S)
        await asyncio.gather(*self._posting)

    async def _post(self, business, number):
        message = text_message(
            QUESTION, phone=f"97252{business}{number:06}", message_id=f"B{business}N{number}"
        )
        started = time.monotonic()
        answer = await self._house.post(message | {"tenantId": f"business_{business}"})
        self.took_s.append(time.monotonic() - started)
        self.statuses[answer.status_code] += 1


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.fault("F8")
@pytest.mark.timeout(4 * OUTAGE_S + 200)
async def test_while_redis_is_long_away_webhooks_are_taken_quickly_and_then_each_business_has_its_turn(
    stopped,
):
    for business in SMALL:
        await open_business(stopped, business)
    await stopped.start_all("simulator", "api", "scheduler")
    # Few at once, so that the order of sends is the order in which messages had their turn.
    await stopped.start("worker", WORKER_PROCESSES="1", WORKER_CONCURRENCY="60", JOB_LEASE_S="15")
    customers = Customers(stopped)

    await stopped.valkey.stop()
    await customers.write_for(OUTAGE_S)
    await stopped.valkey.start()

    told = customers.told.total()
    assert customers.statuses == {httpx.codes.OK: told}
    assert sorted(customers.took_s)[int(told * 0.99)] < 1
    await eventually(all_answered(stopped, told), within_s=100 + 2 * OUTAGE_S, what="an answer to everybody")
    await stopped.until_quiet()
    sends = [call["request"]["body"] for call in await stopped.sends()]
    assert set(Counter(one["to"] for one in sends).values()) == {1}
    assert Counter(one["tenantId"] for one in sends) == {
        f"business_{n}": customers.told[n] for n in customers.told
    }
    turns = [one["tenantId"] == f"business_{BIG}" for one in sends]
    smalls_end = len(turns) - turns[::-1].index(False)
    assert sum(turns[:smalls_end]) < customers.told[BIG] / 2


def all_answered(house, count):
    async def answered():
        return await house.value(ANSWERED) == count

    return answered


@asynccontextmanager
async def locked(house, tables):
    """Hold tables, each by a connection of its own: none that waits for one holds another."""
    async with AsyncExitStack() as stack:
        for table in tables:
            connection = await asyncpg.connect(house.addresses.database_url)
            stack.push_async_callback(connection.close)
            await stack.enter_async_context(connection.transaction())
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


class Stall:
    """What was seen while nothing could be read or written."""

    def __init__(self, house):
        self._house = house
        self._posting = set()
        self.told = 0
        self.statuses: Counter[int] = Counter()
        self.leaders = set()
        self.healths = set()
        self.longest_answer_s = self.longest_wait_s = 0.0

    async def watch_for(self, seconds):
        """Let a customer write every second, and look what the processes do."""
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            self.told += 1
            self._posting.add(asyncio.create_task(self._post(self.told)))
            self.longest_wait_s = max(self.longest_wait_s, await self._house.value(LONGEST_WAITING))
            self.leaders.add(await self._house.redis("GET", "scheduler:global_lock"))
            for port in self._house.ports["scheduler"]:
                answer = await self._house.http.get(f"http://127.0.0.1:{port}/healthz")
                self.healths.add(answer.status_code)
            await asyncio.sleep(1)

    async def end(self):
        """Wait for the answers that are still to come."""
        await asyncio.gather(*self._posting)

    async def _post(self, number):
        started = time.monotonic()
        answer = await self._house.post(question(number, group=STALLED))
        self.longest_answer_s = max(self.longest_answer_s, time.monotonic() - started)
        self.statuses[answer.status_code] += 1


@pytest.mark.slow
@pytest.mark.fault("F12")
@pytest.mark.timeout(STALL_S + 240)
async def test_while_every_table_is_locked_nobody_waits_for_long_and_no_scheduler_leads_stuck(stopped):
    await stopped.start_all("simulator", "api", "scheduler")
    await stopped.start("scheduler")
    # With the lease of production: a busy machine keeps no shorter one, and that is not looked at here.
    await stopped.start("worker", JOB_LEASE_S="15")
    await stopped.behave(times=10, delay_ms=1000)
    await tell_all(stopped, 20, group=BEFORE)
    await stopped.until_sent(1)
    stall = Stall(stopped)

    async with locked(stopped, TABLES):
        await stall.watch_for(STALL_S)
        await stall.end()

    assert stall.statuses == {httpx.codes.SERVICE_UNAVAILABLE: stall.told}
    assert stall.longest_answer_s < LONGEST_ANSWER_S
    assert stall.longest_wait_s < LONGEST_WAIT_S
    # Whoever leads and gets nowhere makes room for the other, and both live.
    assert len(stall.leaders - {None}) == 2
    assert stall.healths == {httpx.codes.OK}
    await asyncio.gather(*(tell(stopped, number, group=STALLED) for number in range(1, stall.told + 1)))
    await until_answered(stopped, 20 + stall.told)
