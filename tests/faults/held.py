"""How a job of each kind is caught in its handler: PostgreSQL keeps from it what it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
from redis.asyncio import Redis

from server.db.session import Database
from server.domains.messaging import NOBODY_KNOWS
from server.domains.messaging.sessions import AT_ONCE
from server.queue import enqueue
from server.queue.catalog import (
    CleanupOldRecordings,
    InboxCleanup,
    LoginCleanup,
    MessageSend,
    ReminderRecurs,
    RemindersCleanup,
    RemindersTick,
    WhatsappSessionsCleanup,
)
from server.queue.connection import connect_redis
from server.queue.dispatch import Dispatcher
from server.queue.operators import Operators
from tests.engine import BUSINESS, eventually
from tests.faults.senders import tell, tell_all
from tests.processes import Installation

SLOT = datetime(2026, 1, 1, tzinfo=UTC)
SERIES = UUID(int=36)
LETTER = UUID(int=37)
# Whose customers they are: `senders.tell` writes a group into the phone number.
ASKED, GIVEN_UP, SETTLED, DOUBTED, QUIET, WRITTEN_TO = 31, 32, 33, 34, 35, 36
CONVERSATION = "conversation.address LIKE '97251{group}%'"
BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'prosaas_worker' AND $1 = ANY (pg_blocking_pids(pid))
"""
OPEN = """
SELECT jsonb_agg(jsonb_build_array(kind, state, token, reason)) FROM job WHERE state IN ('ready', 'running')
"""
READY = "SELECT id FROM job WHERE kind = 'webhook_process_job' AND state = 'ready'"
RUNNING = "SELECT id FROM job WHERE kind = $1 AND state = 'running' ORDER BY seq LIMIT 1"


Preparing: TypeAlias = Callable[[Installation], Awaitable[None]]


async def nothing_more(_house: Installation) -> None:
    """Need nothing that a new installation lacks."""


@dataclass(frozen=True)
class Work:
    """Work of one kind: what is kept from it, and who asks for it.

    What is there before it is made in three steps: before a worker runs, by one, and after it. `half`
    holds once it was stopped in its middle, `done` once another worker has done it; for that the provider
    is called `calls` times.
    """

    lock: str
    ask: Callable[[Installation], Awaitable[object]]
    half: str
    done: str
    before: Preparing = nothing_more
    prepare: Preparing = nothing_more
    after: Preparing = nothing_more
    calls: int = 0


@asynccontextmanager
async def holding(house: Installation, locks: Sequence[str]) -> AsyncIterator[int]:
    """Keep these locks while the block runs; gives the holder's pid in PostgreSQL."""
    connection = await asyncpg.connect(house.addresses.database_url)
    try:
        async with connection.transaction():
            for lock in locks:
                await connection.execute(lock)
            yield connection.get_server_pid()
    finally:
        await connection.close()


async def until_caught(house: Installation, kinds: Collection[str], holder: int) -> dict[str, str]:
    """Wait until a job of each of these kinds runs and waits for the holder; return their ids by kind."""

    async def caught() -> bool:
        return bool(await house.value(BLOCKED, holder) >= len(kinds))

    try:
        await eventually(caught, within_s=20, what="a job of each kind that waits")
    except AssertionError as error:
        raise AssertionError(f"{error}: {await house.value(OPEN)}") from None
    return {kind: await house.value(RUNNING, kind) for kind in kinds}


@asynccontextmanager
async def connected(house: Installation) -> AsyncIterator[tuple[Database, Redis]]:
    """Reach both stores as the scheduler does, announcing what is asked for."""
    database = Database(house.addresses.database_url, role="prosaas_scheduler")
    redis = connect_redis(house.addresses.redis_url)
    dispatcher = Dispatcher(database, redis)
    database.announce = dispatcher.announce
    try:
        yield database, redis
    finally:
        await dispatcher.flushed()
        await redis.aclose()
        await database.aclose()


async def ask(house: Installation, *payloads: object, business_id: int | None = None) -> list[str]:
    """Ask for jobs as the scheduler does; return their ids."""
    scope = () if business_id is None else (business_id,)
    async with connected(house) as (database, _), database.transaction(*scope) as session:
        return [await enqueue(session, payload, business_id=business_id) for payload in payloads]


