"""A worker's processes: what a job does to its own costs nobody else, and none outlives its supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import httpx
import psutil
import pytest
import redis as sync_redis
from rq.command import send_stop_job_command
from rq.registry import StartedJobRegistry
from rq.worker import Worker

from server import tasks
from tests.engine import eventually
from tests.ports import new_port
from tests.processes import is_alive
from tests.worker.rough_jobs import Rough, RoughAlone, rough_kinds


class Supervised:
    """A worker as a real process, with its health page."""

    def __init__(self, popen: subprocess.Popen[bytes], port: int) -> None:
        self.popen = popen
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5)

    @property
    def processes(self) -> list[int]:
        """Return the pids of what it forked."""
        return [child.pid for child in psutil.Process(self.popen.pid).children()]

    async def is_ready(self) -> bool:
        """Tell whether it takes jobs."""
        try:
            return (await self.http.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def supervised(engine, database_url, redis_url, tmp_path):
    """Start workers that know the rough kinds, with a sweeper beside them."""

    @asynccontextmanager
    async def start(**environment):
        port = new_port()
        settings = {
            "SERVICE_ROLE": "worker",
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "SECRET_KEY": "k" * 40,
            "HEALTH_PORT": str(port),
            "WORKER_PROCESSES": "1",
            "JOB_LEASE_S": "6",
            "DRAIN_GRACE_S": "1",
            # Named beforehand: the rough kinds import the metrics' library before the worker does.
            "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
        }
        popen = subprocess.Popen(  # noqa: ASYNC220 -- returns as soon as it is forked
            [sys.executable, "-m", "tests.worker.rough_jobs"],
            env=os.environ | settings | environment,
            start_new_session=True,
        )
        worker = Supervised(popen, port)
        sweeping = asyncio.create_task(sweep_on(engine))
        try:
            await eventually(worker.is_ready, within_s=30, what="a ready worker")
            yield worker
        finally:
            await tasks.end(sweeping)
            await worker.http.aclose()
            if popen.poll() is None:
                popen.kill()
            popen.wait()

    with rough_kinds():
        yield start


async def sweep_on(engine):
    while True:
        await engine.sweeper.sweep()
        await asyncio.sleep(0.2)


@pytest.mark.slow
@pytest.mark.fault("F5")
@pytest.mark.parametrize("deed", ["segfault", "exit", "kill", "from a task of its own"])
async def test_a_job_that_breaks_its_process_costs_only_itself_and_is_named(engine, supervised, deed, capfd):
    async with supervised() as worker:
        innocent = [await engine.ask(Rough("wait", number)) for number in range(5)]
        culprit = await engine.ask(Rough(deed))
        await engine.until_state(culprit, "quarantined", within_s=60)
        for one in innocent:
            await engine.until_state(one, "done", within_s=30)
        assert await worker.is_ready()

    rows = await engine.look.fetch("SELECT attempts, deaths FROM job WHERE id = ANY($1)", innocent)
    assert {tuple(row) for row in rows} == {(1, 0)}
    assert await engine.look.fetchval("SELECT deaths FROM job WHERE id = $1", culprit) == 3
    alarms = [
        line for line in capfd.readouterr().err.splitlines() if "job_killed_" in line or "_alone" in line
    ]
    assert [culprit in line for line in alarms] == [True] * 3
    assert ["quarantined=True" in line for line in alarms] == [False, False, True]


@pytest.mark.slow
@pytest.mark.fault("F32")
async def test_a_job_that_blocks_the_loop_runs_alone_in_the_end(engine, supervised):
    async with supervised(JOB_LEASE_S="4") as worker:
        innocent = [await engine.ask(Rough("wait", number)) for number in range(3)]
        culprit = await engine.ask(Rough("block"))

        async def died_twice():
            return await engine.look.fetchval("SELECT deaths FROM job WHERE id = $1", culprit) == 2

        await eventually(died_twice, within_s=30)
        for one in innocent:
            await engine.until_state(one, "done", within_s=20)
        await engine.until_state(culprit, "running")
        await engine.until_state(await engine.ask(Rough("nothing")), "done")
        assert await worker.is_ready()


@pytest.mark.slow
@pytest.mark.fault("F5")
@pytest.mark.parametrize("deed", ["segfault", "exit", "kill"])
async def test_a_job_that_dies_alone_takes_no_process_of_others_with_it(engine, supervised, deed):
    async with supervised() as worker:
        [process] = worker.processes
        neighbour = await engine.ask(Rough("wait"))
        culprit = await engine.ask(RoughAlone(deed))
        await engine.until_state(culprit, "quarantined", within_s=40)
        await engine.until_state(neighbour, "done")
        assert worker.processes == [process]


async def test_a_job_that_blocks_alone_is_killed_at_its_time_and_tried_again(engine, supervised):
    async with supervised() as worker:
        [process] = worker.processes
        culprit = await engine.ask(RoughAlone("block"))

        async def tried():
            return await engine.look.fetchval(
                "SELECT outcome FROM job_attempt WHERE job_id = $1 AND token = 1", culprit
            )

        await eventually(tried, within_s=40)
        assert await tried() == "retry"
        await eventually(lambda: worker.processes == [process])


async def test_a_job_alone_ends_like_any_other(engine, supervised):
    async with supervised():
        done = [await engine.ask(RoughAlone("nothing", number)) for number in range(6)]
        for one in done:
            await engine.until_state(one, "done", within_s=20)


@pytest.mark.slow
@pytest.mark.fault("F5")
async def test_memory_that_is_not_there_fails_the_job_that_asks_for_it(engine, supervised):
    async with supervised(WORKER_MEMORY_MB="256"):
        neighbour = await engine.ask(Rough("wait"))
        hungry = await engine.ask(Rough("eat memory"))

        async def refused():
            return await engine.look.fetchval("SELECT reason FROM job WHERE id = $1", hungry)

        await eventually(refused, within_s=30)
        assert await refused() == "MemoryError"
        await engine.until_state(neighbour, "done")


@pytest.mark.fault("F2")
async def test_no_process_outlives_its_supervisor(engine, supervised):
    async with supervised(WORKER_PROCESSES="2") as worker:
        await engine.ask(RoughAlone("wait long"))
        await eventually(lambda: len(worker.processes) == 3, what="two processes and one job alone")
        pids = worker.processes
        worker.popen.kill()
        await eventually(lambda: not any(is_alive(pid) for pid in pids), within_s=2)


async def test_a_killed_process_is_replaced_and_its_jobs_run_again_at_once(engine, supervised):
    async with supervised(JOB_LEASE_S="60") as worker:
        jobs = [await engine.ask(Rough("wait", number)) for number in range(3)]

        async def all_running():
            return await engine.look.fetchval("SELECT count(*) FROM job WHERE state = 'running'") == 3

        await eventually(all_running)
        [process] = worker.processes
        os.kill(process, signal.SIGKILL)
        for one in jobs:
            # Long before their lease would have run out.
            await engine.until_state(one, "done", within_s=20)
        assert worker.processes != [process]


@pytest.mark.slow
@pytest.mark.fault("F32")
async def test_a_process_that_stands_still_is_replaced_and_not_reported_healthy(engine, supervised):
    async with supervised(JOB_LEASE_S="10") as worker:
        [process] = worker.processes
        os.kill(process, signal.SIGSTOP)

        async def is_not_ready():
            return not await worker.is_ready()

        await eventually(is_not_ready, within_s=20, what="a worker that says it is not ready")
        await eventually(lambda: not is_alive(process), within_s=20)
        await eventually(worker.is_ready, within_s=20)
        done = await engine.ask(Rough("nothing"))
        await engine.until_state(done, "done")


async def test_a_worker_that_was_frozen_whole_goes_on_with_the_same_processes(engine, supervised):
    async with supervised() as worker:
        [process] = worker.processes
        job_id = await engine.ask(Rough("wait long"))
        await engine.until_state(job_id, "running")
        for pid in (worker.popen.pid, process):
            os.kill(pid, signal.SIGSTOP)
        ran_out = "SELECT outcome = 'lost' FROM job_attempt WHERE job_id = $1"
        await eventually(lambda: engine.look.fetchval(ran_out, job_id), within_s=20, what="a lost lease")
        os.kill(worker.popen.pid, signal.SIGCONT)
        # The supervisor looks several times before the process that it has to spare wakes up.
        await asyncio.sleep(1)
        os.kill(process, signal.SIGCONT)

        await eventually(worker.is_ready, within_s=20, what="a worker that is ready again")
        assert worker.processes == [process]
        deaths = "SELECT deaths = 0 FROM job WHERE id = $1"
        await eventually(lambda: engine.look.fetchval(deaths, job_id), what="a death that is taken back")


async def test_processes_are_replaced_by_age_and_lose_nothing(engine, supervised):
    async with supervised(WORKER_RECYCLE_S="1", DRAIN_GRACE_S="10") as worker:
        first = worker.processes
        jobs = [await engine.ask(Rough("wait", number)) for number in range(20)]
        for one in jobs:
            await engine.until_state(one, "done", within_s=30)
        await eventually(lambda: not set(first) & set(worker.processes))

    assert {row["attempts"] for row in await engine.look.fetch("SELECT attempts FROM job")} == {1}


@pytest.mark.parametrize("payload", [Rough("wait long"), RoughAlone("block")])
async def test_rqs_stop_job_command_ends_a_running_job_within_two_seconds(
    engine, supervised, redis_url, payload
):
    with sync_redis.Redis.from_url(redis_url) as rq:
        async with supervised():
            job_id = await engine.ask(payload)
            started = StartedJobRegistry("default", connection=rq)
            await eventually(lambda: started.get_job_ids() == [f"{job_id}-1"], what="RQ's view of it")

            async def commanded():
                # A command is not kept: one that comes before the worker listens is said again.
                if await engine.state(job_id) == "running":
                    send_stop_job_command(rq, f"{job_id}-1")
                return await engine.state(job_id) == "cancelled"

            await eventually(commanded, within_s=2)


@pytest.mark.fault("F28")
async def test_a_stopped_worker_gives_its_jobs_back_and_leaves_cleanly(engine, supervised, redis_url):
    with sync_redis.Redis.from_url(redis_url) as rq:
        async with supervised(WORKER_PROCESSES="2") as worker:
            job_id = await engine.ask(Rough("wait long"))
            await engine.until_state(job_id, "running")
            worker.popen.send_signal(signal.SIGTERM)
            await eventually(lambda: worker.popen.poll() is not None, within_s=20)

            assert worker.popen.returncode == 0
            assert Worker.all(connection=rq) == []
    row = await engine.look.fetchrow("SELECT state, attempts FROM job WHERE id = $1", job_id)
    assert tuple(row) == ("ready", 0)


async def test_a_stop_while_some_processes_still_start_leaves_cleanly(supervised):
    # It is ready as soon as one of them is.
    async with supervised(WORKER_PROCESSES="6") as worker:
        worker.popen.send_signal(signal.SIGTERM)
        await eventually(lambda: worker.popen.poll() is not None, within_s=20)

        assert worker.popen.returncode == 0


async def test_ctrl_c_lets_running_jobs_end_in_their_grace(engine, supervised):
    async with supervised(DRAIN_GRACE_S="10") as worker:
        job_id = await engine.ask(Rough("wait"))
        await engine.until_state(job_id, "running")
        os.killpg(worker.popen.pid, signal.SIGINT)
        await eventually(lambda: worker.popen.poll() is not None, within_s=20)

    assert await engine.state(job_id) == "done"


async def test_metrics_add_up_over_processes_and_their_replacements(engine, supervised):
    async with supervised(WORKER_PROCESSES="2", WORKER_RECYCLE_S="1") as worker:
        for number in range(10):
            await engine.until_state(await engine.ask(Rough("nothing", number)), "done")
        told = (await worker.http.get("/metrics")).text

    assert 'prosaas_jobs_ended_total{kind="rough_job",outcome="done"} 10.0' in told
