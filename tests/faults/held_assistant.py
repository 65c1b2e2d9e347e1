"""How a job of the assistant's is caught in its handler."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from server.queue.catalog import AssistantTry
from tests.engine import BUSINESS
from tests.faults.held import Work, ask
from tests.processes import Installation

TRIED = UUID(int=71)
ROW = f"FROM assistant_trial WHERE id = '{TRIED}'"


async def try_a_question(house: Installation) -> None:
    """Have a question that an owner tries."""
    await house.value(
        "INSERT INTO assistant_trial (id, business_id, asked_by, question)"
        " VALUES ($2, $1, gen_random_uuid(), 'Do you sell pianos?')",
        BUSINESS,
        TRIED,
    )


WORKS: Mapping[str, Work] = {
    "assistant_try_job": Work(
        f"SELECT {ROW} FOR UPDATE",
        lambda house: ask(house, AssistantTry(TRIED), business_id=BUSINESS),
        f"SELECT answered_at IS NULL {ROW}",
        f"SELECT answered_at IS NOT NULL {ROW}",
        after=try_a_question,
    ),
}
