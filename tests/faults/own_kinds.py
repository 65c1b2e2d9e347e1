"""A worker and a scheduler that also know kinds of the tests', for what no kind of the catalogue does yet.

`python -m tests.faults.own_kinds` is what SERVICE_ROLE names, with these kinds in the catalogue.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import text

from server.db.session import driver_of
from server.domains.messaging import find_account
from server.ports import OutgoingText
from server.queue import Account, Run, plan_effect
from server.roles import Role
from server.scheduler import run_scheduler
from server.worker import __main__ as run_worker
from tests.engine import job_kind

ROWS = 6
# Calls a second over all processes, and at once after a silence.
LIMIT = Account("whatsapp_bridge", "limited", per_second=10, burst=4)


MAINS = {Role.WORKER: run_worker.main, Role.SCHEDULER: run_scheduler.main}


@dataclass(frozen=True)
class Import:
    """Import rows, each in a step with its checkpoint."""

    number: int


@dataclass(frozen=True)
class ImportAlone:
    """The same in a process of its own."""

    number: int


@dataclass(frozen=True)
class SendLimited:
    """Send one message from an account that has a rate limit."""

    number: int


async def import_job(run: Run, _payload: Import | ImportAlone) -> None:
    """Write down each row and by which run; a row whose number somebody has locked is waited for."""
    first = 0 if run.checkpoint is None else run.checkpoint["row"]
    for row in range(first, ROWS):
        async with run.step() as session:
            connection = await driver_of(session)
            await connection.execute("SELECT pg_advisory_xact_lock($1)", row)
            await connection.execute("INSERT INTO imported (row, token) VALUES ($1, $2)", row, run.token)
            await run.keep_checkpoint(session, {"row": row + 1})


async def send_limited_job(run: Run, payload: SendLimited) -> None:
    """Send it as a reply is sent, from the business's first channel."""
    key, kind = f"limited:{payload.number}", LIMIT.provider
    if run.business_id is None:
        raise AssertionError("a message is sent for a business")
    async with run.step() as session:
        await plan_effect(session, key=key, business_id=run.business_id, provider=kind, job_id=run.job_id)
        channel_id = (await session.execute(text("SELECT id FROM channel ORDER BY id LIMIT 1"))).scalar_one()
        account = await find_account(session, channel_id, run.outside.open_secret)
    async with run.effect(key, account=LIMIT) as effect:
        if effect.goes_out:
            to = f"97252{payload.number:07}@s.whatsapp.net"
            channel = run.outside.channels[kind]
            effect.accept(await channel.send(account, OutgoingText("hello"), to=to, key=key))


@contextmanager
def own_kinds() -> Iterator[None]:
    """Put the kinds in the catalogue while the block runs."""
    with (
        job_kind(Import, import_job),
        job_kind(ImportAlone, import_job, isolated=True),
        job_kind(SendLimited, send_limited_job),
    ):
        yield


if __name__ == "__main__":
    with own_kinds():
        sys.exit(MAINS[Role(os.environ["SERVICE_ROLE"])]())
