"""Every process checks its right at the start, and refuses with a sentence."""

from __future__ import annotations

import socket

import pytest
from redis.asyncio import Redis

from server.roles import Role
from tests.architecture.starting import addresses, command, refused, started

FIVE = "api, calls, worker, scheduler, all"
FOUR = (Role.API, Role.CALLS, Role.WORKER, Role.SCHEDULER)
COMPLETE = {
    "DATABASE_URL": "postgresql://127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1",
    "SECRET_KEY": "k" * 40,
}


@pytest.mark.parametrize(
    ("module", "role"),
    [
        ("server", ""),
        ("server", "web"),
        ("server", "API"),
        ("server.worker", ""),
        ("server.scheduler.run_scheduler", "cron"),
    ],
)
def test_a_missing_or_unknown_role_is_refused_with_a_sentence_that_lists_the_five(module, role):
    answer = command(module, SERVICE_ROLE=role, **COMPLETE)

    assert answer.returncode == 2
    assert FIVE in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "role", "entitled"),
    [
        ("server.worker", "api", "worker"),
        ("server.worker", "scheduler", "worker"),
        ("server.worker", "all", "worker"),
        ("server.scheduler.run_scheduler", "worker", "scheduler"),
        ("server.scheduler.run_scheduler", "calls", "scheduler"),
    ],
)
def test_the_work_of_another_role_is_refused(module, role, entitled):
    answer = command(module, SERVICE_ROLE=role, **COMPLETE)

    assert answer.returncode == 2
    assert answer.stderr.startswith(f"SERVICE_ROLE={role} may not ")
    assert f"SERVICE_ROLE={entitled} (python -m {module})" in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_missing_setting_is_named_with_what_it_is():
    answer = command(
        "server", SERVICE_ROLE="api", DATABASE_URL=COMPLETE["DATABASE_URL"], SECRET_KEY="tooshort"
    )

    assert answer.returncode == 2
    assert "REDIS_URL is not set: " in answer.stderr
    assert "SECRET_KEY is not valid: " in answer.stderr
    assert "tooshort" not in answer.stderr


@pytest.mark.fault("F9")
@pytest.mark.parametrize("role", FOUR)
async def test_a_redis_that_evicts_is_refused_with_the_reason(own_valkey, database_url, free_port, role):
    async with Redis.from_url(own_valkey.url()) as redis:
        await redis.config_set("maxmemory-policy", "allkeys-lru")

    answer = refused(role, addresses(database_url, own_valkey.url(), free_port))

    assert answer.returncode == 2
    assert "maxmemory-policy allkeys-lru" in answer.stderr
    assert "set maxmemory-policy to noeviction" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("role", FOUR)
def test_a_taken_port_is_refused_with_the_setting_to_change(database_url, redis_url, free_port, role):
    with socket.create_server(("127.0.0.1", free_port)):
        answer = refused(role, addresses(database_url, redis_url, free_port))

    assert answer.returncode == 2
    setting = "PORT" if role in {Role.API, Role.CALLS} else "HEALTH_PORT"
    assert answer.stderr.startswith(
        f"{setting}={free_port} cannot be listened on at 127.0.0.1 (Address already"
    )
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("role", FOUR)
async def test_a_role_tells_how_it_is(database_url, redis_url, free_port, tmp_path, role):
    async with started(role, addresses(database_url, redis_url, free_port), tmp_path) as process:
        alive, ready, metrics = [await process.http.get(path) for path in ("/healthz", "/readyz", "/metrics")]
        said = process.said

    assert (alive.status_code, alive.json()["alive"]) == (200, True)
    # Who works in rounds says when the last one was.
    assert set(alive.json()) == ({"alive", "beat_age_s"} if role is Role.SCHEDULER else {"alive"})
    assert 0 <= alive.json().get("beat_age_s", 0) < 5
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "postgres": "ok", "redis": "ok"})
    assert metrics.status_code == 200
    assert "# TYPE process_cpu_seconds_total counter" in metrics.text
    assert "ENABLE_SCHEDULERS" not in said


@pytest.mark.parametrize("role", [Role.WORKER, Role.SCHEDULER])
async def test_worker_and_scheduler_serve_nothing_to_people(
    database_url, redis_url, free_port, tmp_path, role
):
    where = addresses(database_url, redis_url, free_port)
    async with started(role, where, tmp_path, ENABLE_SCHEDULERS="false") as process:
        answers = [await process.http.get(path) for path in ("/", "/login", "/inbox")]
        posted = await process.http.post("/webhook/whatsapp/incoming", json={})
        said = process.said

    assert {answer.status_code for answer in (*answers, posted)} == {404}
    assert "ENABLE_SCHEDULERS" not in said


@pytest.mark.parametrize("role", [Role.API, Role.SCHEDULER])
async def test_enable_schedulers_gets_one_warning_that_points_at_the_scheduler(
    database_url, redis_url, free_port, tmp_path, role
):
    where = addresses(database_url, redis_url, free_port)
    async with started(role, where, tmp_path, ENABLE_SCHEDULERS="true") as process:
        said = process.said

    assert said.count("ENABLE_SCHEDULERS") == 1
    assert "SERVICE_ROLE=scheduler" in said