def of(group: int, query: str) -> str:
    """Name a group's conversations in a query."""
    return query.replace("{conversation}", CONVERSATION.format(group=group))


async def give_up(house: Installation) -> None:
    """Have a message whose job was cancelled before anybody ran it, and what follows wait for an hour."""
    await tell(house, 1, group=GIVEN_UP)
    async with connected(house) as (database, redis):
        await Operators(database, redis, actor="op").cancel(await house.value(READY), reason="a test")
    await house.value("UPDATE job SET due_at = now() + interval '1 hour' WHERE kind = 'job_given_up_job'")


async def write_in_doubt(house: Installation, group: int) -> None:
    """Have an answer of which nobody knows whether it went out."""
    # Another's answer that is still on its way would be the one that is dropped.
    await house.until_quiet()
    await house.behave(receipts=False, echo=False)
    await house.behave(times=1, path="/send", drop_answer=True)
    await tell(house, 1, group=group)
    in_doubt = of(
        group,
        "SELECT count(*) = 1 FROM message JOIN conversation ON conversation.id = message.conversation_id"
        " WHERE {conversation} AND message.status = 'unknown'",
    )
    await eventually(lambda: house.value(in_doubt), within_s=30, what="an answer in doubt")


async def settle(house: Installation) -> None:
    """Say as an operator does that the answer in doubt was sent."""
    await house.value(
        of(
            SETTLED,
            "UPDATE effect SET state = 'confirmed', settled_at = now() FROM message, conversation"
            " WHERE message.effect_key = effect.key AND conversation.id = message.conversation_id"
            " AND {conversation} AND effect.state = 'unknown'",
        )
    )


async def write(house: Installation) -> None:
    """Have something that a person wants sent to a customer."""
    await house.value(
        of(
            WRITTEN_TO,
            "INSERT INTO message (id, business_id, conversation_id, channel_id, direction, author, kind,"
            " text, status, effect_key) SELECT $1::uuid, business_id, id, channel_id, 'out', 'person',"
            " 'text', 'Hello', 'queued', 'message:' || $1::uuid FROM conversation WHERE {conversation}",
        ),
        LETTER,
    )


async def talk(house: Installation) -> None:
    """Have one session more than close in one step."""
    await tell_all(house, AT_ONCE + 1, group=QUIET)


async def fall_silent(house: Installation) -> None:
    """Have nobody write in them for two days."""
    await house.value(
        of(
            QUIET,
            "UPDATE conversation_session SET last_activity_at = now() - interval '2 days'"
            " FROM conversation WHERE conversation.id = conversation_id AND {conversation}",
        )
    )


async def grow_old(house: Installation) -> None:
    """Have events and a slot that nobody needs any more."""
    await house.value("UPDATE inbox_event SET received_at = now() - interval '40 days' WHERE state = 'done'")
    await house.value(
        "INSERT INTO schedule_slot (schedule, slot, state, reason, created_at)"
        " SELECT name, now() - interval '40 days', 'skipped', 'old', now() - interval '40 days'"
        " FROM schedule ORDER BY name LIMIT 1"
    )


async def expire(house: Installation) -> None:
    """Have a log-in and a link that ended days ago."""
    for table, column, value in (("login_session", ", csrf_token", ", 'none'"), ("entry_link", "", "")):
        await house.value(
            f"INSERT INTO {table} (token_digest, business_id, user_id, expires_at{column})"
            f" SELECT 'old', business_id, user_id, now() - interval '3 days'{value} FROM membership"
            " ORDER BY user_id LIMIT 1"
        )


async def remind(house: Installation) -> None:
    """Have a reminder for tomorrow."""
    await house.value(
        "INSERT INTO reminder (business_id, text, due_at, raise_at, made_by)"
        " VALUES ($1, 'due', now() + interval '1 day', now() + interval '1 day', 'a test')",
        BUSINESS,
    )


async def come_due(house: Installation) -> None:
    """Have it due now, and ask for a tick: one of the timetable's may be the one that sees it."""
    await house.value("UPDATE reminder SET due_at = now(), raise_at = now() WHERE text = 'due'")
    await ask(house, RemindersTick(SLOT))


