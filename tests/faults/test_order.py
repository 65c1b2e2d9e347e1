"""F23: a bridge that tells in another order than things happened, to two api processes at once."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import permutations

import httpx
import pytest

from server.domains.messaging.rules import CAME_LATE
from simulator.envelopes import receipt
from tests.engine import eventually
from tests.faults.senders import QUESTION
from tests.processes import SECRET, text_message

SENT, DELIVERED, READ = 2, 3, 4
ORDERS = list(permutations((SENT, DELIVERED, READ)))
STATUS = "SELECT status FROM message WHERE provider_id = $1"
CUSTOMERS = "SELECT count(*) FROM message WHERE author = 'customer'"
HEIGHT = {"sent": 0, "delivered": 1, "read": 2}


@pytest.mark.slow
@pytest.mark.fault("F23")
async def test_receipts_in_every_order_and_a_message_an_hour_late_leave_one_answer_that_was_read(house):
    await house.start("api")
    await house.behave(receipts=False)
    for number in range(len(ORDERS)):
        await post(house, 0, written(number))
    sends = await house.until_sent(len(ORDERS))
    await house.until_quiet()
    seen = await in_their_orders(house, sends)

    await post(house, 1, written(0, ago_s=3600))
    late = "SELECT count(*) = 1 FROM inbox_event WHERE state = 'done' AND reason = $1"
    await eventually(lambda: house.value(late, CAME_LATE), within_s=20, what="a late message that is kept")
    await house.until_quiet()

    assert [heights[-1] for heights in seen] == [HEIGHT["read"]] * len(ORDERS)
    assert [heights == sorted(heights) for heights in seen] == [True] * len(ORDERS)
    assert await house.value(CUSTOMERS) == len(ORDERS) + 1
    assert await house.value("SELECT count(*) FROM conversation WHERE needs_person") == 1
    assert len(await house.sends()) == len(ORDERS)


def written(number, *, ago_s=0.0):
    message = text_message(QUESTION, phone=f"97253000000{number}")
    message["payload"]["messages"][0]["messageTimestamp"] = int(time.time() - ago_s)
    return message


async def post(house, api, body):
    """Tell one of the two api processes."""
    answer = await house.http.post(
        f"http://127.0.0.1:{house.ports['api'][api]}/webhook/whatsapp/incoming",
        content=json.dumps(body).encode(),
        headers={"X-Internal-Secret": SECRET, "Content-Type": "application/json"},
    )
    assert answer.status_code == httpx.codes.OK


async def in_their_orders(house, sends):
    """Report each answer in an order of its own, three to each api at once; return the statuses shown."""
    ids = [send["answer"]["body"]["messageId"] for send in sends]
    seen = [[HEIGHT[await house.value(STATUS, one)]] for one in ids]
    for step in range(3):
        told = [
            receipt("business_6", send["request"]["body"]["to"], message_id=one, status=order[step])
            for send, one, order in zip(sends, ids, ORDERS, strict=True)
        ]
        await asyncio.gather(*(post(house, place % 2, body) for place, body in enumerate(told)))
        await house.until_quiet()
        for one, heights in zip(ids, seen, strict=True):
            heights.append(HEIGHT[await house.value(STATUS, one)])
    return seen
