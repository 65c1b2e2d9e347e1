"""Each slot once, as the table and its policy say: any day, zone, jitter, restart, scheduler and clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings

from server.scheduler import ticks
from server.scheduler.look import look_at_jobs, look_at_slots
from server.scheduler.schedule import TIMETABLE
from tests.engine import open_engine
from tests.scheduler.frozen import Clock, frozen_database
from tests.scheduler.story import stories
from tests.scheduler.weather import EMPTY, JOBS, Weather, kinds_of_the_story
from tests.servers import run

FAR_AWAY = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
MOMENTS = "SELECT name, watermark, next_slot FROM schedule"
BOUNDED = settings(
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
DEEP = settings(BOUNDED, derandomize=False, max_examples=300, print_blob=True)


@pytest.fixture(scope="module")
def frozen_url(servers, worker_number):
    return run(frozen_database(servers, f"frozen_{worker_number}"))


@pytest.fixture
async def frozen(frozen_url, redis_url):
    async with open_engine(frozen_url, redis_url) as engine:
        await engine.look.execute(EMPTY)
        yield engine


async def test_the_frozen_clock_is_the_clock_of_all_that_keeps_time(frozen):
    await Clock(frozen.look).show(FAR_AWAY)

    await ticks.register(frozen.scheduler, "UTC")
    rows = await frozen.look.fetch(MOMENTS)
    assert {(row["watermark"], row["next_slot"]) for row in rows} == {(FAR_AWAY, FAR_AWAY)}

    await Clock(frozen.look).show(FAR_AWAY + timedelta(days=1))
    seen = await look_at_slots(frozen.scheduler)
    assert (seen.now, seen.next_slot) == (FAR_AWAY + timedelta(days=1), FAR_AWAY)
    assert (await look_at_jobs(frozen.scheduler)).now == seen.now
    while (await ticks.tick(frozen.scheduler)).is_more:
        pass

    rows = await frozen.look.fetch(MOMENTS)
    assert all(FAR_AWAY < row["watermark"] <= seen.now < row["next_slot"] for row in rows)
    jobs = await frozen.look.fetch("SELECT due_at, dispatched_at FROM job")
    assert {tuple(row) for row in jobs} == {(seen.now, seen.now)}
    assert len(jobs) == len(TIMETABLE)


async def each_slot_is_enqueued_as_often_as_the_table_and_its_policy_say(engine, story):
    await engine.look.execute(EMPTY)
    with pytest.MonkeyPatch.context() as patch, kinds_of_the_story():
        weather = Weather(engine, Clock(engine.look), patch, story.start)
        await weather.play(story)

        assert await weather.differences() == []
        jobs = await engine.look.fetch(JOBS)
        assert len(jobs) == len({job["id"] for job in jobs}) == weather.expected_jobs
        assert all(datetime.fromisoformat(job["told"]) == job["slot"] for job in jobs if job["slot"])
        enqueued = "SELECT count(*) FROM schedule_slot WHERE state = 'enqueued'"
        assert await engine.look.fetchval(enqueued) == sum(job["slot"] is not None for job in jobs)


# What fails is made smaller before it is told, and that takes its time.
@pytest.mark.timeout(900)
@pytest.mark.fault("F14")
@pytest.mark.fault("F17")
@given(stories())
@BOUNDED
async def test_whatever_happens_each_slot_is_enqueued_as_the_table_and_its_policy_say(frozen, story):
    await each_slot_is_enqueued_as_often_as_the_table_and_its_policy_say(frozen, story)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.fault("F14")
@pytest.mark.fault("F17")
@given(stories())
@DEEP
async def test_whatever_happens_in_hundreds_of_other_days_too(frozen, story):
    await each_slot_is_enqueued_as_often_as_the_table_and_its_policy_say(frozen, story)
