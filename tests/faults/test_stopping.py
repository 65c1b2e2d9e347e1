"""F28: workers told to stop, once and twice, while jobs of every kind are in their handlers."""

from __future__ import annotations

import asyncio
import signal
import time
from functools import partial

import pytest

from server.config import Settings
from server.queue import catalog
from server.queue.kinds import KIND_OF, KINDS
from tests.engine import BUSINESS, eventually
from tests.faults import held, held_assistant, held_channels, held_files, held_leads, held_webhooks
from tests.faults.held import ask, holding, until_caught
from tests.faults.own_kinds import ROWS, Import, ImportAlone, own_kinds

WORKS = {
    **held.WORKS,
    **held_assistant.WORKS,
    **held_channels.WORKS,
    **held_files.WORKS,
    **held_leads.WORKS,
    **held_webhooks.WORKS,
}
# What a worker may take beyond its grace, to write down how its jobs ended.
LAST_WORDS_S = 4.0
PROCESSES = Settings.model_fields["worker_processes"].default
# Where an import is kept; the rows before it are imported.
KEPT_ROW = 3
STANDS = "SELECT state || ' ' || attempts FROM job WHERE id = $1"
ENDED = "SELECT array_agg(outcome ORDER BY token) FROM job_attempt WHERE job_id = $1"


@pytest.mark.fault("F28")
def test_a_stop_is_tried_with_every_kind_of_the_catalogue():
    kinds = {kind.name for kind in KINDS.values() if kind.payload_type.__module__ == catalog.__name__}

    assert set(WORKS) == kinds, "tests/faults/held*.py do not say how a job of this kind is caught"


@pytest.fixture
async def prepared(stopped):
    """An installation in which there is work of every kind, and no worker any more."""
    await stopped.start_all("simulator", "api", "scheduler")
    for work in WORKS.values():
        await work.before(stopped)
    await stopped.start("worker")
    for work in WORKS.values():
        await work.prepare(stopped)
    await stopped.until_quiet()
    await stopped.kill("worker")
    # What the timetable asks for meanwhile finds nothing that is old yet.
    for work in WORKS.values():
        await work.after(stopped)
    return stopped


async def stop_once(house):
    told_at = time.monotonic()
    code = await house.stop("worker")
    return code, time.monotonic() - told_at


async def stop_twice(house):
    house.send("worker", signal.SIGTERM)
    await eventually(lambda: drains(house), what="a worker that drains")
    return await stop_once(house)


def drains(house):
    # Each of its processes says so in a line of its own; those of isolated jobs are ended by them.
    return house.log.read_text(encoding="utf-8").count("worker_draining") == PROCESSES


@pytest.mark.slow
@pytest.mark.fault("F28")
@pytest.mark.parametrize(
    ("stop", "grace_s", "within_s", "code"), [(stop_once, 1, 1, 0), (stop_twice, 30, 0, 1)]
)
async def test_a_worker_stopped_in_its_handlers_gives_every_job_back_and_another_ends_it(
    prepared, stop, grace_s, within_s, code
):
    await prepared.start("worker", DRAIN_GRACE_S=str(grace_s))
    calls = len(await prepared.sends())
    locks = dict.fromkeys(work.lock for work in WORKS.values())

    async with holding(prepared, list(locks)) as holder:
        await asyncio.gather(*(work.ask(prepared) for work in WORKS.values()))
        caught = await until_caught(prepared, WORKS, holder)
        ended, took_s = await stop(prepared)

        assert (ended, took_s < within_s + LAST_WORDS_S) == (code, True), took_s
        for kind, job_id in caught.items():
            assert (kind, await prepared.value(STANDS, job_id)) == (kind, "ready 0")
            assert (kind, await prepared.value(WORKS[kind].half)) == (kind, True)

    await prepared.start("worker")
    for kind, job_id in caught.items():
        await eventually(partial(is_done, prepared, job_id), within_s=30, what=f"the end of {kind}")
        assert (kind, await prepared.value(WORKS[kind].done)) == (kind, True)
        assert (kind, await prepared.value(ENDED, job_id)) == (kind, ["released", "done"])
    await prepared.until_quiet()
    assert len(await prepared.sends()) == calls + sum(work.calls for work in WORKS.values())


async def is_done(house, job_id):
    return await house.value(STANDS, job_id) == "done 1"


@pytest.mark.slow
@pytest.mark.fault("F28")
@pytest.mark.parametrize("payload", [Import(1), ImportAlone(1)])
async def test_an_import_stopped_in_its_middle_goes_on_at_its_checkpoint(stopped, tmp_path, payload):
    await stopped.value("CREATE TABLE imported (row int, token int)")
    await stopped.value("GRANT INSERT ON imported TO prosaas_worker")
    stopped.instead = dict.fromkeys(("worker", "scheduler"), "tests.faults.own_kinds")
    await stopped.start_all("simulator", "scheduler")
    own = {"DRAIN_GRACE_S": "1", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    await stopped.start("worker", **own)

    async with holding(stopped, [f"SELECT pg_advisory_xact_lock({KEPT_ROW})"]) as holder:
        with own_kinds():
            [job_id] = await ask(stopped, payload, business_id=BUSINESS)
            await until_caught(stopped, {KIND_OF[type(payload)].name}, holder)
        code, took_s = await stop_once(stopped)

        assert (code, took_s < 1 + LAST_WORDS_S) == (0, True), took_s
        assert await stopped.value(STANDS, job_id) == "ready 0"

    await stopped.start("worker", **own)
    await eventually(lambda: is_done(stopped, job_id), within_s=30, what="the import's end")
    first, second = [1] * KEPT_ROW, [2] * (ROWS - KEPT_ROW)
    assert await stopped.value("SELECT array_agg(row ORDER BY row) FROM imported") == list(range(ROWS))
    assert await stopped.value("SELECT array_agg(token ORDER BY row) FROM imported") == first + second
