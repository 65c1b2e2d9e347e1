"""An event on its way: told at least once, under one id, and every try kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.domains import integrations
from server.domains.integrations import queries
from server.domains.integrations.rules import BACKOFF_S
from server.errors import ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.ports import Posted
from server.queue.ledger import Ledger
from tests.domains.integrations.conftest import CIPHER, URL, signed_with
from tests.engine import BUSINESS

DOWN = Posted(500, "broken")


async def test_an_event_is_told_once_though_it_is_emitted_twice(desk):
    _, secret = await desk.endpoint()
    await desk.emit("1", {"name": "דנה"})
    await desk.emit("1", {"name": "דנה"})

    await desk.run_out()

    [(url, body, headers)] = desk.posts.got
    [event] = desk.posts.events
    assert (url, event["type"], event["data"]) == (URL, "lead.created", {"name": "דנה"})
    assert signed_with(secret, headers, body)
    assert headers["x-prosaas-event"] == "lead.created"
    assert await desk.deliveries() == [("delivered", None)]
    assert await desk.attempts() == [(1, 200, None)]
    assert await desk.effects() == ["sent"]


async def test_where_nobody_listens_nothing_is_gathered_or_kept(desk):
    await desk.endpoint("contact.merged")

    async def never():
        raise AssertionError("gathered for nobody")

    await desk.emit("1", never)

    assert await desk.look("SELECT count(*) FROM webhook_event") == 0
    assert await desk.look("SELECT count(*) FROM job") == 0


async def test_a_business_is_never_told_of_another_one(desk):
    await desk.endpoint(business_id=9, url="https://noa.example/hook")
    await desk.endpoint()
    await desk.emit("1")

    await desk.run_out()

    assert [url for url, _, _ in desk.posts.got] == [URL]


async def test_what_failed_is_tried_again_under_the_same_id_with_a_new_signature(desk):
    _, secret = await desk.endpoint()
    desk.posts.answers = [DOWN, ProviderUnknownError("no answer"), ProviderDownError("no connection")]
    await desk.emit("1")

    await desk.run_out()

    assert len(desk.posts.got) == 4
    assert len(set(desk.posts.ids)) == 1
    assert len({body for _, body, _ in desk.posts.got}) == 1
    assert all(signed_with(secret, headers, body) for _, body, headers in desk.posts.got)
    assert await desk.deliveries() == [("delivered", None)]
    assert await desk.attempts() == [
        (1, 500, "it answered with status 500"),
        (2, None, "no answer"),
        (3, None, "no connection"),
        (4, 200, None),
    ]
    # Of no try anybody looks for what became of it.
    assert sorted(await desk.effects()) == ["abandoned", "abandoned", "abandoned", "sent"]


async def test_a_failed_try_waits_its_time(desk):
    await desk.endpoint()
    desk.posts.answers = [DOWN]
    await desk.emit("1")

    await desk.run()
    await desk.run()

    assert len(desk.posts.got) == 1
    waits = await desk.look("SELECT extract(epoch FROM due_at - now())::float FROM job WHERE state = 'ready'")
    assert 2 < waits < 7


async def test_a_receiver_that_asks_for_time_gets_it(desk):
    await desk.endpoint()
    desk.posts.answers = [Posted(429, "", 600.0)]
    await desk.emit("1")

    await desk.run()

    waits = await desk.look("SELECT extract(epoch FROM due_at - now())::float FROM job WHERE state = 'ready'")
    assert 590 < waits < 601


async def test_after_a_day_of_tries_it_has_failed_and_can_be_told_again(desk):
    endpoint_id, _ = await desk.endpoint()
    tries = len(BACKOFF_S) + 1
    desk.posts.answers = [Posted(404, "The requested webhook is not registered.")] * tries
    await desk.emit("1")
    await _run_past_the_breaker(desk, tries)

    assert len(desk.posts.got) == tries
    [(state, reason)] = await desk.deliveries()
    assert (state, "activate the workflow" in reason) == ("failed", True)

    desk.posts.answers = []
    async with desk.engine.api.transaction(BUSINESS) as session:
        since = await desk.look("SELECT now() - interval '1 hour'")
        assert await integrations.replay_failed(session, BUSINESS, endpoint_id, since) == 1
    await _run_past_the_breaker(desk, 1)

    assert await desk.deliveries() == [("delivered", None)]
    assert len(set(desk.posts.ids)) == 1


async def _run_past_the_breaker(desk, tries):
    for _ in range(tries):
        await desk.engine.look.execute("UPDATE provider_account SET closed_until = NULL, failures = 0")
        await desk.hasten()
        await desk.run()


async def test_an_endpoint_that_is_not_called_uses_no_try(desk):
    await desk.endpoint()
    for number in range(7):
        await desk.emit(str(number))
    desk.posts.answers = [ProviderDownError("no connection")] * 20

    await desk.run()
    posted = len(desk.posts.got)
    await desk.hasten()
    await desk.run()

    # Five failures in a row close the account; what is not called then waits with its tries.
    assert len(desk.posts.got) == posted
    assert await desk.look("SELECT count(*) FROM webhook_delivery WHERE state = 'waiting'") == 7
    assert await desk.look("SELECT count(*) FROM webhook_attempt") == posted


async def test_a_full_endpoint_leaves_the_worker_to_others(desk):
    await desk.endpoint()
    await desk.emit("1")
    desk.posts.is_full = True

    [ended] = await desk.run()

    assert ended.ending.outcome.value == "snoozed"
    assert desk.posts.got == []


async def test_a_receiver_that_is_gone_is_turned_off(desk):
    await desk.endpoint()
    desk.posts.answers = [Posted(410)]
    await desk.emit("1")
    await desk.emit("2")

    await desk.run_out()

    assert await desk.look("SELECT state FROM webhook_endpoint") == "gone"
    assert {state for state, _ in await desk.deliveries()} <= {"failed", "delivered"}


async def test_an_address_that_may_not_be_called_is_not_tried_again(desk):
    await desk.endpoint()
    desk.posts.answers = [ProviderRefusedError("leads into a private network")]
    await desk.emit("1")

    await desk.run_out()

    assert await desk.deliveries() == [("failed", "leads into a private network")]
    assert await desk.effects() == ["failed"]


async def test_days_of_failure_turn_an_endpoint_off(desk):
    await desk.endpoint()
    await desk.engine.look.execute("UPDATE webhook_endpoint SET failing_since = now() - interval '6 days'")
    desk.posts.answers = [DOWN]
    await desk.emit("1")

    await desk.run_out()

    assert await desk.look("SELECT state FROM webhook_endpoint") == "failing"
    assert await desk.deliveries() == [("failed", "not sent: the endpoint is off")]


async def test_one_success_ends_a_streak_of_failures(desk):
    await desk.endpoint()
    await desk.engine.look.execute("UPDATE webhook_endpoint SET failing_since = now() - interval '4 days'")
    await desk.emit("1")

    await desk.run_out()

    assert await desk.look("SELECT failing_since FROM webhook_endpoint") is None


async def test_an_event_whose_endpoint_was_deleted_is_not_told(desk):
    endpoint_id, _ = await desk.endpoint()
    await desk.emit("1")
    async with desk.engine.api.transaction(BUSINESS) as session:
        assert await integrations.delete_endpoint(session, endpoint_id)

    await desk.run_out()

    assert desk.posts.got == []
    assert await desk.look("SELECT count(*) FROM webhook_delivery") == 0


async def test_after_a_new_secret_both_sign_for_a_day(desk):
    endpoint_id, older = await desk.endpoint()
    async with desk.engine.api.transaction(BUSINESS) as session:
        newer = await integrations.rotate_secret(session, endpoint_id, cipher=CIPHER)
    assert newer is not None
    await desk.emit("1")
    await desk.run_out()
    await desk.engine.look.execute("UPDATE webhook_endpoint SET older_secret_until = now()")
    await desk.emit("2")
    await desk.run_out()

    (_, first, with_both), (_, second, with_one) = desk.posts.got
    assert signed_with(newer, with_both, first)
    assert signed_with(older, with_both, first)
    assert signed_with(newer, with_one, second)
    assert not signed_with(older, with_one, second)


async def test_no_secret_is_kept_in_the_clear(desk):
    _, secret = await desk.endpoint()
    await desk.emit("1")
    await desk.run_out()

    dump = await desk.rows("SELECT webhook_endpoint::text FROM webhook_endpoint")
    dump += await desk.rows("SELECT webhook_attempt::text FROM webhook_attempt")
    assert secret not in str(dump)


async def test_a_test_event_tells_whether_an_endpoint_answers(desk):
    endpoint_id, _ = await desk.endpoint()
    async with desk.engine.api.transaction(BUSINESS) as session:
        assert await integrations.send_test(session, BUSINESS, endpoint_id) is not None

    await desk.run_out()

    assert [event["type"] for event in desk.posts.events] == ["webhook.test"]


async def test_first_tries_of_one_subject_wait_for_each_other_and_for_no_one_else(desk):
    await desk.endpoint()
    for number in range(3):
        await desk.emit(f"a{number}", subject="a")
    await desk.emit("b0", subject="b")

    await desk.run()
    assert sorted(event["data"]["lead_id"] for event in desk.posts.events) == ["a0", "b0"]
    await desk.run_out()

    assert [event["data"]["lead_id"] for event in desk.posts.events if event["data"]["lead_id"] != "b0"] == [
        "a0",
        "a1",
        "a2",
    ]


async def test_a_try_whose_process_died_is_followed_by_another_under_the_same_id(desk):
    """The ledger found it being sent: that try is never repeated, the next one tells the same."""
    await desk.endpoint()
    await desk.emit("1")
    job_id = await desk.look("SELECT id FROM job")
    [claim] = await Ledger(desk.engine.worker, lease_s=20).claim([job_id], worker="dead")
    await desk.engine.look.execute(
        "INSERT INTO effect (key, business_id, provider, job_id, token, state, sending_at)"
        " SELECT format('webhook:%s:1', id), business_id, 'webhook', $1, $2, 'sending', now()"
        " FROM webhook_delivery",
        job_id,
        claim.token,
    )
    await desk.engine.look.execute("UPDATE job SET state = 'ready', lease_until = NULL")

    await desk.run_out()

    assert len(desk.posts.got) == 1
    assert [(number, status) for number, status, _ in await desk.attempts()] == [(1, None), (2, 200)]
    assert await desk.deliveries() == [("delivered", None)]


async def test_old_events_are_forgotten_with_their_log_and_what_waits_is_kept(desk):
    await desk.endpoint()
    for key in ("1", "2"):
        await desk.emit(key)
    await desk.run_out()
    await desk.emit("3")
    await desk.engine.look.execute(
        "UPDATE webhook_event SET created_at = now() - interval '31 days' WHERE key IN ('1', '3')"
    )
    async with desk.engine.worker.transaction(BUSINESS) as session:
        await queries.delete_old(session, older_than=timedelta(days=30), limit=100)

    assert await desk.rows("SELECT key FROM webhook_event ORDER BY key") == [("2",), ("3",)]
    assert await desk.look("SELECT count(*) FROM webhook_attempt") == 1


@pytest.mark.parametrize("role", ["api", "worker"])
async def test_both_roles_may_say_that_something_happened(desk, role):
    await desk.endpoint()
    async with getattr(desk.engine, role).transaction(BUSINESS) as session:
        await integrations.emit(session, BUSINESS, "lead.created", {"a": 1}, key="1")

    await desk.run_out()

    assert len(desk.posts.got) == 1
