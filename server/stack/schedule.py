"""`prosaas schedule`: what runs when, what was skipped and why, who keeps time, and what an operator does."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.db.session import Database
from server.jobs import load_handlers
from server.queue import Dispatch, schedules
from server.queue.connection import connect_redis
from server.queue.dispatch import Dispatcher
from server.queue.schedules import NO_REASON, Actor
from server.stack.tables import age, table

# What to tell of a deed, and what to announce once it is committed.
Told: TypeAlias = tuple[str, Sequence[Dispatch]]
MOMENT = "%Y-%m-%d %H:%M"


def add_schedule_verb(parser: argparse.ArgumentParser) -> None:
    """Add what `prosaas schedule` takes; without a deed it shows the timetable."""
    parser.set_defaults(deed=_list)
    deeds = parser.add_subparsers(metavar="deed")
    skipped = deeds.add_parser("skipped", help="list skipped slots with their reasons")
    skipped.add_argument("name", nargs="?", help="only of this schedule")
    skipped.set_defaults(deed=_skipped)
    for name, deed, text in [
        ("run", _run, "run a schedule now, beside its plan"),
        ("pause", _pause, "skip a schedule's slots, each with this reason"),
        ("resume", _resume, "let its slots run again"),
    ]:
        doing = deeds.add_parser(name, help=text)
        doing.add_argument("name")
        doing.add_argument("--reason", default=NO_REASON, help="kept in the audit")
        doing.set_defaults(deed=deed)


async def run_schedule_verb(options: argparse.Namespace, *, database_url: str, redis_url: str) -> str:
    """Do one deed; return what to tell of it. Raises BadInputError."""
    load_handlers()
    # The role that keeps time: it sees every schedule, and no message and no contact.
    database = Database(database_url, role="prosaas_scheduler", pool_size=2)
    redis = connect_redis(redis_url)
    dispatcher = Dispatcher(database, redis)
    try:
        async with database.driver_transaction() as connection:
            told, dispatches = await options.deed(connection, redis, options)
        await dispatcher.announce(dispatches)
        await dispatcher.flushed()
    finally:
        await redis.aclose()
        await database.aclose()
    return str(told)


def _actor(options: argparse.Namespace) -> Actor:
    return Actor(f"{getpass.getuser()} (prosaas schedule)", options.reason)


async def _list(connection: asyncpg.Connection, redis: Redis, _: argparse.Namespace) -> Told:
    rows = await schedules.listed(connection)
    return "\n\n".join([_table(rows), await _keeper(redis)]), []


def _table(rows: Sequence[asyncpg.Record]) -> str:
    return table(
        ["SCHEDULE", "CRON", "LAST", "NEXT", "NEXT IN UTC", "LAG", "SKIPPED", ""],
        [
            [
                *(row["name"], f"{row['cron']} {row['zone']}", _last(row)),
                *(_moment(row["next_slot"], row["zone"]), _moment(row["next_slot"], "UTC")),
                *(age(row["lag_s"]), row["skipped"], _state(row)),
            ]
            for row in rows
        ],
        none="Nothing is scheduled: no scheduler has started yet.",
    )


async def _keeper(redis: Redis) -> str:
    try:
        keeper = await schedules.timekeeper(redis)
    except (RedisError, OSError):
        return "Redis does not answer: every scheduler keeps time meanwhile."
    return f"{keeper} keeps time." if keeper else "No scheduler holds the lock: none is running?"


def _last(row: asyncpg.Record) -> str:
    if row["last_slot"] is None:
        return "-"
    how = row["job_state"] or row["last_state"]
    return f"{_moment(row['last_slot'], row['zone'])} {how}"


def _state(row: asyncpg.Record) -> str:
    if row["trouble"]:
        return f"not kept: {row['trouble']}"
    if row["paused_by"]:
        return f"paused by {row['paused_by']}: {row['pause_reason']}"
    return row["label"] or ""


def _moment(at: datetime | None, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).strftime(MOMENT) if at else "-"


async def _skipped(connection: asyncpg.Connection, _: Redis, options: argparse.Namespace) -> Told:
    rows = await schedules.skipped(connection, name=options.name)
    return table(
        ["SKIPPED", "SCHEDULE", "REASON"],
        [[_moment(row["slot"], "UTC"), row["schedule"], row["reason"]] for row in rows],
        none="Nothing was skipped.",
    ), []


async def _run(connection: asyncpg.Connection, _: Redis, options: argparse.Namespace) -> Told:
    dispatches = await schedules.run_now(connection, options.name, by=_actor(options))
    return f"{options.name} was asked to run now.", dispatches


async def _pause(connection: asyncpg.Connection, _: Redis, options: argparse.Namespace) -> Told:
    dispatches = await schedules.pause(connection, options.name, by=_actor(options))
    return f"{options.name} is paused: its slots are skipped, with this reason.", dispatches


async def _resume(connection: asyncpg.Connection, _: Redis, options: argparse.Namespace) -> Told:
    dispatches = await schedules.resume(connection, options.name, by=_actor(options))
    return f"{options.name} goes on with its next slot.", dispatches