async def end_reminders(house: Installation) -> None:
    """Have a reminder that was done long ago, and was raised."""
    await house.value(
        "WITH done AS (INSERT INTO reminder (business_id, text, due_at, made_by, state, ended_at)"
        " VALUES ($1, 'done', now(), 'a test', 'done', now() - interval '100 days') RETURNING *)"
        " INSERT INTO reminder_push_log (reminder_id, due_at, offset_min, business_id, state)"
        " SELECT id, due_at, 0, business_id, 'raised' FROM done",
        BUSINESS,
    )


async def repeat(house: Installation) -> None:
    """Have a series of reminders that made none yet."""
    await house.value(
        "INSERT INTO reminder_series (id, business_id, schedule, cron, zone, text, made_by)"
        " VALUES ($1, $2, 'a test', '0 8 * * *', 'UTC', 'again', 'a test')",
        SERIES,
        BUSINESS,
    )


async def record(house: Installation) -> None:
    """Have a recording that was kept long enough."""
    key = await house.value(
        "INSERT INTO recording (business_id, size_bytes, recorded_at)"
        " VALUES ($1, 3, now() - interval '100 days') RETURNING storage_key",
        BUSINESS,
    )
    folder = house.data_dir / "recordings" / str(BUSINESS)
    folder.mkdir(parents=True)
    (folder / str(key)).write_bytes(b"wav")


