"""What customers and their bridges do while things break: they write, and tell again what was not taken."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx

from server.db import Database
from server.domains import accounts, assistant, messaging
from server.queue import Asked
from server.queue.asking import insert
from server.queue.catalog import LoginCleanup
from server.roles import ROLES, Role
from server.secrets import Cipher
from server.stack.demo_knowledge import HEBREW
from tests.engine import eventually
from tests.processes import SECRET, Installation, text_message

# A question that the demo business's knowledge answers.
REFUSED = 400
QUESTION = "כמה עולה פריצת דלת?"


def question(number: int, *, group: int = 0) -> dict[str, Any]:
    """Return the webhook of a customer's question; each number of a group is a customer of its own."""
    return text_message(QUESTION, phone=f"97251{group:02}{number:05}", message_id=f"G{group}N{number}")


async def tell(house: Installation, number: int, *, group: int = 0, within_s: float = 60) -> None:
    """Post a message as a bridge does: again and again, until it was taken."""
    message = question(number, group=group)

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


async def open_business(house: Installation, business_id: int) -> None:
    """Make another business that knows what the demo business knows, on a bridge of the same simulator."""
    where = house.addresses
    database = Database(where.database_url, role=ROLES[Role.API].database_role)
    try:
        async with database.transaction(business_id) as session:
            await accounts.create_business(session, name=f"Business {business_id}", business_id=business_id)
            for title, body in HEBREW:
                await assistant.add_knowledge(session, business_id, title=title, body=body, language="he")
            await messaging.connect_bridge(
                session,
                business_id,
                base_url=f"{where.simulator_url}/bridge",
                secret=SECRET,
                tenant=f"business_{business_id}",
                cipher=Cipher(where.secret_key),
            )
    finally:
        await database.aclose()
