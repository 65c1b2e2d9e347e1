"""No business's work waits on another's, however much the other asks for."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta

import pytest

from server.queue import Asked
from server.queue.asking import insert
from server.queue.dispatch import BACKLOG_KEY, STRAIGHT_AT_ONCE, Shares
from server.queue.kinds import Urgency
from server.queue.window import MOST_GROWTH, SCHEDULERS_WINDOW
from tests.engine import job_kind

BUSY, QUIET = 6, 9


@dataclass(frozen=True)
class Reply:
    number: int


@dataclass(frozen=True)
class Send:
    number: int


@dataclass(frozen=True)
class Sweep:
    number: int


async def ask_many(engine, payloads, business_id=BUSY, **how):
    async with engine.api.driver_transaction(business_id) as connection:
        found = await insert(connection, [Asked(one, business_id, **how) for one in payloads])
    await engine.dispatcher.announce(found)
    await engine.dispatcher.flushed()


async def in_redis(engine, queue="default"):
    ids = await engine.redis.lrange(f"rq:queue:{queue}", 0, -1)
    return [int(one.decode().split("-")[1]) for one in ids]


async def nothing(_run, _payload):
    return


async def test_a_burst_leaves_most_of_itself_outside_redis(engine):
    with job_kind(Reply, nothing):
        await ask_many(engine, [Reply(n) for n in range(1000)])

        assert STRAIGHT_AT_ONCE <= len(await in_redis(engine)) < STRAIGHT_AT_ONCE + 100
        assert await engine.redis.exists(BACKLOG_KEY)


async def test_a_business_that_asks_for_little_goes_straight_in_behind_little(engine):
    with job_kind(Reply, nothing):
        await ask_many(engine, [Reply(n) for n in range(3000)])
        await ask_many(engine, [Reply(1)], QUIET)

        assert (await in_redis(engine)).index(QUIET) < STRAIGHT_AT_ONCE + 100


@pytest.mark.fault("F25")
@pytest.mark.parametrize("waiting", [100, 5000], ids=["few are due", "many are due"])
async def test_what_comes_due_for_a_business_is_not_behind_anothers_line(engine, waiting):
    with job_kind(Reply, nothing):
        await ask_many(engine, [Reply(n) for n in range(waiting)], due_in=timedelta(seconds=1))
        await ask_many(engine, [Reply(n) for n in range(5)], QUIET, due_in=timedelta(seconds=1))
        await engine.look.execute("UPDATE job SET due_at = now() - interval '1 s' + seq * interval '1 us'")

        await engine.sweeper.sweep()

        assert (await in_redis(engine))[:10].count(QUIET) == 5
        assert len(await in_redis(engine)) == min(SCHEDULERS_WINDOW, waiting + 5)


async def test_in_a_queue_urgent_work_goes_first_and_businesses_take_turns(engine):
    with job_kind(Sweep, nothing, urgency=Urgency.UPKEEP), job_kind(Reply, nothing):
        await ask_many(engine, [Sweep(n) for n in range(2)], QUIET, due_in=timedelta(seconds=1))
        await ask_many(engine, [Reply(n) for n in range(3)], due_in=timedelta(seconds=1))
        await ask_many(engine, [Reply(n) for n in range(3)], QUIET, due_in=timedelta(seconds=1))
        await engine.look.execute("UPDATE job SET due_at = now() - interval '1 s' + seq * interval '1 us'")

        await engine.sweeper.sweep()

        assert await in_redis(engine) == [BUSY, QUIET] * 3 + [QUIET, QUIET]


async def test_the_window_holds_no_more_however_often_it_is_filled(engine):
    with job_kind(Reply, nothing):
        await ask_many(engine, [Reply(n) for n in range(2000)], due_in=timedelta(seconds=1))
        await engine.look.execute("UPDATE job SET due_at = now()")

        for _ in range(3):
            await engine.sweeper.sweep()

        assert len(await in_redis(engine)) == SCHEDULERS_WINDOW


async def test_a_window_that_is_emptied_before_it_is_filled_again_grows_for_as_long_as_it_is(engine):
    with job_kind(Reply, nothing):
        await ask_many(engine, [Reply(n) for n in range(4000)], due_in=timedelta(seconds=1))
        await engine.look.execute("UPDATE job SET due_at = now()")
        filled = []
        for _ in range(4):
            await engine.sweeper.sweep()
            filled.append(len(await in_redis(engine)))
            await engine.redis.delete("rq:queue:default")

        assert filled == [SCHEDULERS_WINDOW * times for times in (1, 2, MOST_GROWTH, MOST_GROWTH)]

        await engine.redis.rpush("rq:queue:default", "Reply-0-1")
        await engine.sweeper.sweep()
        assert len(await in_redis(engine)) == SCHEDULERS_WINDOW


async def test_workers_empty_a_backlog_without_waiting_for_the_scheduler(engine):
    with job_kind(Reply, nothing):
        await ask_many(engine, [Reply(n) for n in range(3000)])

        async with engine.working():
            await until_done(engine, 3000)


async def until_done(engine, count, within_s=20):
    deadline = time.monotonic() + within_s
    while await engine.look.fetchval("SELECT count(*) FROM job WHERE state = 'done'") < count:
        assert time.monotonic() < deadline, "the jobs were not done in time"
        await asyncio.sleep(0.05)


@pytest.mark.fault("F25")
async def test_a_reply_finds_a_place_while_long_work_fills_the_worker(engine):
    release = asyncio.Event()

    async def long(_run, _payload):
        await release.wait()

    with (
        job_kind(Reply, nothing),
        job_kind(Send, long, queue="low", urgency=Urgency.BROADCAST),
    ):
        async with engine.working(concurrency=8):
            await ask_many(engine, [Send(n) for n in range(50)])
            async with asyncio.timeout(10):
                while await engine.look.fetchval("SELECT count(*) FROM job WHERE state = 'running'") < 6:
                    await asyncio.sleep(0.02)
            reply = await engine.ask(Reply(1))

            assert await engine.until_state(reply, "done", within_s=3) == "done"
            running = await engine.look.fetchval("SELECT count(*) FROM job WHERE state = 'running'")
            assert running == 6
            release.set()


@pytest.mark.fault("F25")
async def test_upkeep_is_done_under_a_flood_of_urgent_work(engine):
    async def short(_run, _payload):
        await asyncio.sleep(0.02)

    with job_kind(Reply, short), job_kind(Sweep, nothing, queue="maintenance", urgency=Urgency.UPKEEP):
        await ask_many(engine, [Reply(n) for n in range(3000)])
        upkeep = await engine.ask(Sweep(1))
        async with engine.working():
            await engine.until_state(upkeep, "done", within_s=10)
            left = await engine.look.fetchval("SELECT count(*) FROM job WHERE state = 'ready'")
            assert left > 0, "the flood was over before the upkeep ran"


def test_a_share_comes_back_with_time_and_belongs_to_one_business():
    shares = Shares()
    taken = sum(shares.take(BUSY) for _ in range(STRAIGHT_AT_ONCE * 2))

    assert STRAIGHT_AT_ONCE <= taken < STRAIGHT_AT_ONCE + 10
    assert shares.take(QUIET)
    assert shares.take(None)
