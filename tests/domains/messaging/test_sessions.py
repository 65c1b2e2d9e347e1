"""Sessions that went quiet are closed with a summary; old events are forgotten."""

from __future__ import annotations

from datetime import UTC, datetime

from server.domains import messaging
from server.queue import Run
from server.queue.catalog import WhatsappSessionsCleanup
from server.queue.ledger import Ledger
from tests.domains.messaging.conftest import PRICE_QUESTION
from tests.engine import BUSINESS

AGE = "UPDATE conversation_session SET last_activity_at = now() - interval '25 hours' WHERE closed_at IS NULL"


async def cleanup_run(shop) -> Run:
    job_id = await shop.engine.ask(WhatsappSessionsCleanup(datetime.now(UTC)))
    await shop.engine.look.execute("UPDATE job SET business_id = NULL WHERE id = $1", job_id)
    [claim] = await Ledger(shop.engine.worker, lease_s=20).claim([job_id], worker="test")
    return Run(claim, database=shop.engine.worker, outside=shop.outside, lease_s=20)


async def clean_up(shop, limit=50):
    run = await cleanup_run(shop)
    await messaging.close_stale_sessions(run, limit=limit)
    await shop.end(run)


async def write(shop, text=PRICE_QUESTION):
    await shop.deliver(shop.says(text))
    await shop.settle()


async def sessions(shop):
    return await shop.rows(
        "SELECT closed_at IS NOT NULL, summary FROM conversation_session ORDER BY opened_at, id"
    )


async def test_a_quiet_session_is_closed_with_a_summary(shop):
    await write(shop)
    await shop.engine.look.execute(AGE)

    await clean_up(shop)

    [(is_closed, summary)] = await sessions(shop)
    assert is_closed
    assert PRICE_QUESTION in summary


async def test_a_session_that_goes_on_stays_open(shop):
    await write(shop)

    await clean_up(shop)

    assert await sessions(shop) == [(False, None)]


async def test_closing_twice_changes_nothing(shop):
    await write(shop)
    await shop.engine.look.execute(AGE)
    await clean_up(shop)
    before = await shop.rows("SELECT * FROM conversation_session")

    await clean_up(shop)

    assert await shop.rows("SELECT * FROM conversation_session") == before


async def test_a_second_session_of_a_contact_is_summarised_like_the_first(shop):
    for text in (PRICE_QUESTION, "And what about a safe?"):
        await write(shop, text)
        await shop.engine.look.execute(AGE)
        await clean_up(shop)

    [(_, first), (is_closed, second)] = await sessions(shop)
    assert is_closed
    assert PRICE_QUESTION in first
    assert PRICE_QUESTION not in second
    assert "safe" in second


async def test_at_most_fifty_are_closed_at_once_the_oldest_first(shop):
    await write(shop)
    await shop.engine.look.execute(
        "WITH people AS"
        " (INSERT INTO contact (business_id) SELECT 6 FROM generate_series(1, 60) RETURNING id),"
        " talks AS (INSERT INTO conversation (business_id, channel_id, contact_id, address)"
        " SELECT 6, $1, id, 'x' FROM people RETURNING id)"
        " INSERT INTO conversation_session (business_id, conversation_id, last_activity_at)"
        " SELECT 6, id, now() - row_number() OVER () * interval '25 hours' FROM talks",
        shop.channel_id,
    )

    await clean_up(shop)

    assert await shop.look("SELECT count(*) FROM conversation_session WHERE closed_at IS NOT NULL") == 50
    assert await shop.look(
        "SELECT max(last_activity_at) FILTER (WHERE closed_at IS NOT NULL)"
        " < min(last_activity_at) FILTER (WHERE closed_at IS NULL) FROM conversation_session"
    )


async def test_only_old_events_that_were_dealt_with_are_forgotten(shop):
    await write(shop)
    await write(shop, "Hello again")
    await shop.deliver(shop.says("Not looked at yet"))
    await shop.engine.look.execute(
        "UPDATE inbox_event SET received_at = now() - interval '31 days' WHERE event_id <> 'IN2'"
    )

    gone = await messaging.forget_old_events(await cleanup_run(shop), older_than_days=30, limit=100)

    assert gone == 1
    assert await shop.rows("SELECT event_id FROM inbox_event ORDER BY event_id") == [("IN2",), ("IN3",)]
    assert await shop.look("SELECT count(*) FROM message WHERE author = 'customer'") == 2


async def test_connecting_a_bridge_again_follows_its_new_address_and_secret(shop):
    from tests.domains.messaging.conftest import CIPHER

    async with shop.engine.api.transaction(BUSINESS) as session:
        again = await messaging.connect_bridge(
            session, BUSINESS, base_url="http://moved.test", secret="another", tenant="6", cipher=CIPHER
        )
        account = await messaging.find_account(session, again, CIPHER.decrypt)

    assert again == shop.channel_id
    assert (account.base_url, account.secret, account.tenant) == ("http://moved.test", "another", "6")
    assert "another" not in repr(account)
    assert await shop.look("SELECT secret_encrypted FROM channel") != "another"
