"""Each of the promises I1–I11 is broken here, and the checker says so in one line."""

from __future__ import annotations

import asyncpg
import pytest

from server.queue.invariants import IN_DATABASE, violations
from tests.servers import clone_template
from tests.simulator.outside import Receiver, outside_world

PHONE, WORDS = "972501234567", "How much is a door opening?"
# One question that was answered, a slot of the timetable, and a job that runs: a day like any other.
GOOD_DAY = """
INSERT INTO business (id, name) VALUES (6, 'Dana'), (9, 'Noa') ON CONFLICT DO NOTHING;
INSERT INTO channel (id, business_id, kind, base_url, secret_encrypted, token_digest)
VALUES ('00000000-0000-0000-0000-0000000000c1', 6, 'whatsapp_bridge', 'http://127.0.0.1', 'x', 'x');
INSERT INTO contact (id, business_id) VALUES ('00000000-0000-0000-0000-0000000000d1', 6);
INSERT INTO contact_identity (business_id, contact_id, kind, value)
VALUES (6, '00000000-0000-0000-0000-0000000000d1', 'phone', '+972501234567');
INSERT INTO conversation (id, business_id, channel_id, contact_id, address)
VALUES ('00000000-0000-0000-0000-0000000000e1', 6, '00000000-0000-0000-0000-0000000000c1',
        '00000000-0000-0000-0000-0000000000d1', 'x');
INSERT INTO message (id, business_id, conversation_id, channel_id, direction, author, kind, text, status,
                     answers_message_id, effect_key)
SELECT n::text::uuid, 6, '00000000-0000-0000-0000-0000000000e1', '00000000-0000-0000-0000-0000000000c1',
       direction, author, 'text', said, status, answers::uuid, effect_key
FROM (VALUES
    ('00000000-0000-0000-0000-0000000000a1', 'in', 'customer', 'How much is a door opening?', 'received',
     NULL, NULL),
    ('00000000-0000-0000-0000-0000000000a2', 'in', 'customer', 'And on a Saturday?', 'received', NULL, NULL),
    ('00000000-0000-0000-0000-0000000000b1', 'out', 'assistant', 'It costs 350.', 'sent',
     '00000000-0000-0000-0000-0000000000a1', 'reply:1'),
    ('00000000-0000-0000-0000-0000000000b2', 'out', 'assistant', 'It costs 450.', 'queued',
     '00000000-0000-0000-0000-0000000000a2', 'reply:2')
) AS said (n, direction, author, said, status, answers, effect_key);
INSERT INTO inbox_event (id, business_id, channel_id, event_id, lane, payload, payload_hash, state)
VALUES ('00000000-0000-0000-0000-0000000000f1', 6, '00000000-0000-0000-0000-0000000000c1', 'E1', 'l1', '{}',
        '', 'done');
INSERT INTO job (id, business_id, kind, payload, queue, urgency, lane, state, token, attempts, lease_until,
                 dispatch_no, dispatched_at, started_at, finished_at)
VALUES
    ('answered', 6, 'webhook_process_job', '{"event_id": "00000000-0000-0000-0000-0000000000f1"}', 'default',
     0, 'l1', 'done', 1, 1, NULL, 1, now(), now(), now()),
    ('slot', NULL, 'login_cleanup_job', '{}', 'maintenance', 4, NULL, 'done', 1, 1, NULL, 1, now(), now(),
     now()),
    ('running', 6, 'push_send_job', '{}', 'default', 2, 'l2', 'running', 1, 1, now() + interval '1 minute', 1,
     now(), now(), NULL);
UPDATE job SET progress = '{"total": 10, "done": 4, "planned": 6}' WHERE id = 'running';
INSERT INTO job_attempt (job_id, token, worker, ended_at, outcome)
VALUES ('answered', 1, 'w', now(), 'done'), ('slot', 1, 'w', now(), 'done'), ('running', 1, 'w', NULL, NULL);
INSERT INTO effect (key, business_id, provider, job_id, token, state, provider_ref, sending_at)
VALUES ('reply:1', 6, 'whatsapp_bridge', 'answered', 1, 'sent', 'P1', now()),
       ('reply:2', 6, 'whatsapp_bridge', 'running', 1, 'sending', NULL, now() - interval '1 hour');
INSERT INTO schedule (name, watermark) VALUES ('login_cleanup_job', now());
INSERT INTO schedule_slot (schedule, slot, state, job_id, reason)
VALUES ('login_cleanup_job', now(), 'enqueued', 'slot', NULL),
       ('login_cleanup_job', now() - interval '1 day', 'skipped', NULL, 'a later slot stands for it');
"""
WAITING = """
INSERT INTO job (id, business_id, kind, queue, urgency, lane, due_at, dispatched_at)
VALUES ('waiting', 6, 'push_send_job', '{queue}', {urgency}, {lane}, now() - interval '{due} s', {dispatched})
"""
LONG_AGO = "now() - interval '61 s'"


