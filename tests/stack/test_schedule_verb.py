"""`prosaas schedule`, as an operator types it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta

import pytest

from server.queue.schedules import LOCK_KEY
from server.scheduler import ticks
from tests.engine import open_engine

EVERY_FIVE_MINUTES = "whatsapp_sessions_cleanup_job"


@pytest.fixture
async def engine(clean_database, redis_url):
    async with open_engine(clean_database, redis_url) as engine:
        await ticks.register(engine.scheduler, "Asia/Jerusalem")
        yield engine


@pytest.fixture
def prosaas(engine, clean_database, redis_url):
    async def typed(*words):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server.stack.cli", "schedule", *words),
            env=os.environ | {"DATABASE_URL": clean_database, "REDIS_URL": redis_url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        told, _ = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode, told.decode()

    return typed


async def test_it_shows_each_entry_its_next_slot_in_its_zone_and_in_utc_and_who_keeps_time(engine, prosaas):
    await engine.redis.set(LOCK_KEY, "this-host:17:secret")
    await ticks.tick(engine.scheduler)

    code, told = await prosaas()

    [line] = [line for line in told.splitlines() if line.startswith("inbox_cleanup_job")]
    assert code == 0
    assert "30 3 * * * Asia/Jerusalem" in line
    assert " 03:30 " in line
    assert " 01:30 " in line or " 00:30 " in line
    assert "this-host:17 keeps time." in told
    assert "secret" not in told


async def test_without_a_scheduler_it_says_so(engine, prosaas):
    assert "No scheduler holds the lock" in (await prosaas())[1]


async def test_an_entry_is_paused_skipped_resumed_and_run_and_all_of_it_is_told(engine, prosaas):
    await prosaas("pause", EVERY_FIVE_MINUTES, "--reason", "the model is away")
    await engine.look.execute(
        "UPDATE schedule SET watermark = now() - $1::interval, next_slot = now() - $1::interval"
        " WHERE name = $2",
        timedelta(minutes=10),
        EVERY_FIVE_MINUTES,
    )
    await ticks.tick(engine.scheduler)

    assert "the model is away" in (await prosaas())[1]
    # Two slots lie in ten minutes; a third where one came up between setting the watermark and the tick.
    skipped = await engine.look.fetchval(
        "SELECT count(*) FROM schedule_slot WHERE schedule = $1 AND state = 'skipped'", EVERY_FIVE_MINUTES
    )
    assert skipped >= 2
    assert (await prosaas("skipped", EVERY_FIVE_MINUTES))[1].count("the model is away") == skipped
    assert (await prosaas("resume", EVERY_FIVE_MINUTES))[0] == 0
    assert await prosaas("run", EVERY_FIVE_MINUTES, "--reason", "to see") == (
        0,
        f"{EVERY_FIVE_MINUTES} was asked to run now.\n",
    )
    assert await engine.redis.llen("rq:queue:maintenance") == 1
    deeds = await engine.look.fetch("SELECT deed, actor, reason FROM schedule_audit ORDER BY id")
    assert [one["deed"] for one in deeds] == ["paused", "resumed", "run"]
    assert all("(prosaas schedule)" in one["actor"] for one in deeds)


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (("run", "no_such_job"), "There is no schedule no_such_job"),
        (("resume", EVERY_FIVE_MINUTES), "is not paused"),
        (("pause",), "usage:"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(prosaas, words, about):
    code, told = await prosaas(*words)

    assert code != 0
    assert about in told
    assert "Traceback" not in told
