"""What the assistant's tools do is done once, and nothing else is said to be done."""

from __future__ import annotations

import asyncio

import pytest

from server.domains import messaging, skills
from server.errors import ProviderDownError, ProviderRefusedError
from server.ports import ToolCall
from simulator.envelopes import Identity
from tests.domains.messaging.conftest import PRICE, PRICE_QUESTION
from tests.domains.skills.conftest import Scripted, calls
from tests.engine import BUSINESS

ASKED = "Please remind Dana tomorrow that I want the red cylinder"
REMIND = calls("set_reminder", text="Maya wants the red cylinder", at="2099-01-31T09:30")
SOON = "SELECT to_char(now() AT TIME ZONE 'Asia/Jerusalem' + interval '1 day', 'YYYY-MM-DD\"T\"10:00')"


async def remind(shop) -> list[ToolCall]:
    return calls("set_reminder", text="Maya wants the red cylinder", at=await shop.look(SOON))


async def says(shop, text: str, **who: Identity) -> None:
    await shop.deliver(shop.says(text, **who))
    await shop.settle()


async def wants(shop, **columns: object) -> None:
    """Say how the business wants its assistant."""
    columns = {"quiet_s": 0.0, **columns}
    names, values = ", ".join(columns), list(columns.values())
    places = ", ".join(f"${number}" for number in range(2, len(values) + 2))
    await shop.engine.look.execute(
        f"INSERT INTO business_assistant (business_id, {names}) VALUES ($1, {places})", BUSINESS, *values
    )


async def test_a_reminder_is_set_and_may_be_spoken_of(shop):
    shop.model = Scripted([await remind(shop), "I have set a reminder for Dana."])

    await says(shop, ASKED)

    assert shop.phone.texts == ["I have set a reminder for Dana."]
    [(text, hour, by)] = await shop.rows(
        "SELECT text, extract(hour FROM due_at AT TIME ZONE 'Asia/Jerusalem')::int, made_by FROM reminder"
    )
    assert (text, hour, by) == ("Maya wants the red cylinder", 10, "assistant")
    assert "red cylinder" in await shop.look(
        "SELECT details ->> 'tools' FROM message WHERE author = 'assistant'"
    )
    told = shop.model.asked[1][-1]
    assert (told.role, told.call_id) == ("tool", "call_set_reminder")
    assert "will be reminded" in told.content


async def test_a_worker_that_dies_after_a_tool_does_not_do_it_again(shop):
    died = asyncio.Event()

    async def stop_there():
        died.set()
        await asyncio.Event().wait()

    other_words = calls("set_reminder", text="Call Maya: red cylinder", at=await shop.look(SOON))
    shop.model = Scripted([await remind(shop), stop_there, other_words, "I have set a reminder for Dana."])
    [event_id] = await shop.deliver(shop.says(ASKED))
    working = asyncio.create_task(
        messaging.process_event(await shop.claim(event_id), event_id, skills.Skills)
    )
    await died.wait()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)

    await messaging.process_event(await shop.again(event_id), event_id, skills.Skills)

    assert await shop.look("SELECT count(*) FROM reminder") == 1
    assert "Maya wants the red cylinder" in shop.model.asked[2][0].content
    assert "Done already" in shop.model.asked[3][-1].content
    assert shop.phone.texts == ["I have set a reminder for Dana."]


async def test_what_was_done_for_an_overtaken_message_is_not_done_for_the_next(shop):
    async def write_again():
        await shop.deliver(shop.says("With five keys please"))
        return "I have set a reminder for Dana."

    again = await remind(shop)
    shop.model = Scripted([await remind(shop), write_again, again, "I have set a reminder for Dana."])

    await says(shop, ASKED)

    assert await shop.look("SELECT count(*) FROM reminder") == 1
    assert len(shop.phone.texts) == 1


