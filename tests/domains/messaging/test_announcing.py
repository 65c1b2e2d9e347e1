"""What others are told of a conversation, compared with the samples that docs/webhooks.md shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from server.domains import contacts, integrations
from server.jobs import leads_moved_job, webhook_deliver_job
from server.queue import enqueue
from server.queue.catalog import LeadsMoved
from tests.domains.integrations.conftest import Posts
from tests.domains.messaging.conftest import CIPHER, PRICE_QUESTION
from tests.engine import BUSINESS

__all__ = ["leads_moved_job", "webhook_deliver_job"]

PAPER = Path(__file__).parents[3] / "docs/webhooks.md"
SAMPLE = re.compile(r"^### `([a-z_.]+)`.*?```json\n(.*?)```", re.MULTILINE | re.DOTALL)


def samples() -> dict[str, dict[str, Any]]:
    return {name: orjson.loads(body) for name, body in SAMPLE.findall(PAPER.read_text(encoding="utf-8"))}


def shape(value: Any) -> Any:
    """Return a sample's fields with their types; null stands for any type."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return type(value).__name__


def is_alike(told: Any, sample: Any) -> bool:
    if isinstance(sample, dict):
        return (
            isinstance(told, dict)
            and told.keys() == sample.keys()
            and all(is_alike(told[name], sample[name]) for name in sample)
        )
    return told is None or sample is None or type(told) is type(sample)


@pytest.fixture
async def listening(shop):
    async with shop.engine.api.transaction(BUSINESS) as session:
        await integrations.add_endpoint(
            session, BUSINESS, url="https://n8n.example/hook", events=integrations.EVENTS, cipher=CIPHER
        )
    shop.webhooks = Posts()
    return shop


async def events_of(shop) -> list[tuple[str, dict[str, Any]]]:
    rows = await shop.rows("SELECT type, data::text FROM webhook_event ORDER BY created_at, type")
    return [(kind, orjson.loads(data)) for kind, data in rows]


async def test_a_question_and_its_answer_are_told(listening):
    await listening.deliver(listening.says(PRICE_QUESTION))
    await listening.settle()

    told = dict(await events_of(listening))

    assert told["whatsapp_incoming"]["message"] == PRICE_QUESTION
    assert told["whatsapp_incoming"]["from"] == "+972501234567"
    assert told["whatsapp_outgoing"]["to"] == "+972501234567"
    assert told["whatsapp_outgoing"]["author"] == "assistant"
    assert told["whatsapp_outgoing"]["provider_id"] == "OURS1"
    for name in ("whatsapp_incoming", "whatsapp_outgoing", "lead.created"):
        assert is_alike(told[name], samples()[name]["data"]), (name, shape(told[name]))


async def test_every_happening_is_told_once_whatever_comes_twice(listening):
    question = listening.says(PRICE_QUESTION)
    await listening.deliver(question, question)
    await listening.settle()
    receipts = [listening.receipt("OURS1", status) for status in (3, 3, 4)]
    await listening.deliver(*receipts)
    await listening.settle()
    [event_id] = await listening.rows("SELECT id FROM inbox_event ORDER BY received_at LIMIT 1")
    run = await listening.again(event_id[0])
    await listening.end(run)

    told = await events_of(listening)

    assert sorted(name for name, _ in told) == [
        "lead.created",
        "message.status",
        "message.status",
        "whatsapp_incoming",
        "whatsapp_outgoing",
    ]
    statuses = [data for name, data in told if name == "message.status"]
    assert {data["status"] for data in statuses} == {"delivered", "read"}
    assert all(is_alike(data, samples()["message.status"]["data"]) for data in statuses)


async def test_what_the_owner_types_on_the_phone_is_told_as_a_persons(listening):
    await listening.deliver(listening.says("hello"))
    await listening.settle()
    await listening.deliver(listening.echo("I am calling now", "TYPED1"))
    await listening.settle()

    people = [
        data
        for name, data in await events_of(listening)
        if name == "whatsapp_outgoing" and data["author"] == "person"
    ]

    assert [(data["message"], data["is_ai_response"]) for data in people] == [("I am calling now", False)]


async def test_a_conversation_that_waits_for_a_person_is_told_when_it_begins_to(listening):
    await listening.deliver(listening.says("Something nobody wrote an answer to?"))
    await listening.settle()
    await listening.deliver(listening.says("And another such thing?"))
    await listening.settle()

    waiting = [data for name, data in await events_of(listening) if name == "conversation.needs_person"]

    assert len(waiting) == 1
    assert is_alike(waiting[0], samples()["conversation.needs_person"]["data"]), shape(waiting[0])


async def test_a_lead_that_moves_is_told_from_where_and_to_where(listening):
    await listening.deliver(listening.says("hello"))
    await listening.settle()
    contact_id = await listening.look("SELECT contact_id FROM conversation")
    async with listening.engine.worker.transaction(BUSINESS) as session:
        last = (await contacts.open_stages(session, BUSINESS))[-1]
        await contacts.move_lead(session, contact_id, last.id, actor="a test")

    told = dict(await events_of(listening))["lead.status_changed"]

    assert told["new_status"] == last.name
    assert is_alike(told, samples()["lead.status_changed"]["data"]), shape(told)


async def test_leads_of_an_archived_stage_are_told_each_once_though_the_job_runs_twice(listening):
    await listening.deliver(listening.says("hello"))
    await listening.settle()
    async with listening.engine.worker.transaction(BUSINESS) as session:
        first, second, *_ = await contacts.open_stages(session, BUSINESS)
        await contacts.archive_stage(session, BUSINESS, first.id, move_to=second.id, actor="a test")
    await listening.settle()
    async with listening.engine.worker.transaction(BUSINESS) as session:
        await enqueue(session, LeadsMoved(1, 1_000), business_id=BUSINESS)
    await listening.settle()

    told = [data for name, data in await events_of(listening) if name == "lead.status_changed"]

    assert [(data["old_status"], data["new_status"]) for data in told] == [(first.name, second.name)]
    assert is_alike(told[0], samples()["lead.status_changed"]["data"]), shape(told[0])


def test_every_event_has_a_sample_and_every_sample_an_event():
    assert set(samples()) == {*integrations.EVENTS, integrations.TEST}
