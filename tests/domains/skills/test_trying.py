"""An owner tries a question: the whole answer, and nothing of it happens."""

from __future__ import annotations

from uuid import uuid4

import pytest

from server.domains import assistant
from server.errors import BadInputError
from server.jobs import assistant_try_job
from server.queue import Run
from server.queue.ledger import Ledger
from tests.domains.messaging.conftest import PRICE, PRICE_QUESTION
from tests.domains.skills.conftest import Scripted, calls
from tests.engine import BUSINESS

__all__ = ["assistant_try_job"]


async def ask(shop, question: str = PRICE_QUESTION):
    async with shop.engine.api.transaction(BUSINESS) as session:
        return await assistant.ask_trial(session, BUSINESS, question, by=uuid4())


async def test_a_trial_is_answered_with_its_sources_and_its_cost(shop):
    shop.model = Scripted([PRICE])
    await ask(shop)

    await shop.settle()

    [(answer, title, cost)] = await shop.rows(
        "SELECT answer, details #>> '{sources,0,title}', details ->> 'cost_micro' FROM assistant_trial"
    )
    assert (answer, title, cost) == (PRICE, "Door opening price", "21")
    assert await shop.rows("SELECT purpose, cost_micro FROM assistant_use") == [("trial", 21)]
    assert shop.phone.sent == []


async def test_a_trial_s_tools_only_rehearse(shop):
    remind = calls("set_reminder", text="Call Maya", at="2030-01-31T09:30")
    shop.model = Scripted([remind, "I have set a reminder."])
    await ask(shop, "Please remind Dana to call me")

    await shop.settle()

    assert await shop.look("SELECT answer FROM assistant_trial") == "I have set a reminder."
    assert await shop.look("SELECT details #>> '{tools,0,tool}' FROM assistant_trial") == "set_reminder"
    assert any("enum" in tool.parameters["properties"].get("stage", {}) for tool in shop.model.tools)
    for table in ("reminder", "assistant_tool_call"):
        assert await shop.look(f"SELECT count(*) FROM {table}") == 0


async def test_a_trial_that_runs_again_changes_nothing(shop):
    shop.model = Scripted([PRICE, "Something else"])
    trial_id = await ask(shop)
    await shop.settle()
    before = await shop.rows("SELECT * FROM assistant_trial")
    await shop.engine.look.execute("UPDATE job SET state = 'ready', due_at = now(), lease_until = NULL")
    [(job_id,)] = await shop.rows("SELECT id FROM job")
    [claim] = await Ledger(shop.engine.worker, lease_s=20).claim([job_id], worker="again")

    run = Run(claim, database=shop.engine.worker, outside=shop.outside, lease_s=20)
    await assistant.answer_trial(run, trial_id, ())

    assert await shop.rows("SELECT * FROM assistant_trial") == before
    assert len(shop.model.asked) == 1


async def test_an_empty_question_is_refused(shop):
    with pytest.raises(BadInputError, match="Ask something"):
        await ask(shop, " \x00 ")