def waiting(*, queue="low", urgency=2, lane="NULL", due=61, dispatched="NULL"):
    return WAITING.format(queue=queue, urgency=urgency, lane=lane, due=due, dispatched=dispatched)


BROKEN = [
    ("I2", "DELETE FROM job WHERE id = 'answered'"),
    (
        "I2",
        (
            "INSERT INTO job (id, business_id, kind, payload, queue, urgency)"
            " SELECT 'twice', 6, kind, payload, queue, urgency FROM job WHERE id = 'answered'"
        ),
    ),
    ("I3", f"UPDATE job SET lease_until = {LONG_AGO} WHERE id = 'running'"),
    ("I3", waiting(dispatched=LONG_AGO)),
    ("I3", waiting()),
    (
        "I3 planned",
        (
            "UPDATE job SET state = 'failed', finished_at = now() - interval '61 s' WHERE id = 'answered';"
            "UPDATE job_attempt SET outcome = 'failed' WHERE job_id = 'answered';"
            "UPDATE effect SET state = 'planned', provider_ref = NULL WHERE key = 'reply:1';"
            "UPDATE message SET status = 'queued' WHERE effect_key = 'reply:1'"
        ),
    ),
    (
        "I4 a message",
        (
            "UPDATE job SET finished_at = now() - interval '61 s' WHERE id = 'answered';"
            "UPDATE effect SET sending_at = now() - interval '61 s' WHERE key = 'reply:1';"
            "UPDATE message SET status = 'queued' WHERE effect_key = 'reply:1'"
        ),
    ),
    ("I4 sent,", "UPDATE effect SET provider_ref = NULL WHERE key = 'reply:1'"),
    ("I4 still sending", "UPDATE effect SET token = 0 WHERE key = 'reply:2'"),
    ("I4 still sending", "UPDATE effect SET job_id = 'gone' WHERE key = 'reply:2'"),
    (
        "I5 an answer",
        (
            "UPDATE message SET answers_message_id = NULL;"
            "UPDATE message SET answers_message_id = CASE effect_key"
            " WHEN 'reply:1' THEN '00000000-0000-0000-0000-0000000000a2'::uuid"
            " ELSE '00000000-0000-0000-0000-0000000000a1' END WHERE direction = 'out'"
        ),
    ),
    (
        "I5 two jobs",
        (
            "DROP INDEX job_lane_running;"
            "INSERT INTO job (id, business_id, kind, queue, urgency, lane, state, token, lease_until)"
            " SELECT 'beside', 6, kind, queue, urgency, lane, state, token, lease_until FROM job"
            " WHERE id = 'running';"
            "INSERT INTO job_attempt (job_id, token, worker) VALUES ('beside', 1, 'w')"
        ),
    ),
    ("I6", "UPDATE schedule_slot SET job_id = NULL"),
    ("I6", "UPDATE schedule_slot SET reason = NULL"),
    ("I6", "UPDATE schedule_slot SET job_id = 'another' WHERE job_id IS NOT NULL"),
    ("I6", "UPDATE schedule SET watermark = watermark - interval '1 s'"),
    ("I7", """UPDATE job SET progress = '{"total": 10, "done": 4, "planned": 5}' WHERE id = 'running'"""),
    ("I7", """UPDATE job SET progress = '{"total": 10}' WHERE id = 'running'"""),
    ("I8", "UPDATE job_attempt SET token = 2 WHERE job_id = 'answered'"),
    (
        "I8",
        (
            "UPDATE job SET token = 2 WHERE id = 'answered';"
            "INSERT INTO job_attempt (job_id, token, worker, ended_at, outcome)"
            " VALUES ('answered', 2, 'w', now(), 'done')"
        ),
    ),
    (
        "I9",
        waiting(queue="default", urgency=0, due=90)
        + "; UPDATE job SET business_id = 9, started_at = now() WHERE id = 'running'",
    ),
    ("I10 a change", "DELETE FROM job_attempt WHERE job_id = 'answered'"),
    ("I10 an ended", "UPDATE job_attempt SET outcome = NULL WHERE job_id = 'answered'"),
    ("I10 an ended", "UPDATE job_attempt SET outcome = 'lost' WHERE job_id = 'running'"),
    (
        "I10 a job that ended",
        (
            "INSERT INTO job (id, kind, queue, urgency, state)"
            " VALUES ('never', 'push_send_job', 'low', 2, 'expired')"
        ),
    ),
]


@pytest.fixture
async def day(servers, worker_number):
    """A database of a day like any other, that may be broken in any way; its superuser's connection."""
    url = await clone_template(servers, f"day_{worker_number}")
    connection = await asyncpg.connect(url)
    await connection.execute(GOOD_DAY)
    yield connection, url
    await connection.close()


