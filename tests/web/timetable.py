"""Schedules of one business and of the installation, as their page finds them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from server.db import Database
from server.db.session import driver_of
from server.queue import schedules
from server.queue.catalog import WhatsappSessionsCleanup
from server.queue.schedules import Actor
from server.queue.slots import CatchUp, Plan
from server.scheduler import ticks
from tests.web.site import Site
from tests.web.story import Story

HOUSE = "whatsapp_sessions_cleanup_job"
SLOT = """
INSERT INTO schedule_slot (schedule, slot, state, job_id, reason, business_id)
SELECT name, date_trunc('minute', now()) - $2::interval, $3, $4, $5, business_id FROM schedule WHERE name = $1
"""


async def keep(site: Site, story: Story, label: str = "Weekly offer", **more: Any) -> str:
    """The business makes a schedule; returns its name."""
    plan = Plan(more.get("cron", "0 8 * * 1"), more.get("zone", "Asia/Jerusalem"), CatchUp.LATEST)
    async with site.context.database.transaction(story.business_id) as session:
        name, _ = await schedules.keep(
            await driver_of(session),
            WhatsappSessionsCleanup,
            {},
            plan,
            business_id=story.business_id,
            key=label,
            label=label,
            by=Actor("root", "a test"),
        )
    return name


async def register(database_url: str) -> None:
    """A scheduler enters the installation's timetable."""
    database = Database(database_url, role="prosaas_scheduler")
    await ticks.register(database, "UTC")
    await database.aclose()


async def put_slot(story: Story, name: str, state: str, **more: Any) -> None:
    """A slot of minutes ago stands like this, with its job or its reason."""
    ago = timedelta(minutes=more.get("minutes", 1))
    await story.connection.execute(SLOT, name, ago, state, more.get("job_id"), more.get("reason"))


async def runs(story: Story, name: str) -> int:
    """Return how often a schedule was asked to run by hand."""
    count = "SELECT count(*) FROM schedule_slot JOIN job ON job.id = job_id WHERE schedule = $1"
    return int(await story.connection.fetchval(f"{count} AND asked_by IS NOT NULL", name))


async def audit(story: Story, name: str) -> list[tuple[str, str, str]]:
    """Return what people did to a schedule on its page: deed, actor, reason."""
    rows = await story.connection.fetch(
        "SELECT deed, actor, reason FROM schedule_audit WHERE schedule = $1 AND actor <> 'root' ORDER BY id",
        name,
    )
    return [(row["deed"], row["actor"], row["reason"]) for row in rows]


async def actor(story: Story) -> str:
    """Return how Dana is named in an audit."""
    user_id = await story.connection.fetchval("SELECT id FROM user_account WHERE email LIKE 'dana@%'")
    return f"member {user_id}"
