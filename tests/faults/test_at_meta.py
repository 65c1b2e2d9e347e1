"""A number at Meta whose answers are lost, late or refusals, against real processes: nothing twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.engine import eventually
from tests.faults.numbers import (
    connect_again,
    connect_number,
    envelope_of,
    post,
    revoke_token,
    sends_at_meta,
    status_of,
)
from tests.faults.senders import QUESTION
from tests.faults.stories import Deed, Told

pytestmark = pytest.mark.slow
CUSTOMERS = 5
WAMID = "wamid.HBgMOTcyNTUwMDAwMDAw"
EFFECT = "SELECT state FROM effect WHERE provider = 'whatsapp_cloud'"
REPLY = "SELECT status || ' ' || coalesce(provider_id, '') FROM message WHERE author = 'assistant'"
IS_DELIVERED = "SELECT count(*) = 1 FROM message WHERE author = 'assistant' AND status = 'delivered'"
IS_HELD = "SELECT count(*) = 1 FROM provider_account WHERE held_at IS NOT NULL"
KEPT = "SELECT count(*) FROM message WHERE author = 'customer'"
WAITING = """
SELECT count(*) FROM job WHERE kind = 'webhook_process_job' AND state = 'ready' AND due_at > now()
"""


@pytest.fixture
async def number(house):
    return await connect_number(house)


def phone_of(customer):
    return f"9725500000{customer:02}"


async def ask(house, number, customer=0):
    told = Told(Deed.WRITES, f"wamid.Q{customer}", datetime.now(UTC), QUESTION)
    answer = await post(house, number, envelope_of(number, phone_of(customer), told))
    assert answer.status_code == 200, answer.text


@pytest.mark.fault("F20")
async def test_what_meta_took_without_answering_is_settled_by_the_status_that_brings_our_key_back(
    house, number
):
    await house.behave(provider="whatsapp_cloud", receipts=False)
    await house.behave(provider="whatsapp_cloud", times=1, path="/messages", drop_answer=True)
    await ask(house, number)
    await eventually(lambda: is_effect(house, "unknown"), within_s=30, what="an answer in doubt")
    await house.until_quiet()
    [send] = await sends_at_meta(house)

    # Nothing of ours has ever heard this id: only the key tells whose it is.
    await post(house, number, status_of(number, send, message_id=WAMID, at=datetime.now(UTC)))

    await eventually(lambda: is_effect(house, "confirmed"), within_s=30, what="evidence")
    await house.until_quiet()
    assert await house.value(REPLY) == f"delivered {WAMID}"
    assert len(await sends_at_meta(house)) == 1


async def is_effect(house, state):
    return await house.value(EFFECT) == state


@pytest.mark.fault("F20")
async def test_a_status_from_meta_that_comes_before_its_own_answer_counts(house, number):
    await house.behave(provider="whatsapp_cloud", times=1, path="/messages", status_first=True, delay_ms=700)

    await ask(house, number)

    await eventually(lambda: house.value(IS_DELIVERED), within_s=30, what="a message that is delivered")
    await house.until_quiet()
    [send] = await sends_at_meta(house)
    assert await house.value(REPLY) == f"delivered {send['answer']['body']['messages'][0]['id']}"
    assert await house.value(EFFECT) in {"sent", "confirmed"}


@pytest.mark.fault("F35")
async def test_a_number_whose_token_meta_refuses_is_held_and_loses_nothing_until_it_is_connected_again(
    house, number
):
    await revoke_token(house, number)
    for customer in range(CUSTOMERS):
        await ask(house, number, customer)
    await eventually(lambda: house.value(IS_HELD), within_s=30, what="a held account")
    await eventually(lambda: are_kept(house), within_s=30, what="five messages that wait for an answer")
    assert taken(await sends_at_meta(house)) == []

    await connect_again(house)

    await eventually(lambda: are_answered(house), within_s=30, what="five answers")
    await house.until_quiet()
    assert sorted(taken(await sends_at_meta(house))) == [phone_of(each) for each in range(CUSTOMERS)]
    assert not await house.value(IS_HELD)


async def are_kept(house):
    return [await house.value(KEPT), await house.value(WAITING)] == [CUSTOMERS, CUSTOMERS]


async def are_answered(house):
    return len(taken(await sends_at_meta(house))) >= CUSTOMERS


def taken(sends):
    """Whom a message went out to that Meta took."""
    return [send["request"]["body"]["to"] for send in sends if send["accepted"]]
