"""F14: clocks that jump while work runs, and clocks that never agreed: only the database's is compared."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from server.queue import Asked
from server.queue.asking import insert
from server.queue.catalog import LoginCleanup
from tests.engine import eventually
from tests.faults.clocks import clocks, needs_libfaketime, offset_s
from tests.faults.senders import QUESTION, tell_all, until_answered
from tests.processes import sample, text_message

pytestmark = [pytest.mark.slow, needs_libfaketime]

HOURS = 7200
ROLES = ("api", "worker", "scheduler")
EVERY_FIVE_MINUTES = "whatsapp_sessions_cleanup_job"
GO_BACK = "UPDATE schedule SET watermark = $2, next_slot = $2 WHERE name = $1"
SLOTS_ARE_RIGHT = """
SELECT (SELECT array_agg(slot ORDER BY slot) FROM schedule_slot WHERE schedule = $1)
     = (SELECT array_agg(slot ORDER BY slot)
        FROM generate_series(date_bin('5 minutes', $2, '2000-01-01Z'), now(), '5 minutes') AS slot
        WHERE slot > $2)
   AND (SELECT watermark > $2 FROM schedule WHERE name = $1)
"""
ENQUEUED = "SELECT count(*) FROM schedule_slot WHERE schedule = $1 AND state = 'enqueued'"
DIED = "SELECT count(*) FROM job_attempt WHERE outcome <> 'done'"
WORKERS_MOMENTS = "local found = {} for _, key in ipairs(redis.call('KEYS', 'rq:job:*')) do\
 found[#found + 1] = redis.call('HGET', key, 'ended_at') end return found"


@dataclass(frozen=True)
class Wrong:
    """By how many seconds each clock is wrong from the start, and then all of a sudden."""

    at_first: tuple[int, int, int]
    later: tuple[int, int, int]


CASES = {
    "two hours ahead while they run": Wrong((0, 0, 0), (HOURS, HOURS, HOURS)),
    "two hours back while they run": Wrong((0, 0, 0), (-HOURS, -HOURS, -HOURS)),
    "four hours apart, then the other way": Wrong((HOURS, -HOURS, HOURS), (-HOURS, HOURS, -HOURS)),
    "ninety seconds apart, then the other way": Wrong((90, -90, 45), (-90, 90, -45)),
}


@pytest.fixture
def wrong_clocks(tmp_path):
    with clocks(tmp_path, *ROLES) as made:
        yield made


@pytest.mark.fault("F14")
@pytest.mark.parametrize("case", CASES)
async def test_wrong_clocks_lose_and_double_no_slot_no_lease_and_no_reply(wrong_clocks, stopped, case):
    await set_clocks(wrong_clocks, CASES[case].at_first)
    await start(stopped, wrong_clocks)
    await until_they_show(stopped, CASES[case].at_first)
    soon, much_later = await ask_for(stopped, timedelta(seconds=5), timedelta(hours=1))
    await stopped.behave(times=6, delay_ms=1500)
    await tell_all(stopped, 6, group=1)
    await stopped.until_sent(1)

    await set_clocks(wrong_clocks, CASES[case].later)
    await until_they_show(stopped, CASES[case].later)
    await tell_all(stopped, 6, group=2)

    await slots_are_made_once(stopped)
    await until_answered(stopped, 12)
    await eventually(lambda: is_done(stopped, soon), within_s=15, what="the job that was due in five seconds")
    assert await stopped.value("SELECT started_at >= due_at FROM job WHERE id = $1", soon)
    assert await stopped.value("SELECT state = 'ready' AND token = 0 FROM job WHERE id = $1", much_later)
    assert await stopped.value(DIED) == 0
    assert await shown_by_the_workers_own_process(stopped, CASES[case].later[1])


@pytest.mark.fault("F14")
@pytest.mark.parametrize("wrong_by_s", [HOURS, -HOURS])
async def test_a_person_has_a_conversation_for_half_an_hour_whatever_the_workers_clock_says(
    wrong_clocks, stopped, wrong_by_s
):
    wrong_clocks["worker"].show(wrong_by_s)
    await start(stopped, wrong_clocks)
    typed = sample("owner_typed_on_phone.json")
    phone = typed["payload"]["messages"][0]["key"]["remoteJid"].partition("@")[0]

    await stopped.post(typed)
    await stopped.until_quiet()
    await stopped.post(text_message(QUESTION, phone=phone))
    await stopped.until_quiet()

    pause = await stopped.value("SELECT ai_paused_until - now() FROM conversation")
    assert timedelta(minutes=28) < pause <= timedelta(minutes=30)
    assert await stopped.sends() == []


async def set_clocks(made, offsets):
    for role, offset in zip(ROLES, offsets, strict=True):
        made[role].show(offset)


async def start(house, made):
    await house.start("simulator")
    await asyncio.gather(*(house.start(role, **made[role].environment) for role in ROLES))


async def until_they_show(house, offsets):
    async def all_show():
        seen = [await offset_s(house, role) for role in ROLES]
        return all(abs(one - offset) < 10 for one, offset in zip(seen, offsets, strict=True))

    await eventually(all_show, within_s=10, what="clocks that are wrong")


async def ask_for(house, *delays):
    slot = datetime(2026, 1, 1, tzinfo=UTC)
    asked = [Asked(LoginCleanup(slot + delay), None, due_in=delay) for delay in delays]
    connection = await asyncpg.connect(house.addresses.database_url)
    try:
        async with connection.transaction():
            await insert(connection, asked)
    finally:
        await connection.close()
    return [one.row()["id"] for one in asked]


async def slots_are_made_once(house):
    """Send the timetable twenty minutes back, twice: its slots become rows, and no job comes of it twice."""
    since = await house.value("SELECT now() - interval '21 minutes'")
    for _ in range(2):
        await house.value(GO_BACK, EVERY_FIVE_MINUTES, since)
        await eventually(
            lambda: house.value(SLOTS_ARE_RIGHT, EVERY_FIVE_MINUTES, since), what="the slots of the database"
        )
    jobs = await house.value("SELECT count(*) FROM job WHERE kind = $1", EVERY_FIVE_MINUTES)
    assert 1 <= jobs == await house.value(ENQUEUED, EVERY_FIVE_MINUTES)


async def is_done(house, job_id):
    return await house.value("SELECT state = 'done' FROM job WHERE id = $1", job_id)


async def shown_by_the_workers_own_process(house, offset):
    """Tell whether the process that runs the jobs, and not only its supervisor, has the wrong clock."""
    moments = [datetime.fromisoformat(one.decode()) for one in await house.redis("EVAL", WORKERS_MOMENTS, 0)]
    return any(
        abs((one.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds() - offset) < 40 for one in moments
    )
