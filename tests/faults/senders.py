"""What customers and their bridges do while things break: they write, and tell again what was not taken."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx

from server.queue import Asked
from server.queue.asking import insert
from server.queue.catalog import LoginCleanup
from tests.engine import eventually
from tests.processes import Installation, text_message

# A question that the demo business's knowledge answers.
REFUSED = 400
QUESTION = "כמה עולה פריצת דלת?"


async def tell(house: Installation, number: int, *, group: int = 0, within_s: float = 60) -> None:
    """Post a message as a bridge does: again and again, until it was taken."""
    message = text_message(QUESTION, phone=f"97251{group:02}{number:05}", message_id=f"G{group}N{number}")

    async def taken() -> bool:
        try:
            answer = await house.post(message)
        except httpx.TransportError:
            return False
        if answer.status_code not in {200, 503}:
            raise AssertionError(f"{answer.status_code} {answer.text}")
        return answer.status_code == httpx.codes.OK

    await eventually(taken, within_s=within_s, what="a message that is taken")


async def tell_all(house: Installation, count: int, *, group: int = 0) -> None:
    """Post that many messages at once, each of a customer of its own."""
    await asyncio.gather(*(tell(house, number, group=group) for number in range(count)))


async def taken_sends(house: Installation) -> list[str]:
    """Return the key of each send that the provider took on, in order."""
    calls = [call for call in await house.sends() if (call["answer"] or {}).get("status", 200) < REFUSED]
    return [call["request"]["body"]["idempotencyKey"] for call in calls]


async def until_answered(house: Installation, count: int, *, within_s: float = 90) -> None:
    """Wait until that many messages were answered and nothing is left to do; none is answered twice."""
    await house.until_sent(count, within_s=within_s)
    await house.until_quiet(within_s=within_s)
    sent = len(await house.sends())
    if sent != count:
        raise AssertionError(f"{sent} sends where {count} were asked for")


async def ask_upkeep(house: Installation, count: int) -> None:
    """Leave that many small jobs of the least urgent class in the ledger, as dispatched."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    asked = [Asked(LoginCleanup(start + timedelta(minutes=number)), None) for number in range(count)]
    connection = await asyncpg.connect(house.addresses.database_url)
    try:
        async with connection.transaction():
            await insert(connection, asked)
    finally:
        await connection.close()


async def upkeep_done(house: Installation) -> int:
    """Return how many of them are done."""
    count: int = await house.value(
        "SELECT count(*) FROM job WHERE kind = 'login_cleanup_job' AND state = 'done'"
    )
    return count
