"""The `prosaas` command: a verb, one sentence when something is wrong, and an exit code."""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import sys
from collections.abc import Callable, Coroutine

from server.errors import ProsaasError, StoreUnavailableError
from server.stack.settings import StackSettings, load_stack_settings

DATABASE_AWAY = "The database does not answer: start ./run, or check DATABASE_URL."

Verb = Callable[[argparse.Namespace], Coroutine[None, None, int]]


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    options = _parser().parse_args(arguments)
    verb: Verb = options.verb
    try:
        return asyncio.run(verb(options))
    except StoreUnavailableError:
        return _fail(DATABASE_AWAY)
    except UnicodeEncodeError:
        return _fail("What was typed holds bytes that are not text.")
    except ProsaasError as refused:
        return _fail(str(refused))
    except OSError as refused:
        return _fail(_sentence(refused))
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="prosaas", description="The AI front desk of a small business.")
    verbs = parser.add_subparsers(required=True, metavar="verb")
    verbs.add_parser("up", help="start everything on this machine").set_defaults(verb=_up)
    verbs.add_parser("migrate", help="bring the database of DATABASE_URL up to date").set_defaults(
        verb=_migrate
    )
    verbs.add_parser("admin-link", help="print a new one-time link into the demo business").set_defaults(
        verb=_admin_link
    )
    invariants = verbs.add_parser("invariants", help="check what must always be true; exit 1 if it is not")
    invariants.add_argument("--simulator", metavar="URL", default="", help="also compare with its calls")
    invariants.set_defaults(verb=_invariants)
    jobs = verbs.add_parser("jobs", help="show jobs; list, cancel, requeue, pause, resume or settle them")
    from server.stack.jobs import add_jobs_verb

    add_jobs_verb(jobs)
    jobs.set_defaults(verb=_jobs)
    schedule = verbs.add_parser("schedule", help="show the timetable; run, pause or resume its entries")
    from server.stack.schedule import add_schedule_verb

    add_schedule_verb(schedule)
    schedule.set_defaults(verb=_schedule)
    return parser


async def _up(_options: argparse.Namespace) -> int:
    from server.stack.up import up

    await up(load_stack_settings())
    return 0


async def _migrate(_options: argparse.Namespace) -> int:
    from server.db.migrate import upgrade
    from server.stack import reach

    await upgrade(reach.database_url(_settings()))
    return 0


async def _admin_link(_options: argparse.Namespace) -> int:
    from server.stack import reach
    from server.stack.data_dir import DataDir
    from server.stack.demo import new_admin_link

    settings = _settings()
    # Where the stack was started with another PORT than this verb was told.
    running = None if settings.database_url else DataDir(settings.data_dir).address_in_use()
    print(await new_admin_link(reach.database_url(settings), running or settings.public_url))
    return 0


async def _invariants(options: argparse.Namespace) -> int:
    from server.queue.invariants import violations
    from server.stack import reach

    settings = _settings()
    found = await violations(
        reach.database_url(settings), simulator_url=options.simulator, redis_url=reach.redis_url(settings)
    )
    for line in found:
        print(line)
    return 1 if found else 0


async def _jobs(options: argparse.Namespace) -> int:
    from server.stack.jobs import run_jobs_verb

    return await _tell(run_jobs_verb, options)


async def _schedule(options: argparse.Namespace) -> int:
    from server.stack.schedule import run_schedule_verb

    return await _tell(run_schedule_verb, options)


async def _tell(verb: Callable[..., Coroutine[None, None, str]], options: argparse.Namespace) -> int:
    from server import log
    from server.stack import reach

    # What a verb has to tell, it prints.
    log.configure(log_format="console", level="warning")
    settings = _settings()
    print(await verb(options, database_url=reach.database_url(settings), redis_url=reach.redis_url(settings)))
    return 0


def _settings() -> StackSettings:
    # These verbs run beside any role: in its container SERVICE_ROLE is the role's.
    return load_stack_settings({name: value for name, value in os.environ.items() if name != "SERVICE_ROLE"})


def _sentence(error: OSError) -> str:
    if isinstance(error, ConnectionError):
        return f"{DATABASE_AWAY} ({error})"
    where = f" {error.filename}" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"The disk is full{where and ':'}{where}. Free some space, or set DATA_DIR to another disk."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"This user may not write{where}: change its owner, or set DATA_DIR to a folder of yours."
    return f"{error.strerror or error}{where}"


def _fail(sentence: str) -> int:
    sys.stderr.write(f"prosaas: {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
