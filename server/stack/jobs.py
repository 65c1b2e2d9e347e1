"""`prosaas jobs`: what is queued, running, failed and unknown, and what an operator does about it."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg
from redis.exceptions import RedisError

from server.db.session import Database
from server.jobs import load_handlers
from server.queue.connection import connect_redis
from server.queue.effects import EffectState
from server.queue.operators import (
    ENDED_BADLY,
    SETTLED_BY_HAND,
    SORTS,
    STALE_AFTER_S,
    Operators,
    Selection,
)
from server.stack.tables import age, table

SUSPENDED = "Suspended by `rq suspend`: no worker takes anything until `rq resume`."
REDIS_AWAY = "Redis does not answer: work waits in PostgreSQL, and goes on when it is back."
CLEAR = "\x1b[H\x1b[2J"
SHOWN = 12
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

# What it did, or would do, in words.
Deed = Callable[[Operators, argparse.Namespace], Awaitable[str]]


def add_jobs_verb(parser: argparse.ArgumentParser) -> None:
    """Add what `prosaas jobs` takes; without a deed it shows the table."""
    parser.add_argument(
        "--every", metavar="SECONDS", type=float, default=2.0, help="refresh a terminal so often"
    )
    parser.add_argument("--once", action="store_true", help="show the table once")
    parser.set_defaults(deed=_watch)
    deeds = parser.add_subparsers(metavar="deed")
    listing = deeds.add_parser("list", help="list jobs that ended badly")
    _add_selection(listing)
    listing.set_defaults(deed=_list)
    cancel = deeds.add_parser("cancel", help="cancel a job that waits or runs")
    cancel.add_argument("job_id")
    _add_reason(cancel)
    cancel.set_defaults(deed=_cancel)
    again = deeds.add_parser("requeue", help="run jobs that ended badly again; says what it would do first")
    _add_selection(again)
    again.add_argument(
        "--even-sent", action="store_true", help="also jobs whose message went out, or may have"
    )
    again.add_argument("--yes", action="store_true", help="do it; without this nothing changes")
    _add_reason(again)
    again.set_defaults(deed=_requeue)
    for name, deed, text in [
        ("pause", _pause, "keep work of a kind, a queue or a business waiting"),
        ("resume", _resume, "let paused work go on"),
    ]:
        pausing = deeds.add_parser(name, help=text)
        pausing.add_argument("sort", choices=SORTS)
        pausing.add_argument("name")
        _add_reason(pausing)
        pausing.set_defaults(deed=deed)
    settle = deeds.add_parser("settle", help="say what became of an unknown effect")
    settle.add_argument("key")
    settle.add_argument("state", choices=[state.value for state in SETTLED_BY_HAND])
    _add_reason(settle)
    settle.set_defaults(deed=_settle)


async def run_jobs_verb(options: argparse.Namespace, *, database_url: str, redis_url: str) -> str:
    """Do one deed; return what to tell of it. Raises BadInputError."""
    load_handlers()
    deed: Deed = options.deed
    async with _operators(database_url, redis_url) as operators:
        return await deed(operators, options)


@asynccontextmanager
async def _operators(database_url: str, redis_url: str) -> AsyncIterator[Operators]:
    # The role that puts things right: it sees work and effects, and no message and no contact.
    database = Database(database_url, role="prosaas_scheduler", pool_size=2)
    redis = connect_redis(redis_url)
    try:
        yield Operators(database, redis, actor=f"{getpass.getuser()} (prosaas jobs)")
    finally:
        await redis.aclose()
        await database.aclose()


def _add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="no reason given", help="kept in the audit")


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state",
        action="append",
        choices=ENDED_BADLY,
        help="failed unless said; quarantined too in a list, or for jobs that are named",
    )
    parser.add_argument("--kind")
    parser.add_argument("--queue")
    parser.add_argument("--business", type=int, metavar="NUMBER")
    parser.add_argument("--about", metavar="TEXT", help="only where the reason holds this")
    parser.add_argument("--within", type=_seconds, metavar="AGE", help="ended within, as 90s, 30m, 2h or 1d")
    parser.add_argument("job_ids", nargs="*", metavar="JOB_ID")


def _seconds(age: str) -> float:
    found = re.fullmatch(r"(\d+)([smhd])", age)
    if found is None:
        raise argparse.ArgumentTypeError(f"{age} is not an age: use 90s, 30m, 2h or 1d")
    return int(found[1]) * _UNITS[found[2]]


def _selection(
    options: argparse.Namespace, *, unless_said: Sequence[str] = ("failed", "quarantined")
) -> Selection:
    return Selection(
        states=options.state or unless_said,
        kind=options.kind,
        queue=options.queue,
        business_id=options.business,
        reason=options.about,
        ended_within_s=options.within,
        job_ids=options.job_ids or None,
    )


async def _watch(operators: Operators, options: argparse.Namespace) -> str:
    if options.once or not sys.stdout.isatty():
        return await _tables(operators)
    while True:
        told = await _tables(operators)
        sys.stdout.write(f"{CLEAR}{told}\n\nCtrl-C ends this; it changes nothing.\n")
        sys.stdout.flush()
        await asyncio.sleep(max(options.every, 0.2))


async def _tables(operators: Operators) -> str:
    pauses = await operators.pauses(limit=SHOWN)
    return "\n\n".join(
        [
            *(await _suspension(operators)),
            *([_pauses(pauses)] if pauses else []),
            _queues(await operators.queues()),
            _running(await operators.running(limit=SHOWN)),
            _ended_badly(await operators.ended_badly(Selection(), limit=SHOWN)),
            _unknown(await operators.unknown_effects(limit=SHOWN)),
        ]
    )


async def _suspension(operators: Operators) -> list[str]:
    try:
        return [SUSPENDED] if await operators.is_suspended() else []
    except (RedisError, OSError):
        return [REDIS_AWAY]


def _queues(told: Sequence[asyncpg.Record]) -> str:
    return table(
        ["QUEUE", "KIND", "READY", "RUNNING", "OLDEST", ""],
        [
            [
                *(row["queue"], row["kind"], row["ready"], row["running"], age(row["oldest_s"])),
                "paused" if row["paused"] else "",
            ]
            for row in told
        ],
        none="Nothing is queued.",
    )


def _pauses(told: Sequence[asyncpg.Record]) -> str:
    return table(
        ["PAUSED", "SINCE", "BY", "REASON"],
        [
            [f"{row['sort']} {row['name']}", age(row["since_s"]), row["paused_by"], row["reason"]]
            for row in told
        ],
        none="Nothing is paused.",
    )


def _running(told: Sequence[asyncpg.Record]) -> str:
    return table(
        ["RUNNING", "BUSINESS", "TRY", "FOR", "HOW FAR, AND WHERE"],
        [
            [
                *(row["id"], row["business_id"] or "-", row["attempts"], age(row["running_s"])),
                ", ".join(filter(None, [_progress(row), row["worker"]])),
            ]
            for row in told
        ],
        none="Nothing is running.",
    )


def _progress(row: asyncpg.Record) -> str:
    if row["total"] is None:
        return ""
    how_far, age_s = f"{row['progress_share'] // 10} % of {row['total']}", row["progress_age_s"]
    return f"{how_far} (no news for {age(age_s)})" if age_s > STALE_AFTER_S else how_far


def _unknown(told: Sequence[asyncpg.Record]) -> str:
    return table(
        ["UNKNOWN EFFECT", "BUSINESS", "PROVIDER", "SINCE", "REASON"],
        [
            [row["key"], row["business_id"], row["provider"], age(row["since_s"]), row["reason"]]
            for row in told
        ],
        none="No effect is unknown.",
    )


def _ended_badly(told: Sequence[asyncpg.Record]) -> str:
    return table(
        ["ENDED BADLY", "BUSINESS", "STATE", "AGO", "REASON"],
        [
            [row["id"], row["business_id"] or "-", row["state"], age(row["ended_s"]), row["reason"]]
            for row in told
        ],
        none="Nothing ended badly.",
    )


async def _list(operators: Operators, options: argparse.Namespace) -> str:
    return _ended_badly(await operators.ended_badly(_selection(options)))


async def _cancel(operators: Operators, options: argparse.Namespace) -> str:
    cancelled = await operators.cancel(options.job_id, reason=options.reason)
    return "Cancelled." if cancelled.worker is None else f"{cancelled.worker} was told to stop it."


async def _requeue(operators: Operators, options: argparse.Namespace) -> str:
    # What killed its process three times is freed by name alone: by its id, or with --state quarantined.
    selection = _selection(options, unless_said=("failed", "quarantined") if options.job_ids else ("failed",))
    preview = await operators.preview(selection, even_sent=options.even_sent)
    effects = ", ".join(f"{count} {state}" for state, count in sorted(preview.effects.items())) or "none"
    told = [f"Would run again: {preview.jobs}. Effects of all that were chosen: {effects}."]
    if preview.held_back:
        told.append(f"Held back: {preview.held_back}. What they send went out, or may have (--even-sent).")
    if options.state is None and not options.job_ids:
        told += await _told_of_quarantine(operators, options)
    if not options.yes:
        return "\n".join([*told, "Nothing was changed: say --yes to do it."])
    again = await operators.run_again(selection, reason=options.reason, even_sent=options.even_sent)
    return "\n".join([*told, f"Run again: {again}."])


async def _pause(operators: Operators, options: argparse.Namespace) -> str:
    new = await operators.pause(options.sort, options.name, reason=options.reason)
    return f"The {options.sort} {options.name} {'is paused' if new else 'was paused already'}."


async def _resume(operators: Operators, options: argparse.Namespace) -> str:
    was_paused = await operators.resume(options.sort, options.name)
    return f"The {options.sort} {options.name} {'goes on' if was_paused else 'was not paused'}."


async def _told_of_quarantine(operators: Operators, options: argparse.Namespace) -> list[str]:
    left = await operators.preview(_selection(options, unless_said=("quarantined",)), even_sent=True)
    if not left.jobs:
        return []
    return [f"Left: {left.jobs} in quarantine. They run again by their ids, or with --state quarantined."]


async def _settle(operators: Operators, options: argparse.Namespace) -> str:
    await operators.settle(options.key, EffectState(options.state), reason=options.reason)
    return f"{options.key} is {options.state}."
