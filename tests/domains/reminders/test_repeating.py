"""Reminders that come again and again, on the business's clock."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from server.domains import reminders
from server.errors import BadInputError
from server.queue.catalog import ReminderRecurs
from server.scheduler.ticks import tick
from tests.domains.reminders.conftest import NOA
from tests.engine import BUSINESS

DAILY = "30 8 * * *"
MADE = "SELECT due_at, state FROM reminder ORDER BY due_at"
HOME = ZoneInfo("Asia/Jerusalem")


async def repeat(agenda, cron=DAILY, **how):
    async with agenda.engine.api.transaction(BUSINESS) as session:
        return await reminders.repeat(
            session,
            BUSINESS,
            **({"text": "Water the plants", "label": "Plants", "by": "Dana"} | how),
            cron=cron,
        )


async def next_slot(agenda):
    return await agenda.look("SELECT next_slot FROM schedule WHERE business_id = 6")


async def run_slot(agenda, series_id, slot):
    return await agenda.run(ReminderRecurs(series_id, slot), business_id=BUSINESS)


async def test_the_first_one_is_made_at_once_at_the_business_s_own_hour(agenda):
    await repeat(agenda)

    [(due_at, state)] = await agenda.rows(MADE)
    at_home = due_at.astimezone(HOME)
    assert (at_home.hour, at_home.minute, state) == (8, 30, "open")
    assert due_at == await next_slot(agenda)


async def test_at_its_slot_the_next_one_is_made_so_that_it_is_reminded_of_before(agenda):
    series_id = await repeat(agenda)
    slot = await next_slot(agenda)

    await run_slot(agenda, series_id, slot)

    made = [due_at.astimezone(HOME) for due_at, _ in await agenda.rows(MADE)]
    assert made[0] == slot
    assert [(one.hour, one.minute) for one in made] == [(8, 30), (8, 30)]
    assert made[1].date() - made[0].date() == timedelta(days=1)


async def test_a_slot_that_runs_twice_makes_one_reminder(agenda):
    series_id = await repeat(agenda)
    ended = await run_slot(agenda, series_id, await next_slot(agenda))
    made = await agenda.rows(MADE)

    await agenda.again(ended.claim.job_id)

    assert await agenda.rows(MADE) == made


async def test_one_that_was_moved_is_not_made_again_at_its_old_time(agenda):
    series_id = await repeat(agenda)
    slot = await next_slot(agenda)
    async with agenda.engine.api.transaction(BUSINESS) as session:
        await reminders.reschedule(
            session, await agenda.look("SELECT id FROM reminder"), slot + timedelta(hours=2)
        )

    await run_slot(agenda, series_id, slot)

    assert slot not in [due_at for due_at, _ in await agenda.rows(MADE)]


async def test_one_that_was_cancelled_stays_cancelled_and_the_next_one_comes(agenda):
    series_id = await repeat(agenda)
    async with agenda.engine.api.transaction(BUSINESS) as session:
        await reminders.cancel(session, await agenda.look("SELECT id FROM reminder"))

    await run_slot(agenda, series_id, await next_slot(agenda))

    assert [state for _, state in await agenda.rows(MADE)] == ["cancelled", "open"]


async def test_a_stopped_series_makes_nothing_more_and_calls_off_what_it_made_ahead(agenda):
    series_id = await repeat(agenda)
    slot = await next_slot(agenda)
    async with agenda.engine.api.transaction(BUSINESS) as session:
        assert await reminders.stop_repeating(session, series_id, by="Dana")
        assert not await reminders.stop_repeating(session, series_id, by="Dana")

    # Its job was asked for before.
    await run_slot(agenda, series_id, slot)

    assert [state for _, state in await agenda.rows(MADE)] == ["cancelled"]
    assert await agenda.look("SELECT count(*) FROM schedule") == 0
    assert await agenda.rows("SELECT deed, actor FROM schedule_audit ORDER BY id") == [
        ("made", "Dana"),
        ("removed", "Dana"),
    ]


async def test_what_is_due_stays_open_when_its_series_is_stopped(agenda):
    series_id = await repeat(agenda)
    await agenda.passes(60 * 24 + 1)
    async with agenda.engine.api.transaction(BUSINESS) as session:
        await reminders.stop_repeating(session, series_id, by="Dana")

    assert [state for _, state in await agenda.rows(MADE)] == ["open"]


async def test_the_scheduler_asks_for_a_slot_s_job_with_ids_alone(agenda):
    series_id = await repeat(agenda, "* * * * *")
    await agenda.look("UPDATE schedule SET watermark = now() - interval '5 minutes', next_slot = now()")

    await tick(agenda.engine.scheduler)

    kind, payload, business_id = (
        await agenda.rows("SELECT kind, payload ->> 'series_id', business_id FROM job")
    )[0]
    assert (kind, payload, business_id) == ("reminder_recurs_job", str(series_id), BUSINESS)
    assert await agenda.look("SELECT count(*) FROM job WHERE payload::text LIKE '%plants%'") == 0


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"cron": "61 8 * * *"}, "bad_schedule"),
        ({"cron": "* * * * * *"}, "bad_schedule"),
        ({"cron": "0 0 31 2 *"}, "bad_schedule"),
        ({"text": " "}, "bad_reminder"),
        ({"label": ""}, "bad_label"),
    ],
)
async def test_what_cannot_be_kept_is_refused_and_nothing_of_it_stays(agenda, how, code):
    with pytest.raises(BadInputError) as refused:
        await repeat(agenda, **how)

    assert refused.value.code == code
    for table in ("schedule", "reminder", "reminder_series"):
        assert await agenda.look(f"SELECT count(*) FROM {table}") == 0


async def test_a_series_about_noa_s_conversation_leaves_nothing_though_its_caller_goes_on(agenda):
    conversation_id = await agenda.talk(NOA)
    async with agenda.engine.api.transaction(BUSINESS) as session:
        with pytest.raises(BadInputError) as refused:
            await reminders.repeat(
                session,
                BUSINESS,
                text="x",
                cron=DAILY,
                label="x",
                by="Dana",
                conversation_id=conversation_id,
            )

    assert refused.value.code == "no_such_subject"
    assert await agenda.look("SELECT count(*) FROM schedule") == 0


async def test_noa_cannot_stop_dana_s_series(agenda):
    series_id = await repeat(agenda)
    async with agenda.engine.api.transaction(NOA) as session:
        assert not await reminders.stop_repeating(session, series_id, by="Noa")

    assert await agenda.look("SELECT count(*) FROM schedule") == 1
