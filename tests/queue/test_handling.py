"""What a handler is given: progress, checkpoints, snoozing, a deadline."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import orjson
import pytest

from server.errors import LeaseLostError, Snooze
from tests.engine import BUSINESS, job_kind


@dataclass(frozen=True)
class Import:
    number: int


async def told(engine, job_id, column):
    found = await engine.look.fetchval(f"SELECT {column}::text FROM job WHERE id = $1", job_id)
    return None if found is None else orjson.loads(found)


@pytest.mark.fault("F28")
async def test_a_run_goes_on_where_the_one_before_it_kept_its_checkpoint(engine):
    began = []

    async def handle(run, _payload):
        began.append(run.checkpoint)
        async with run.step() as session:
            await run.keep_checkpoint(session, {"row": len(began) * 10})
        if run.attempt < 3:
            raise RuntimeError("in the middle")

    with job_kind(Import, handle, retry_after_s=(0.0, 0.0)):
        async with engine.working():
            job_id = await engine.ask(Import(1))
            await engine.until_dispatched_and(job_id, "done")

    assert began == [None, {"row": 10}, {"row": 20}]


async def test_a_checkpoint_is_kept_with_the_writes_beside_it_or_not_at_all(engine):
    async def handle(run, _payload):
        async with run.step() as session:
            await run.keep_checkpoint(session, {"row": 1})
            raise RuntimeError("before the commit")

    with job_kind(Import, handle, retry_after_s=()):
        async with engine.working():
            job_id = await engine.ask(Import(1))
            await engine.until_state(job_id, "failed")

    assert await told(engine, job_id, "checkpoint") is None


async def test_a_checkpoint_is_small(engine):
    async def handle(run, _payload):
        async with run.step() as session:
            await run.keep_checkpoint(session, {"text": "x" * 10_000})

    with job_kind(Import, handle, retry_after_s=()):
        async with engine.working():
            assert await engine.until_state(await engine.ask(Import(1)), "failed")


async def test_progress_adds_up_and_what_is_done_never_falls(engine):
    async def handle(run, _payload):
        async with run.step() as session:
            await run.progress(session, total=10, done=6, failed=1, left=3)
        with pytest.raises(ValueError, match="do not add up"):
            async with run.step() as session:
                await run.progress(session, total=10, done=6, left=1)
        with pytest.raises(LeaseLostError):
            async with run.step() as session:
                await run.progress(session, total=10, done=5, left=5)

    with job_kind(Import, handle):
        async with engine.working():
            job_id = await engine.ask(Import(1))
            await engine.until_state(job_id, "done")

    assert await told(engine, job_id, "progress") == {"total": 10, "done": 6, "failed": 1, "left": 3}


async def test_a_bar_does_not_go_back_when_the_total_grows_and_is_full_only_at_the_end(engine):
    shares = []

    async def handle(run, _payload):
        for total, done, failed in ((10, 5, 0), (1000, 5, 0), (1000, 998, 1), (1000, 998, 2)):
            async with run.step() as session:
                await run.progress(session, total=total, done=done, failed=failed, left=total - done - failed)
            # On a connection of its own: the test polls on the other meanwhile.
            async with engine.worker.driver() as connection:
                shares.append(
                    await connection.fetchval("SELECT progress_share FROM job WHERE id = $1", run.job_id)
                )

    with job_kind(Import, handle):
        async with engine.working():
            await engine.until_state(await engine.ask(Import(1)), "done")

    assert shares == [500, 500, 999, 1000]


async def test_a_run_that_snoozes_uses_no_attempt(engine):
    attempts = []

    async def handle(run, _payload):
        attempts.append(run.attempt)
        if len(attempts) < 5:
            raise Snooze("the other side is not ready", for_s=0)

    with job_kind(Import, handle, retry_after_s=()):
        async with engine.working():
            job_id = await engine.ask(Import(1))
            await engine.until_dispatched_and(job_id, "done")

    assert attempts == [1] * 5


async def test_work_whose_time_passes_while_it_runs_expires(engine):
    async def handle(_run, _payload):
        await asyncio.Event().wait()

    with job_kind(Import, handle, expires_after_s=0.5):
        async with engine.working():
            job_id = await engine.ask(Import(1))
            assert await engine.until_state(job_id, "expired", "failed", "done") == "expired"

    assert await engine.look.fetchval("SELECT business_id FROM job WHERE id = $1", job_id) == BUSINESS


async def test_the_queue_of_a_test_lists_what_was_asked_and_drains_it(engine, queue):
    handled = []

    async def handle(run, payload):
        handled.append(payload)
        if payload.number == 1:
            from server.queue import enqueue

            async with run.completing() as session:
                await enqueue(session, Import(2), business_id=run.business_id)

    with job_kind(Import, handle):
        await engine.ask(Import(1))
        assert queue.asked == [Import(1)]

        await queue.drain()

        assert handled == [Import(1), Import(2)]
        assert queue.asked == []
