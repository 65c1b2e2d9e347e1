"""Outside a channel's window only templates go, whoever wrote them; and what a provider's no means."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.domains import messaging
from server.domains.messaging import Filling, Letter, TemplateUse, windows
from server.domains.messaging.windows import LENGTHS
from server.errors import BadInputError, ProviderRefusedError, Refusal
from server.ports import EventKind
from server.providers.whatsapp_bridge import WhatsappBridge
from server.providers.whatsapp_cloud import WhatsappCloud
from tests.domains.messaging.conftest import PRICE_QUESTION
from tests.domains.messaging.test_letters import HELLO, last, met, write
from tests.engine import BUSINESS

DAY = timedelta(hours=24)


@pytest.fixture
async def windowed(shop):
    """A channel that has a window, and a customer who wrote."""
    shop.phone.window = DAY
    await met(shop)
    return shop


async def wrote(shop, ago):
    await shop.engine.look.execute(
        "UPDATE message SET sent_at = now() - $1::interval WHERE direction = 'in'", ago
    )


def test_pages_know_the_windows_of_the_providers():
    assert {"whatsapp_cloud": WhatsappCloud.window} == LENGTHS
    assert WhatsappBridge.window is None


async def test_a_minute_before_the_windows_end_words_go_out(windowed):
    await wrote(windowed, DAY - timedelta(minutes=1))
    await write(windowed)
    await windowed.settle()

    assert windowed.phone.texts == [HELLO]


async def test_after_the_windows_end_words_stay_in_and_a_person_is_told(windowed):
    await wrote(windowed, DAY + timedelta(seconds=1))
    await write(windowed)
    await windowed.settle()

    assert windowed.phone.texts == []
    assert await last(windowed) == ("person", "failed", windows.CLOSED)
    assert await windowed.look("SELECT needs_person FROM conversation")


async def test_a_template_goes_out_after_the_windows_end(windowed):
    await wrote(windowed, timedelta(days=9))
    await write(windowed, "Your order is ready", kind=EventKind.TEMPLATE, template=TemplateUse("ready", "en"))
    await windowed.settle()

    assert windowed.phone.texts == ["Your order is ready"]


async def test_an_answer_to_what_was_written_long_ago_stays_in(windowed):
    # The webhook was late by more than a day, such as after an outage of ours.
    await wrote(windowed, timedelta(days=3))
    await windowed.deliver(windowed.says(PRICE_QUESTION, ago=timedelta(days=2)))
    await windowed.settle()

    assert windowed.phone.texts == []
    assert await windowed.look("SELECT needs_person FROM conversation")


@pytest.mark.parametrize(
    ("meaning", "column", "calls"),
    [
        (Refusal.WINDOW_CLOSED, "window_closed_at", True),
        (Refusal.UNREACHABLE, "unreachable_at", True),
        (Refusal.CAPPED, "capped_at", False),
    ],
)
async def test_a_refusal_is_kept_with_its_meaning(windowed, meaning, column, calls):
    windowed.phone.answers = [ProviderRefusedError("no", meaning=meaning, code="131047")]
    await write(windowed)
    await windowed.settle()

    assert await windowed.look(f"SELECT {column} IS NOT NULL FROM conversation")
    assert await windowed.look("SELECT needs_person FROM conversation") is calls
    assert await windowed.look("SELECT details ->> 'refusal' FROM message WHERE author = 'person'") == meaning


async def test_what_meta_capped_goes_again_by_hand_alone_and_not_within_a_day(windowed):
    windowed.phone.answers = [ProviderRefusedError("a limit", meaning=Refusal.CAPPED, code="131049")]
    message_id = await write(
        windowed, "Half price!", kind=EventKind.TEMPLATE, template=TemplateUse("offer", "en")
    )
    await windowed.settle()

    async def again():
        async with windowed.engine.api.transaction(BUSINESS) as session:
            return await messaging.send_again(session, BUSINESS, message_id)

    with pytest.raises(BadInputError, match="a day later"):
        await again()
    await windowed.engine.look.execute("UPDATE message SET status_at = status_at - interval '24 hours'")
    await windowed.settle()
    assert windowed.phone.texts == ["Half price!"]

    assert await again() is True
    await windowed.settle()
    assert windowed.phone.texts == ["Half price!"] * 2
    assert await last(windowed) == ("person", "sent", None)


@pytest.mark.parametrize("meaning", [Refusal.CAPPED, Refusal.OPTED_OUT])
async def test_to_an_answer_that_is_refused_a_person_is_called_and_it_is_not_sent_again(windowed, meaning):
    windowed.phone.answers = [ProviderRefusedError("a limit of Meta's", meaning=meaning, code="131049")]
    sent = len(windowed.phone.texts)
    await windowed.deliver(windowed.says(PRICE_QUESTION))
    await windowed.settle()
    await windowed.engine.look.execute("UPDATE job SET due_at = now() WHERE state = 'ready'")
    await windowed.settle()

    assert len(windowed.phone.texts) == sent + 1
    assert await last(windowed) == ("assistant", "failed", "a limit of Meta's")
    assert await windowed.look("SELECT needs_person FROM conversation")


async def test_a_window_that_the_provider_says_is_closed_stays_so_until_the_customer_writes(windowed):
    windowed.phone.answers = [ProviderRefusedError("no", meaning=Refusal.WINDOW_CLOSED, code="131047")]
    await write(windowed)
    await windowed.settle()
    await write(windowed, "and again")
    await windowed.settle()
    assert windowed.phone.texts == [HELLO]

    await windowed.engine.look.execute("UPDATE conversation SET window_closed_at = now() - interval '1 hour'")
    await windowed.deliver(windowed.says("Hello?"))
    await write(windowed, "third")
    await windowed.settle()

    assert windowed.phone.texts == [HELLO, "third"]


async def test_an_opt_out_that_the_provider_reports_is_kept_as_a_no_to_marketing(windowed):
    windowed.phone.answers = [ProviderRefusedError("no", meaning=Refusal.OPTED_OUT, code="131050")]
    await write(windowed)
    await windowed.settle()

    assert await windowed.look("SELECT value FROM consent ORDER BY position DESC LIMIT 1") == "withdrawn"


async def test_quick_replies_and_templates_are_filled_or_refused(windowed):
    conversation_id = await windowed.look("SELECT id FROM conversation")
    letter = Letter(business_id=BUSINESS, conversation_id=conversation_id, client_key="q", text="")
    async with windowed.engine.api.transaction(BUSINESS) as session:
        own = await messaging.add_quick_reply(session, BUSINESS, name="hours", body="We open at 8.")
        filled = await messaging.fill_template(session, letter, own, Filling([]))
    template_id = await windowed.look(
        "INSERT INTO message_template (business_id, channel_id, name, language, status, body, variables)"
        " VALUES (6, $1, 'ready', 'en', 'APPROVED', 'Order {{1}} of {{2}}', 2) RETURNING id",
        windowed.channel_id,
    )
    async with windowed.engine.api.transaction(BUSINESS) as session:
        ready = await messaging.fill_template(session, letter, template_id, Filling(["{{2}}", "Maya"]))
        with pytest.raises(BadInputError):
            await messaging.fill_template(session, letter, template_id, Filling(["only one"]))

    assert (filled.kind, filled.text) == (EventKind.TEXT, "We open at 8.")
    assert (ready.kind, ready.text) == (EventKind.TEMPLATE, "Order {{2}} of Maya")
    assert ready.template == TemplateUse("ready", "en", ("{{2}}", "Maya"))
