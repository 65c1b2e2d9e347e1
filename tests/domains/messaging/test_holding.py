"""A channel that its provider holds: what is to go out waits, and goes out once its owner has acted."""

from __future__ import annotations

from server.domains import messaging
from server.errors import ProviderRefusedError, Refusal
from server.jobs import load_handlers
from tests.domains.messaging.conftest import PRICE
from tests.engine import BUSINESS

NO_TOKEN = ProviderRefusedError("the token is no longer good", meaning=Refusal.CREDENTIALS, code="190")


load_handlers()


async def test_an_answer_waits_while_its_channel_is_held_and_goes_out_once_when_it_is_connected_again(shop):
    shop.phone.answers = [NO_TOKEN]
    await shop.deliver(shop.says("How much is opening a door?"))
    await shop.settle()
    async with shop.engine.api.transaction(BUSINESS) as session:
        hold = await messaging.find_hold(session, shop.channel_id)
    [waiting] = await shop.replies()
    attempts = await shop.look("SELECT attempts FROM job WHERE kind = 'webhook_process_job'")

    for _ in range(2):
        async with shop.engine.api.transaction(BUSINESS) as session:
            await messaging.ask_to_reopen(session, BUSINESS, shop.channel_id)
        await shop.settle()

    assert hold is not None
    assert hold.meaning is Refusal.CREDENTIALS
    assert (waiting[1], attempts) == ("queued", 0)
    assert shop.phone.texts == [PRICE, PRICE]
    assert await shop.replies() == [(PRICE, "sent")]
    async with shop.engine.api.transaction(BUSINESS) as session:
        assert await messaging.find_hold(session, shop.channel_id) is None
