"""F11, F18, F24, F32: connections that are cut, that fall silent, that lose the answer to a commit."""

from __future__ import annotations

import pytest

from tests.engine import eventually
from tests.faults.proxy import proxied
from tests.processes import text_message

QUESTION = "כמה עולה פריצת דלת?"


@pytest.fixture
async def redis_line(stopped, socket_folder):
    async with proxied(socket_folder / "redis.sock") as proxy:
        yield proxy


@pytest.fixture
async def postgres_line(stopped, socket_folder):
    async with proxied(next(socket_folder.glob(".s.PGSQL.[0-9]*[0-9]"))) as proxy:
        yield proxy


def through_redis(proxy):
    return {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}


def through_postgres(stopped, proxy):
    from urllib.parse import urlsplit

    parts = urlsplit(stopped.addresses.database_url)
    return {"DATABASE_URL": f"postgresql://{parts.username}@127.0.0.1:{proxy.port}{parts.path}"}


async def ask(house, number, count=5):
    for one in range(count):
        answer = await house.post(text_message(QUESTION, phone=f"97250{number:03}{one:04}"))
        assert answer.status_code == 200


async def until_answered(house, count, within_s=60):
    await house.until_sent(count, within_s=within_s)
    await house.until_quiet(within_s=within_s)
    assert len(await house.sends()) == count


EVENTS = "SELECT count(*) FROM inbox_event WHERE event_id = 'UNHEARD1'"
# The first of what a worker commits, from a question to its sent answer.
COMMITS_OF_A_REPLY = 4
DEEDS = {
    "cut": lambda line: line.cut(),
    "silent": lambda line: line.silence(),
    "answers lost": lambda line: line.silence(asked=False),
    "questions lost": lambda line: line.silence(answered=False),
}


@pytest.mark.slow
@pytest.mark.fault("F18")
@pytest.mark.parametrize("deed", DEEDS)
async def test_a_worker_cut_off_from_redis_ends_what_it_has_and_takes_up_again(stopped, redis_line, deed):
    await stopped.start_all("simulator", "api", "scheduler")
    await stopped.start("worker", **through_redis(redis_line))
    await ask(stopped, 1)
    await stopped.until_sent(5)

    DEEDS[deed](redis_line)
    await ask(stopped, 2)
    await stopped.start("worker")
    await until_answered(stopped, 10)

    redis_line.heal()
    await stopped.kill("worker")
    await ask(stopped, 3)
    await until_answered(stopped, 15)


@pytest.mark.slow
@pytest.mark.fault("F18")
@pytest.mark.parametrize("deed", DEEDS)
async def test_a_worker_cut_off_from_postgresql_stops_sending_and_another_answers(
    stopped, postgres_line, deed
):
    await stopped.start_all("simulator", "api", "scheduler")
    await stopped.start("worker", **through_postgres(stopped, postgres_line))
    await ask(stopped, 1)
    await stopped.until_sent(5)

    DEEDS[deed](postgres_line)
    await ask(stopped, 2)
    await stopped.start("worker")
    await until_answered(stopped, 10)

    postgres_line.heal()
    await stopped.kill("worker")
    await ask(stopped, 3)
    await until_answered(stopped, 15)


@pytest.mark.slow
@pytest.mark.fault("F18")
@pytest.mark.parametrize("deed", ["cut", "silent"])
async def test_an_api_cut_off_from_redis_takes_messages_and_they_are_answered(stopped, redis_line, deed):
    await stopped.start_all("simulator", "worker", "scheduler")
    await stopped.start("api", **through_redis(redis_line))

    DEEDS[deed](redis_line)
    await ask(stopped, 1)

    await until_answered(stopped, 5)


@pytest.mark.slow
@pytest.mark.fault("F11")
@pytest.mark.fault("F24")
async def test_an_api_that_does_not_hear_of_its_commit_says_503_and_the_retry_is_absorbed(
    stopped, postgres_line
):
    await stopped.start_all("simulator", "worker", "scheduler")
    await stopped.start("api", **through_postgres(stopped, postgres_line))

    # One statement stores an event and commits it.
    postgres_line.lose_answer_to(b"UNHEARD1")
    first = await stopped.post(text_message(QUESTION, message_id="UNHEARD1"))
    kept = await stopped.value(EVENTS)
    again = await stopped.post(text_message(QUESTION, message_id="UNHEARD1"))

    assert (first.status_code, kept, again.status_code) == (503, 1, 200)
    await until_answered(stopped, 1)
    assert await stopped.value(EVENTS) == 1


@pytest.mark.slow
@pytest.mark.fault("F11")
@pytest.mark.parametrize("nth", range(1, COMMITS_OF_A_REPLY + 1))
async def test_a_worker_that_does_not_hear_of_a_commit_assumes_nothing(stopped, postgres_line, nth):
    # Nothing but the reply is to commit anything: no scheduler yet, and receipts come after it.
    await stopped.start_all("simulator", "api")
    await stopped.start("worker", WORKER_PROCESSES="1", **through_postgres(stopped, postgres_line))

    postgres_line.lose_answer_to(b"COMMIT", nth=nth)
    await ask(stopped, 1, count=1)
    await eventually(lambda: postgres_line.has_lost_answer, within_s=20, what="a commit unheard of")
    await stopped.start("scheduler")

    await stopped.until_quiet()
    assert len(await stopped.sends()) == 1
    assert await stopped.value("SELECT state IN ('sent', 'confirmed') FROM effect")
    assert await stopped.value("SELECT state FROM job WHERE urgency = 0 ORDER BY seq LIMIT 1") == "done"


@pytest.mark.slow
@pytest.mark.fault("F32")
async def test_a_worker_whose_connections_died_silently_is_not_reported_healthy_and_comes_back(
    stopped, postgres_line
):
    await stopped.start_all("simulator", "api", "scheduler")
    await stopped.start("worker", **through_postgres(stopped, postgres_line))

    postgres_line.silence()

    async def is_unready():
        import httpx

        port = stopped.addresses.ports["worker"]
        async with httpx.AsyncClient(timeout=5) as client:
            return (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 503

    await eventually(is_unready, within_s=60, what="a worker that says it is not ready")
    postgres_line.cut()
    postgres_line.heal()
    await ask(stopped, 1)
    await until_answered(stopped, 5)
