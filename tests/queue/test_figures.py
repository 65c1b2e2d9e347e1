"""The ledger in figures: true of the rows, alike in every scheduler, and no dearer for what is done."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from server.clock import monotonic_s
from server.db.session import Database
from server.queue import figures
from server.queue.figures import Figures
from server.queue.operators import Operators
from tests.engine import eventually, job_kind


@dataclass(frozen=True)
class Chore:
    number: int


async def nothing(_run, _payload):
    return


@pytest.fixture
def chores():
    with job_kind(Chore, nothing):
        yield


@pytest.fixture(autouse=True)
def always_read_anew(monkeypatch):
    monkeypatch.setattr(figures, "FRESH_S", 0.0)


async def shown(database: Database) -> CollectorRegistry:
    """Return what a scheduler shows when it is asked now."""
    registry = CollectorRegistry()
    collector = Figures(database)
    await collector.refresh()
    registry.register(collector)
    return registry


PLACE = {"kind": "chore_job", "queue": "default", "urgency": "reply"}


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """Return a figure; -1 where it is not shown."""
    found = registry.get_sample_value(f"prosaas_{name}", labels)
    return -1 if found is None else found


def jobs(registry, state):
    return value(registry, "ledger_jobs", **PLACE, state=state)


def oldest(registry):
    return value(registry, "ledger_oldest_ready_seconds", **PLACE)


async def put(engine, job_id, state="ready", due="0 s", **columns):
    names = ", ".join(["id", "business_id", "kind", "queue", "urgency", "state", "due_at", *columns])
    await engine.look.execute(
        f"INSERT INTO job ({names}) VALUES ($1, 6, 'chore_job', 'default', 0, $2, now() + $3::text::interval"
        + "".join(f", ${place}" for place in range(4, 4 + len(columns)))
        + ")",
        *(job_id, state, due, *columns.values()),
    )


async def test_an_empty_ledger_shows_zeros_and_not_nothing(engine, chores):
    registry = await shown(engine.scheduler)

    assert [jobs(registry, state) for state in figures.STATES] == [0] * 6
    assert oldest(registry) == 0
    assert value(registry, "ledger_pauses", sort="business") == 0
    assert value(registry, "ledger_lanes_blocked") == 0
    assert 0 <= value(registry, "ledger_read_age_seconds") < 5


async def test_jobs_are_counted_by_what_they_wait_for(engine, chores):
    await put(engine, "chore_job-6-1", due="-90 s")
    await put(engine, "chore_job-6-2", due="-30 s")
    await engine.look.execute("UPDATE job SET dispatched_at = now() WHERE id = 'chore_job-6-2'")
    await put(engine, "chore_job-6-3", due="1 h")
    await put(engine, "chore_job-6-4", "running")
    await engine.look.execute("UPDATE job SET lease_until = now() - interval '1 s' WHERE state = 'running'")
    await put(engine, "chore_job-6-5", "failed")
    await put(engine, "chore_job-6-6", "quarantined")
    await put(engine, "chore_job-6-7", "done")
    registry = await shown(engine.scheduler)

    counted = {state: jobs(registry, state) for state in figures.STATES}
    assert counted == {"ready": 2, "later": 1, "paused": 0, "running": 1, "failed": 1, "quarantined": 1}
    assert 90 <= oldest(registry) < 120
    assert value(registry, "ledger_leases_overdue") == 1


@pytest.mark.parametrize(("sort", "name"), [("kind", "chore_job"), ("queue", "default"), ("business", "6")])
async def test_what_is_paused_is_counted_apart_and_makes_nothing_old(engine, chores, sort, name):
    await put(engine, "chore_job-6-1", due="-1 h")
    await Operators(engine.scheduler, engine.redis, actor="dana").pause(sort, name, reason="deploy")
    registry = await shown(engine.scheduler)

    assert (jobs(registry, "ready"), jobs(registry, "paused"), oldest(registry)) == (0, 1, 0)
    assert value(registry, "ledger_pauses", sort=sort) == 1
    assert value(registry, "ledger_oldest_pause_seconds") >= 0


async def test_unknown_effects_are_counted_with_the_age_of_the_oldest(engine, chores):
    for number, age in enumerate(("20 min", "1 min")):
        await engine.look.execute(
            "INSERT INTO effect (key, business_id, provider, state, sending_at)"
            " VALUES ($1, 6, 'whatsapp_bridge', 'unknown', now() - $2::text::interval)",
            *(f"reply {number}", age),
        )
    registry = await shown(engine.scheduler)

    labels = {"provider": "whatsapp_bridge", "state": "unknown"}
    assert value(registry, "ledger_effects", **labels) == 2
    assert 1200 <= value(registry, "ledger_oldest_effect_seconds", **labels) < 1260


async def test_a_lane_whose_first_job_waits_for_its_next_try_is_blocked(engine, chores):
    await put(engine, "chore_job-6-1", due="1 min", lane="with somebody behind")
    for number in (2, 3):
        await put(engine, f"chore_job-6-{number}", due="-1 s", lane="with somebody behind")
    await put(engine, "chore_job-6-4", due="1 min", lane="nobody behind")
    await put(engine, "chore_job-6-5", due="-1 s", lane="free")
    registry = await shown(engine.scheduler)

    assert value(registry, "ledger_lanes_blocked") == 1


async def test_a_kind_of_another_release_is_told_as_other_and_waits_for_an_upgrade(engine, chores):
    await engine.look.execute(
        "INSERT INTO job (id, kind, queue, urgency, due_at, reason)"
        " SELECT 'new_' || n || '_job-all-1', 'new_' || n || '_job', 'new', 9, now() + interval '1 min',"
        " 'waits for a worker that knows this kind' FROM generate_series(1, 50) AS n"
    )
    registry = await shown(engine.scheduler)

    labels = {"kind": "other", "queue": "other", "urgency": "other", "state": "later"}
    assert value(registry, "ledger_jobs", **labels) == 50
    assert value(registry, "ledger_waiting_for_upgrade") == 50


async def test_a_thousand_scrapes_read_the_ledger_once(engine, chores, monkeypatch):
    monkeypatch.setattr(figures, "FRESH_S", 60.0)
    collector = Figures(engine.scheduler)
    await collector.refresh()
    await put(engine, "chore_job-6-1")
    for _ in range(1000):
        await collector.refresh()
    registry = CollectorRegistry()
    registry.register(collector)

    assert jobs(registry, "ready") == 0


async def test_what_was_true_too_long_ago_is_not_shown(engine, chores, monkeypatch):
    collector = Figures(engine.scheduler)
    await collector.refresh()
    registry = CollectorRegistry()
    registry.register(collector)
    assert jobs(registry, "ready") == 0

    later = monotonic_s() + 61
    monkeypatch.setattr(figures, "monotonic_s", lambda: later)
    assert jobs(registry, "ready") == -1
    assert value(registry, "ledger_read_age_seconds") >= 61


async def test_without_postgresql_a_scrape_is_answered_all_the_same(free_port):
    database = Database(f"postgresql://nobody@127.0.0.1:{free_port}/nothing", role=None)
    registry = await shown(database)
    await database.aclose()

    assert list(registry.collect()) == []


async def test_the_engine_counts_what_it_puts_right(engine, chores):
    def counted(name, **labels):
        return max(value(REGISTRY, name, **labels), 0)

    kind = {"kind": "chore_job"}
    names = ("leases_ran_out_total", "jobs_quarantined_total", "dispatches_lost_total")
    before = [counted(name, **kind) for name in names]
    orphaned = counted("effects_orphaned_total")
    await put(engine, "chore_job-6-1", "running", deaths=2, token=1)
    await engine.look.execute("UPDATE job SET lease_until = now() - interval '1 s'")
    await put(engine, "chore_job-6-2")
    await engine.look.execute(
        "UPDATE job SET dispatched_at = now() - interval '1 min' WHERE id = 'chore_job-6-2'"
    )
    await engine.look.execute(
        "INSERT INTO effect (key, business_id, provider, state, job_id, token, sending_at)"
        " VALUES ('reply 1', 6, 'whatsapp_bridge', 'sending', 'chore_job-6-1', 1, now())"
    )
    await engine.sweeper.sweep()

    assert [counted(name, **kind) - was for name, was in zip(names, before, strict=True)] == [1, 1, 1]
    assert counted("effects_orphaned_total") - orphaned == 1


async def test_a_write_of_a_run_that_lost_its_job_is_counted(engine):
    async def loses_its_job(run, _payload):
        await engine.look.execute("UPDATE job SET token = token + 1")
        async with run.step() as session:
            session.outbox.append("never announced")

    def refused():
        return max(value(REGISTRY, "fenced_writes_total", write="step"), 0)

    before = refused()
    with job_kind(Chore, loses_its_job):
        await engine.ask(Chore(1))
        async with engine.working():
            await eventually(lambda: refused() == before + 1)


async def test_how_long_a_job_waited_is_measured_from_when_it_was_due(engine, chores):
    def waited(what):
        return max(value(REGISTRY, f"job_wait_seconds_{what}", kind="chore_job"), 0)

    count, total = waited("count"), waited("sum")
    job_id = await engine.ask(Chore(1))
    await engine.look.execute("UPDATE job SET due_at = now() - interval '20 s' WHERE id = $1", job_id)
    async with engine.working():
        await engine.until_state(job_id, "done")

    assert waited("count") == count + 1
    assert 20 <= waited("sum") - total < 30


async def test_a_pause_that_names_no_business_breaks_no_figure(engine, chores):
    await engine.look.execute(
        "INSERT INTO job_pause (sort, name, reason, paused_by) VALUES"
        " ('business', '9223372036854775808', 'x', 'op'), ('business', '\u0663', 'x', 'op')"
    )

    assert value(await shown(engine.scheduler), "ledger_pauses", sort="business") == 2