async def test_what_customers_say_of_themselves_is_saved(shop):
    told = calls("save_contact_details", name="Maya Cohen", email="maya@example.com", city="Haifa")
    shop.model = Scripted([told, "I've saved your details, Maya."])

    await says(shop, "I am Maya Cohen from Haifa, maya@example.com")

    assert shop.phone.texts == ["I've saved your details, Maya."]
    assert await shop.rows("SELECT name, email, city FROM contact") == [
        ("Maya Cohen", "maya@example.com", "Haifa")
    ]


async def test_an_e_mail_that_is_none_is_not_saved(shop):
    shop.model = Scripted([calls("save_contact_details", email="maya at home"), "Which e-mail is it?"])

    await says(shop, "My e-mail is maya at home")

    assert await shop.rows("SELECT email FROM contact") == [(None,)]
    assert await shop.rows("SELECT state FROM assistant_tool_call") == [("refused",)]


async def test_a_lead_is_moved_to_a_stage_that_there_is(shop):
    wrong, note = calls("update_lead", stage="Ecstatic"), "Wants a steel door opened"

    async def move():
        refusal = shop.model.asked[1][-1].content
        stages = refusal.partition("The stages are: ")[2].partition(".")[0].split(", ")
        return calls("update_lead", note=note, stage=stages[1])

    shop.model = Scripted([wrong, move, "Which street is it in?"])

    await says(shop, "A steel door, please")

    assert note in await shop.look("SELECT result FROM assistant_tool_call WHERE state = 'done'")
    assert await shop.look("SELECT count(*) FROM lead_activity WHERE actor = 'assistant'") > 0
    assert shop.phone.texts == ["Which street is it in?"]


async def test_a_booking_that_no_tool_made_is_never_claimed(shop):
    claim = "Great, I've booked you for ten!"
    shop.model = Scripted([claim, claim])

    await says(shop, "Book me for ten")

    [text] = shop.phone.texts
    assert "a person from our team will reply" in text
    assert 'it says "I\'ve booked", but no tool did that' in shop.model.asked[1][-1].content
    assert await shop.look("SELECT needs_person FROM conversation")
    assert await shop.rows("SELECT kind, times FROM assistant_notice") == [("false_claim", 1)]


async def test_a_false_claim_is_taken_back_when_the_model_is_told(shop):
    shop.model = Scripted(["קבעתי לך תור לעשר.", "באיזו שעה נוח לך?"])

    await says(shop, "אפשר לקבוע תור?")

    assert shop.phone.texts == ["באיזו שעה נוח לך?"]


async def test_a_tool_of_a_person_promises_one_and_calls_one(shop):
    shop.model = Scripted([calls("hand_over_to_person", reason="Wants a discount")])

    await says(shop, "Can I get a discount?")

    assert "a person from our team will reply" in shop.phone.texts[0]
    assert await shop.look("SELECT needs_person FROM conversation")
    assert "Wants a discount" in await shop.look(
        "SELECT details ->> 'tools' FROM message WHERE author = 'assistant'"
    )


async def test_knowledge_that_a_tool_brought_up_is_kept_as_the_source(shop):
    shop.model = Scripted([calls("look_up_knowledge", query="door opening"), PRICE])

    await says(shop, "And my friend's flat, what about that?")

    assert shop.phone.texts == [PRICE]
    assert "Door opening price" in await shop.look(
        "SELECT sources::text FROM message WHERE author = 'assistant'"
    )


async def test_a_tool_that_the_business_switched_off_is_neither_offered_nor_used(shop):
    await wants(shop, tools=["look_up_knowledge"])
    shop.model = Scripted([await remind(shop), "What colour is it?"])

    await says(shop, ASKED)

    assert shop.model.offered[0] == ["look_up_knowledge"]
    assert await shop.look("SELECT count(*) FROM reminder") == 0
    assert shop.phone.texts == ["What colour is it?"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (ToolCall("c", "set_reminder", "{not json"), "not JSON"),
        (ToolCall("c", "set_reminder", '["a"]'), "JSON object"),
        (ToolCall("c", "set_reminder", '{"text": "x"}'), "at is missing"),
        (ToolCall("c", "set_reminder", '{"text": "x", "at": "tomorrow"}'), "2026-01-31T09:30"),
        (ToolCall("c", "set_reminder", '{"text": "x", "at": "1999-01-01T10:00"}'), "has been"),
        (REMIND[0], "twelve months"),
        (ToolCall("c", "rob_bank", "{}"), "no such tool"),
    ],
)
async def test_a_call_that_cannot_be_done_is_told_and_changes_nothing(shop, call, told):
    shop.model = Scripted([[call], "I have set a reminder.", "When should that be?"])

    await says(shop, ASKED)

    assert told in shop.model.asked[1][-1].content
    assert "Nothing was done." in shop.model.asked[1][-1].content
    assert await shop.look("SELECT count(*) FROM reminder") == 0
    assert shop.phone.texts == ["When should that be?"]
    assert await shop.rows("SELECT kind FROM assistant_notice") == [("tool_failed",)]


