"""What an event changes in the books: messages, echoes, receipts, edits, and what is set aside."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import orjson
import pytest

from server.errors import ProviderUnknownError
from tests.domains.messaging.conftest import MAYA, MAYA_BY_LID, PRICE_QUESTION

SAMPLES = Path(__file__).parents[2] / "fixtures" / "whatsapp" / "bridge"
SENT, DELIVERED, READ, FAILED = 2, 3, 4, 0
HEIGHT = {"sent": 0, "failed": 0, "delivered": 1, "read": 2}


def sample(name):
    return orjson.loads((SAMPLES / f"{name}.json").read_bytes())


async def test_a_groups_message_and_a_story_are_kept_and_shown_nowhere(shop):
    await shop.deliver(sample("group_message"), sample("status_story"))
    await shop.settle()

    assert {state for state, _ in await shop.events()} == {"ignored"}
    assert await shop.look("SELECT count(*) FROM contact") == 0


async def test_a_sender_without_a_usable_name_is_set_aside_and_holds_back_no_other(shop):
    nobody = replace(MAYA, phone="12", name="Service")
    await shop.deliver(shop.says("Hello", who=nobody), lane="one")
    await shop.deliver(shop.says(PRICE_QUESTION), lane="one")
    await shop.settle()

    assert [state for state, _ in await shop.events()] == ["ignored", "done"]
    assert len(shop.phone.sent) == 1


async def test_history_is_shown_and_never_answered(shop):
    await shop.deliver(sample("history_append"))
    await shop.settle()

    assert shop.phone.sent == []
    assert await shop.look("SELECT text FROM message") == "הודעה ישנה"
    assert await shop.look("SELECT last_message_at < '2026-01-01' FROM conversation")
    assert await shop.look("SELECT count(*) FROM conversation_session") == 0


async def test_a_moment_that_has_not_been_yet_does_not_put_a_conversation_on_top_for_ever(shop):
    told = sample("history_append")
    for message in told["payload"]["messages"]:
        message["messageTimestamp"] = 253402300799  # the last second that a clock can tell
    await shop.deliver(told)
    await shop.settle()

    assert await shop.look("SELECT last_message_at <= now() FROM conversation")


async def test_an_unreadable_event_is_kept_with_its_reason_and_holds_back_no_other(shop):
    await shop.deliver(sample("batch_of_seven_one_poison"))
    await shop.settle()

    assert await shop.look("SELECT count(*) FROM message WHERE author = 'customer'") == 6
    assert await shop.look("SELECT reason IS NOT NULL FROM inbox_event WHERE state = 'unreadable'")
    assert len(shop.phone.sent) == 1


async def test_an_unknown_kind_is_shown_as_unsupported(shop):
    await shop.deliver(sample("unknown_kind"))
    await shop.settle()

    assert await shop.rows("SELECT kind, text, author FROM message") == [("unsupported", None, "customer")]


async def test_a_photo_without_words_is_handed_to_a_person(shop):
    await shop.deliver(sample("image_without_caption"))
    await shop.settle()

    assert len(shop.phone.sent) == 1
    assert await shop.look("SELECT needs_person FROM conversation")


async def test_what_the_owner_types_on_the_phone_is_shown_as_a_persons_and_pauses_the_assistant(shop):
    await shop.deliver(sample("owner_typed_on_phone"))
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    assert shop.phone.sent == []
    assert await shop.rows("SELECT author, direction, status FROM message ORDER BY position LIMIT 1") == [
        ("person", "out", "sent")
    ]
    assert await shop.look("SELECT name FROM contact") == "Maya"


async def test_a_person_who_answers_is_needed_no_more(shop):
    await shop.deliver(shop.says("Do you sell pianos?"))
    await shop.settle()
    assert await shop.look("SELECT needs_person FROM conversation")

    await shop.deliver(shop.echo("We do not", "PERSON1"))
    await shop.settle()

    assert not await shop.look("SELECT needs_person FROM conversation")


async def test_the_echo_of_our_own_reply_is_no_takeover(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    await shop.deliver(shop.echo(shop.phone.texts[0], "OURS1"))
    await shop.settle()

    assert await shop.look("SELECT ai_paused_until FROM conversation") is None
    assert await shop.look("SELECT count(*) FROM message") == 2


async def test_an_echo_of_what_has_gone_out_is_tied_to_it_and_moves_nothing(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    before = await shop.rows("SELECT to_jsonb(conversation) FROM conversation")
    [event_id] = await shop.deliver(shop.echo(shop.phone.texts[0], "OURS1"))
    await shop.settle()

    assert await shop.rows("SELECT to_jsonb(conversation) FROM conversation") == before
    assert await shop.rows(
        "SELECT event.state, message.author FROM inbox_event AS event"
        " JOIN message ON message.id = event.message_id WHERE event.id = $1",
        event_id,
    ) == [("done", "assistant")]


async def test_the_echo_of_what_has_gone_out_still_proves_whose_its_names_are(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    echo = shop.echo(shop.phone.texts[0], "OURS1")
    echo["payload"]["messages"][0]["key"]["remoteJidAlt"] = f"{MAYA_BY_LID.lid}@lid"
    await shop.deliver(echo)
    await shop.settle()

    assert await shop.rows("SELECT value FROM contact_identity WHERE kind = 'lid'") == [(MAYA_BY_LID.lid,)]
    assert await shop.look("SELECT count(*) FROM contact") == 1


async def test_an_echo_proves_that_a_reply_nobody_knew_about_was_sent(shop):
    shop.phone.answers = [ProviderUnknownError("timed out")]
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    await shop.deliver(shop.echo(shop.phone.texts[0], "REAL1"))
    await shop.settle()

    assert await shop.rows("SELECT status, provider_id FROM message WHERE author = 'assistant'") == [
        ("sent", "REAL1")
    ]
    assert await shop.rows("SELECT state, provider_ref FROM effect") == [("confirmed", "REAL1")]
    assert await shop.look("SELECT ai_paused_until FROM conversation") is None


async def test_an_echo_that_comes_while_we_send_is_told_from_a_person_by_its_words(shop):
    async def echo_first():
        [event_id] = await shop.deliver(shop.echo(shop.phone.texts[-1], "OURS1"), lane="another")
        await shop.handle(event_id)

    shop.phone.before_answer = echo_first
    [question] = await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.handle(question)

    assert await shop.rows("SELECT status, provider_id FROM message WHERE author = 'assistant'") == [
        ("sent", "OURS1")
    ]
    assert await shop.look("SELECT count(*) FROM message WHERE author = 'person'") == 0


async def test_an_echo_mistaken_for_a_person_is_put_right_by_the_providers_answer(shop):
    async def changed_echo():
        [event_id] = await shop.deliver(shop.echo("the same, in other words", "OURS1"), lane="another")
        await shop.handle(event_id)

    shop.phone.before_answer = changed_echo
    [question] = await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.handle(question)

    assert await shop.rows("SELECT author, provider_id FROM message WHERE direction = 'out'") == [
        ("assistant", "OURS1")
    ]
    assert await shop.look("SELECT ai_paused_until FROM conversation") is None


@pytest.mark.fault("F23")
async def test_receipts_fold_by_rank_in_any_order(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    for status, shown in ((READ, "read"), (DELIVERED, "read"), (SENT, "read"), (FAILED, "read")):
        await shop.deliver(shop.receipt("OURS1", status))
        await shop.settle()
        assert await shop.look("SELECT status FROM message WHERE author = 'assistant'") == shown


@pytest.mark.fault("F23")
async def test_in_any_order_of_four_receipts_the_status_ends_right_and_never_goes_back(shop):
    orders = list(permutations((SENT, DELIVERED, READ, FAILED)))
    await shop.deliver(
        *(
            shop.says(PRICE_QUESTION, who=replace(MAYA, phone=f"9725012345{number:02}"))
            for number in range(len(orders))
        )
    )
    await shop.settle()
    before = [0] * len(orders)
    for step in range(4):
        receipts = [shop.receipt(f"OURS{one}", order[step]) for one, order in enumerate(orders, 1)]
        await shop.deliver(*receipts)
        await shop.settle()
        shown = dict(await shop.rows("SELECT provider_id, status FROM message WHERE direction = 'out'"))
        after = [HEIGHT[shown[f"OURS{one}"]] for one in range(1, len(orders) + 1)]
        # What failed may yet prove to be sent, and what was sent to have failed; what was delivered may not.
        assert all(new >= old for old, new in zip(before, after, strict=True))
        before = after

    assert set(shown.values()) == {"read"}
    assert len(shop.phone.sent) == len(orders)


@pytest.mark.fault("F20")
@pytest.mark.fault("F23")
async def test_a_receipt_that_comes_before_its_message_is_known_is_not_lost(shop):
    await shop.deliver(shop.receipt("REAL1", DELIVERED))
    await shop.settle()
    assert await shop.events() == [("ignored", "no message of ours has this id")]

    shop.phone.answers = ["REAL1"]
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    assert await shop.look("SELECT status FROM message WHERE author = 'assistant'") == "delivered"
    assert {state for state, _ in await shop.events()} == {"done"}


@pytest.mark.parametrize("is_echoed", [False, True])
async def test_a_failure_that_is_reported_before_its_message_is_known_is_not_lost(shop, is_echoed):
    await shop.deliver(shop.receipt("REAL1", FAILED))
    await shop.settle()

    shop.phone.answers = [ProviderUnknownError("no answer") if is_echoed else "REAL1"]
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    await shop.deliver(shop.echo((await shop.replies())[0][0], "REAL1"))
    await shop.settle()

    assert await shop.look("SELECT status FROM message WHERE author = 'assistant'") == "failed"
    assert await shop.look("SELECT needs_person FROM conversation")
    assert len(shop.phone.sent) == 1


async def test_to_an_answer_that_was_sent_and_did_not_arrive_a_person_is_called(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()
    assert not await shop.look("SELECT needs_person FROM conversation")

    await shop.deliver(shop.receipt("OURS1", FAILED))
    await shop.settle()

    assert await shop.look("SELECT needs_person FROM conversation")
    assert await shop.look("SELECT state FROM effect") == "sent"
    assert len(shop.phone.sent) == 1


async def test_an_edited_message_is_answered_as_it_reads_now_and_marked(shop):
    first = sample("text")
    await shop.deliver(first, sample("edited"))
    await shop.settle()

    changed = await shop.rows("SELECT text, details ? 'edited' FROM message WHERE author = 'customer'")
    assert changed == [("שלום, כמה עולה החלפת מנעול?", True)]
    assert len(shop.phone.sent) == 1


async def test_a_message_that_was_taken_back_says_nothing_any_more(shop):
    await shop.deliver(sample("text"), sample("revoked"))
    await shop.settle()

    withdrawn = await shop.rows("SELECT text, details ? 'deleted' FROM message WHERE author = 'customer'")
    assert withdrawn == [(None, True)]


async def test_nobody_can_change_what_another_person_wrote(shop):
    await shop.deliver(sample("text"))
    edit = sample("edited")
    edit["payload"]["messages"][0]["key"]["remoteJid"] = "972541111111@s.whatsapp.net"
    await shop.deliver(edit)
    await shop.settle()

    assert (
        await shop.look("SELECT text FROM message WHERE author = 'customer'") == "שלום, כמה עולה פריצת דלת?"
    )


async def test_the_same_word_twice_in_one_second_is_two_messages(shop):
    both = [shop.says("yes"), shop.says("yes")]
    for told in both:
        told["payload"]["messages"][0]["messageTimestamp"] = 1770500000
    await shop.deliver(*both)
    await shop.settle()

    assert await shop.rows("SELECT text FROM message WHERE author = 'customer'") == [("yes",), ("yes",)]


async def test_the_same_message_from_two_addresses_is_one(shop):
    by_phone = shop.says(PRICE_QUESTION, message_id="SAME")
    by_lid = shop.says(PRICE_QUESTION, message_id="SAME", who=replace(MAYA, lid="82399031480511"))
    await shop.deliver(by_phone, by_lid)
    await shop.settle()

    assert await shop.look("SELECT count(*) FROM message WHERE author = 'customer'") == 1
    assert len(shop.phone.sent) == 1


async def test_a_reply_goes_to_the_address_that_was_written_from(shop):
    await shop.deliver(sample("lid_without_phone"))
    await shop.settle()

    assert shop.phone.sent[0][0] == "87621728518253@lid"
    assert await shop.rows("SELECT kind, value FROM contact_identity") == [("lid", "87621728518253")]


@pytest.mark.parametrize("text", ["שלום " * 1000, "a\tb\u0007c\u200f\u202e", "👩‍👩‍👧‍👦"])
async def test_words_are_kept_as_they_were_sent(shop, text):
    await shop.deliver(shop.says(text))
    await shop.settle()

    assert await shop.look("SELECT text FROM message WHERE author = 'customer'") == text


async def test_another_business_sees_nothing_of_it(shop):
    await shop.deliver(shop.says(PRICE_QUESTION))
    await shop.settle()

    async with shop.engine.worker.transaction(9) as session:
        from sqlalchemy import text

        for table in ("message", "conversation", "contact", "lead", "inbox_event", "channel"):
            assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 0