@pytest.mark.parametrize(("promise", "deed"), BROKEN)
async def test_a_broken_promise_is_one_line(day, promise, deed):
    look, url = day
    assert await violations(url) == []

    await look.execute(deed)

    [line] = await violations(url)
    assert line.startswith(promise)


def test_every_promise_of_the_database_is_broken_here():
    assert [told for told in IN_DATABASE if not any(told.startswith(one) for one, _ in BROKEN)] == []


@pytest.mark.parametrize(
    "deed",
    [
        waiting(due=-3600),
        waiting(dispatched="now()"),
        # Behind another of its lane, paused, or in a line that moves.
        waiting(lane="'l2'"),
        waiting()
        + "; INSERT INTO job_pause (sort, name, reason, paused_by) VALUES ('queue', 'low', '', 'Dana')",
        waiting(queue="default"),
    ],
)
async def test_a_job_that_waits_for_its_turn_breaks_no_promise(day, deed):
    look, url = day

    await look.execute(deed)

    assert await violations(url) == []


async def test_words_and_numbers_of_customers_are_found_in_redis_and_in_the_log(day, redis, tmp_path):
    client, redis_url = redis
    log = tmp_path / "log.txt"
    log.write_text("event_stored id=7\n", encoding="utf-8")
    assert await violations(day[1], redis_url=redis_url, log_file=log) == []

    await client.set("rq:job:1", f"a push to {PHONE}")
    await client.hset("rq:job:2", "data", f"say {WORDS}")
    await client.set(f"chat:{PHONE}", "1")
    log.write_text(f"event_stored id=7\nfailed: {WORDS}\nfailed: +{PHONE}\n", encoding="utf-8")

    found = await violations(day[1], redis_url=redis_url, log_file=log)
    assert len(found) == 5
    assert {line.partition(" ")[0] for line in found} == {"I11"}
    assert not [line for line in found if WORDS in line]


@pytest.fixture
async def redis(redis_url):
    from redis.asyncio import Redis

    async with Redis.from_url(redis_url) as client:
        yield client, redis_url


@pytest.fixture
async def bridge():
    async with outside_world(Receiver()) as world:
        yield world


@pytest.fixture
async def sent(day, bridge):
    """The same day, whose two sends the bridge has seen."""
    await bridge.send(WORDS, idempotencyKey="reply:1")
    await bridge.send(WORDS, idempotencyKey="reply:2")
    return day


async def test_what_the_ledger_and_the_provider_agree_on_breaks_no_promise(sent, bridge):
    await bridge.behave(status=429, times=1)
    await bridge.send(WORDS, idempotencyKey="reply:1")

    assert await violations(sent[1], simulator_url=bridge.url) == []


@pytest.mark.parametrize("answer", [{}, {"drop_answer": True}])
async def test_a_second_send_of_one_effect_is_one_line(sent, bridge, answer):
    await bridge.behave(times=1, **answer)
    await send_without_answer(bridge, "reply:1")

    [line] = await violations(sent[1], simulator_url=bridge.url)
    assert line == "I1 sent 2 times: reply:1"


@pytest.mark.parametrize("state", ["planned", "failed", "not_sent", "abandoned"])
async def test_a_send_that_the_ledger_denies_is_one_line(sent, bridge, state):
    await sent[0].execute("UPDATE effect SET state = $1 WHERE key = 'reply:1'", state)

    [line] = await violations(sent[1], simulator_url=bridge.url)
    assert line == f"I4 the provider took it, the ledger says {state}: reply:1"


@pytest.mark.parametrize("state", ["sent", "confirmed"])
async def test_a_send_that_the_provider_never_saw_is_one_line(sent, bridge, state):
    await sent[0].execute(
        "INSERT INTO effect (key, business_id, provider, state, provider_ref)"
        " VALUES ('reply:3', 6, 'whatsapp_bridge', $1, 'P3')",
        state,
    )

    [line] = await violations(sent[1], simulator_url=bridge.url)
    assert line == "I4 the ledger says sent, the provider never saw it: reply:3"


@pytest.mark.parametrize(("copies", "lines"), [(1, []), (2, ["I1 sent 2 times: letter:1"])])
async def test_what_went_out_through_meta_is_counted_alike(sent, bridge, copies, lines):
    await bridge.connect_cloud()
    await sent[0].execute(
        "INSERT INTO effect (key, business_id, provider, state, provider_ref)"
        " VALUES ('letter:1', 6, 'whatsapp_cloud', 'sent', 'P3')"
    )
    for _ in range(copies):
        await bridge.send_cloud(type="text", text={"body": WORDS}, biz_opaque_callback_data="letter:1")

    assert await violations(sent[1], simulator_url=bridge.url) == lines


async def send_without_answer(bridge, key):
    from contextlib import suppress

    from httpx import TransportError

    with suppress(TransportError):
        await bridge.send(WORDS, idempotencyKey=key)