async def test_a_model_that_only_calls_tools_comes_to_an_end(shop):
    look = calls("look_up_knowledge", query="door")
    shop.model = Scripted([look, look, look, look, PRICE])

    await says(shop, PRICE_QUESTION)

    assert shop.phone.texts == [PRICE]
    assert shop.model.offered[-1] == []


async def test_what_an_answer_took_is_kept_and_a_cap_leaves_the_entries_to_answer(shop):
    await wants(shop, monthly_cap_micro=40)
    shop.model = Scripted([PRICE, PRICE])
    for _ in range(4):
        await says(shop, PRICE_QUESTION)

    assert shop.phone.texts == [PRICE] * 4
    assert len(shop.model.asked) == 2
    assert (
        await shop.rows("SELECT purpose, model, input_tokens, cost_micro FROM assistant_use")
        == [("reply", "scripted", 100, 21)] * 2
    )
    assert await shop.rows("SELECT kind, times FROM assistant_notice") == [("capped", 1)]
    costs = "SELECT details ->> 'cost_micro' FROM message WHERE author = 'assistant' ORDER BY position"
    assert await shop.rows(costs) == [("21",), ("21",), ("0",), ("0",)]


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(ProviderDownError("away"), "model_down"), (ProviderRefusedError("check the key"), "model_refused")],
)
async def test_a_model_that_fails_is_told_to_the_owner_and_a_person_is_promised_once(shop, failure, kind):
    shop.model = Scripted([failure] * 4)
    for text in ("Do you sell pianos?", "Hello? Do you sell pianos?"):
        await says(shop, text)

    [text] = shop.phone.texts
    assert "a person from our team will reply" in text
    assert await shop.look("SELECT needs_person FROM conversation")
    assert await shop.rows("SELECT kind, times, detail FROM assistant_notice") == [(kind, 2, str(failure))]


async def test_a_model_that_fails_once_is_asked_once_more(shop):
    shop.model = Scripted([ProviderDownError("a hiccup"), PRICE])

    await says(shop, PRICE_QUESTION)

    assert shop.phone.texts == [PRICE]
    assert await shop.look("SELECT count(*) FROM assistant_notice") == 0


async def test_a_bug_of_ours_says_nothing_to_the_customer_and_calls_a_person(shop):
    async def break_down():
        raise ZeroDivisionError

    shop.model = Scripted([break_down])
    await shop.deliver(shop.says(ASKED))
    await shop.engine.look.execute("UPDATE job SET attempts = 3")
    await shop.settle()

    assert shop.phone.sent == []
    assert await shop.look("SELECT count(*) FROM job WHERE state = 'failed'") == 1
    assert await shop.look("SELECT needs_person FROM conversation")


@pytest.mark.parametrize("at", ["0001-01-01T00:00", "9999-12-31T23:59", "9999-12-31T23:59-12:00"])
async def test_a_moment_at_the_edge_of_time_is_told_to_the_model_and_breaks_nothing(shop, at):
    shop.model = Scripted([calls("set_reminder", text="Call Maya", at=at), "I cannot do that."])

    await says(shop, ASKED)

    assert "Nothing was done." in shop.model.asked[1][-1].content
    assert await shop.look("SELECT count(*) FROM reminder") == 0