EVERY_LOG = "LOCK TABLE reminder_push_log IN EXCLUSIVE MODE"
EVERY_CONVERSATION = "LOCK TABLE conversation IN EXCLUSIVE MODE"
MESSAGES = (
    "FROM message JOIN conversation ON conversation.id = message.conversation_id WHERE {conversation} AND "
)
SESSIONS = (
    "FROM conversation_session JOIN conversation ON conversation.id = conversation_id WHERE {conversation}"
)
OLD_EVENTS = "SELECT FROM inbox_event WHERE received_at < now() - interval '30 days'"
OLD_SLOTS = "SELECT FROM schedule_slot WHERE created_at < now() - interval '30 days'"
RAISED = "FROM reminder_push_log JOIN reminder ON reminder.id = reminder_id WHERE reminder.text"
AGAIN = f"FROM reminder WHERE series_id = '{SERIES}'"
OLD_RECORDINGS = "FROM recording WHERE recorded_at < now() - interval '90 days'"
OLD_LOGINS = "SELECT FROM login_session WHERE token_digest = 'old'"
OLD_LINKS = "SELECT FROM entry_link WHERE token_digest = 'old'"
WORKS: Mapping[str, Work] = {
    "webhook_process_job": Work(
        EVERY_CONVERSATION,
        lambda house: tell(house, 1, group=ASKED),
        of(ASKED, f"SELECT count(*) = 0 {MESSAGES} true"),
        of(
            ASKED,
            f"SELECT count(*) = 1 {MESSAGES} author = 'assistant' AND provider_id <> ''",
        ),
        calls=1,
    ),
    # The provider has taken it before anything says so.
    "message_send_job": Work(
        EVERY_CONVERSATION,
        lambda house: ask(house, MessageSend(LETTER), business_id=BUSINESS),
        of(WRITTEN_TO, f"SELECT count(*) = 1 {MESSAGES} author = 'person' AND status = 'queued'"),
        of(WRITTEN_TO, f"SELECT count(*) = 1 {MESSAGES} author = 'person' AND status <> 'queued'"),
        prepare=lambda house: tell(house, 1, group=WRITTEN_TO),
        after=write,
        calls=1,
    ),
    "job_given_up_job": Work(
        EVERY_CONVERSATION,
        lambda house: house.value("UPDATE job SET due_at = now() WHERE kind = 'job_given_up_job'"),
        of(GIVEN_UP, f"SELECT count(*) = 0 {MESSAGES} true"),
        of(GIVEN_UP, f"SELECT count(*) = 1 {MESSAGES} author = 'customer' AND needs_person"),
        before=give_up,
    ),
    "effect_settled_job": Work(
        EVERY_CONVERSATION,
        settle,
        of(SETTLED, f"SELECT count(*) = 1 {MESSAGES} message.status = 'unknown'"),
        of(SETTLED, f"SELECT count(*) = 1 {MESSAGES} message.status = 'sent'"),
        prepare=lambda house: write_in_doubt(house, SETTLED),
    ),
    "reply_doubted_job": Work(
        EVERY_CONVERSATION,
        lambda house: house.value(
            "UPDATE job SET due_at = now() WHERE kind = 'reply_doubted_job' AND payload ->> 'key' = ("
            + of(DOUBTED, f"SELECT effect_key {MESSAGES} effect_key IS NOT NULL)")
        ),
        of(DOUBTED, f"SELECT count(*) = 0 {MESSAGES} needs_person"),
        of(DOUBTED, f"SELECT count(*) = 1 {MESSAGES} needs_person AND status_reason = '{NOBODY_KNOWS}'"),
        prepare=lambda house: write_in_doubt(house, DOUBTED),
    ),
    # Ten close at once; the eleventh is kept.
    "whatsapp_sessions_cleanup_job": Work(
        of(QUIET, f"SELECT {SESSIONS} ORDER BY last_activity_at DESC, conversation_session.id DESC")
        + " LIMIT 1 FOR UPDATE OF conversation_session",
        lambda house: ask(house, WhatsappSessionsCleanup(SLOT)),
        of(QUIET, f"SELECT count(closed_at) = {AT_ONCE} {SESSIONS}"),
        of(
            QUIET,
            f"SELECT count(closed_at) = {AT_ONCE + 1} AND count(*) FILTER (WHERE closed_at <"
            f" (SELECT max(ended_at) FROM job_attempt WHERE outcome = 'released')) = {AT_ONCE} {SESSIONS}",
        ),
        prepare=talk,
        after=fall_silent,
    ),
    # The events go in a step of their own, before the slots.
    "inbox_cleanup_job": Work(
        f"{OLD_SLOTS} FOR UPDATE",
        lambda house: ask(house, InboxCleanup(SLOT)),
        f"SELECT NOT EXISTS ({OLD_EVENTS}) AND EXISTS ({OLD_SLOTS})",
        f"SELECT NOT EXISTS ({OLD_EVENTS}) AND NOT EXISTS ({OLD_SLOTS})",
        after=grow_old,
    ),
    # The log-ins come before the links, in one transaction: they are still there.
    "login_cleanup_job": Work(
        f"{OLD_LINKS} FOR UPDATE",
        lambda house: ask(house, LoginCleanup(SLOT)),
        f"SELECT EXISTS ({OLD_LOGINS}) AND EXISTS ({OLD_LINKS})",
        f"SELECT NOT EXISTS ({OLD_LOGINS}) AND NOT EXISTS ({OLD_LINKS})",
        after=expire,
    ),
    "reminders_tick_job": Work(
        EVERY_LOG,
        come_due,
        f"SELECT count(*) = 0 {RAISED} = 'due'",
        "SELECT array_agg(offset_min || reminder_push_log.state ORDER BY offset_min)"
        f" = '{{0raised,15skipped,30skipped}}' {RAISED} = 'due'",
        after=remind,
    ),
    # What was logged goes with its reminder.
    "reminders_cleanup_job": Work(
        EVERY_LOG,
        lambda house: ask(house, RemindersCleanup(SLOT)),
        f"SELECT count(*) = 1 {RAISED} = 'done'",
        f"SELECT count(*) = 0 {RAISED} = 'done'",
        after=end_reminders,
    ),
    "reminder_recurs_job": Work(
        "SELECT FROM reminder_series FOR UPDATE",
        lambda house: ask(house, ReminderRecurs(SERIES, SLOT), business_id=BUSINESS),
        f"SELECT count(*) = 0 {AGAIN}",
        f"SELECT count(*) = 2 {AGAIN}",
        after=repeat,
    ),
    # The file goes before its row says so.
    "cleanup_old_recordings_job": Work(
        f"SELECT {OLD_RECORDINGS} FOR UPDATE",
        lambda house: ask(house, CleanupOldRecordings(SLOT)),
        f"SELECT count(*) = 1 AND count(deleted_at) = 0 {OLD_RECORDINGS}",
        f"SELECT count(*) = 1 AND count(deleted_at) = 1 {OLD_RECORDINGS}",
        after=record,
    ),
}
