"""`prosaas jobs`, as an operator types it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass

import pytest

from tests.engine import Engine, eventually, open_engine

BOTH = ("--state", "failed", "--state", "quarantined")


@dataclass(frozen=True)
class Prosaas:
    """The verb, run against one database; call it with its words."""

    engine: Engine
    settings: dict[str, str]

    async def __call__(self, *words: str) -> tuple[int | None, str]:
        """Return the exit code and what it said."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server.stack.cli", "jobs", *words),
            env=self.settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        told, _ = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode, told.decode()


@pytest.fixture
async def prosaas(clean_database, redis_url):
    """The verb against a database with some failed jobs."""
    async with open_engine(clean_database, redis_url) as engine:
        await engine.look.execute(
            "INSERT INTO job (id, business_id, kind, queue, urgency, state, reason, finished_at) VALUES"
            " ('webhook_process_job-6-aa', 6, 'webhook_process_job', 'default', 0, 'failed',"
            "  'Broken: pipe', now()),"
            " ('webhook_process_job-6-bb', 6, 'webhook_process_job', 'default', 0, 'quarantined',"
            "  E'its process \\x1b[31mdied', now()),"
            " ('webhook_process_job-6-cc', 6, 'webhook_process_job', 'default', 0, 'ready', NULL, NULL)"
        )
        await engine.look.execute(
            "INSERT INTO effect (key, business_id, provider, job_id, state, sending_at)"
            " VALUES ('reply 7', 6, 'whatsapp_bridge', 'webhook_process_job-6-aa', 'unknown', now())"
        )
        yield Prosaas(engine, os.environ | {"DATABASE_URL": clean_database, "REDIS_URL": redis_url})


async def test_the_table_shows_what_waits_what_failed_and_what_is_unknown(prosaas):
    code, told = await prosaas()

    assert code == 0
    assert "webhook_process_job" in told
    assert "Broken: pipe" in told
    assert "reply 7" in told
    assert "\x1b" not in told


async def test_on_a_terminal_the_table_is_live_until_ctrl_c(prosaas):
    leader, follower = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.stack.cli", "jobs", "--every", "0.2"),
        env=prosaas.settings,
        stdout=follower,
        stderr=follower,
        # As on a terminal: what a shell runs in the background ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.set_blocking(leader, False)
    seen = bytearray()

    def shown_twice():
        try:
            seen.extend(os.read(leader, 65536))
        except BlockingIOError:
            return False
        return seen.count(b"Broken: pipe") >= 2

    try:
        await eventually(shown_twice, within_s=30)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 10) == 130
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(leader)
        os.close(follower)


async def test_a_terminal_of_eighty_columns_shows_all_of_it(prosaas):
    await prosaas.engine.look.execute(
        "INSERT INTO job (id, business_id, kind, queue, urgency, state, attempts, token, started_at,"
        " progress, progress_at, progress_share) VALUES ('webhook_process_job-6-0123456789abcdef01234567', 6,"
        " 'webhook_process_job', 'default', 0, 'running', 1, 1, now(), '{\"total\": 400, \"done\": 100,"
        " \"left\": 300}', now() - interval '90 min', 250)"
    )
    await prosaas.engine.look.execute(
        "INSERT INTO job_attempt (job_id, token, worker)"
        " SELECT id, 1, 'a-host-with-a-long-name-1234-abcdef' FROM job WHERE state = 'running'"
    )
    await prosaas("pause", "business", "6", "--reason", "The owner asked for it " * 4)
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.stack.cli", "jobs", "--once"),
        env={name: value for name, value in prosaas.settings.items() if name != "COLUMNS"},
        stdout=follower,
        stderr=follower,
    )
    assert await asyncio.wait_for(process.wait(), 30) == 0
    lines = os.read(leader, 65536).decode().splitlines()
    os.close(leader)
    os.close(follower)

    assert max(map(len, lines)) <= 80
    told = " ".join(" ".join(lines).split())
    for words in (
        "business 6",
        "(prosaas jobs)",
        "The owner asked for it " * 3,
        "25 % of 400 (no news for 1.5 h), a-host-with-a-long-name-1234-abcdef",
    ):
        assert words in told


async def test_requeue_says_what_it_would_do_and_does_it_with_yes(prosaas):
    code, told = await prosaas("requeue", "--kind", "webhook_process_job", *BOTH)
    assert (code, told.splitlines()[0]) == (
        0,
        "Would run again: 1. Effects of all that were chosen: 1 unknown.",
    )
    assert "Held back: 1" in told
    assert "Nothing was changed" in told

    code, told = await prosaas(
        "requeue", "--kind", "webhook_process_job", *BOTH, "--yes", "--reason", "mended"
    )
    assert "Run again: 1." in told
    assert await prosaas.engine.state("webhook_process_job-6-bb") == "ready"
    assert await prosaas.engine.state("webhook_process_job-6-aa") == "failed"


async def test_the_other_deeds_say_what_they_did(prosaas):
    assert await prosaas("cancel", "webhook_process_job-6-cc") == (0, "Cancelled.\n")
    assert await prosaas("pause", "kind", "webhook_process_job") == (
        0,
        "The kind webhook_process_job is paused.\n",
    )
    assert await prosaas("resume", "kind", "webhook_process_job") == (
        0,
        "The kind webhook_process_job goes on.\n",
    )
    assert await prosaas("settle", "reply 7", "confirmed") == (0, "reply 7 is confirmed.\n")
    code, told = await prosaas("list", "--state", "cancelled", "--within", "1h")
    assert (code, "webhook_process_job-6-cc" in told) == (0, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["cancel", "nothing-6-aa"], "There is no job nothing-6-aa."),
        (["pause", "kind", "nothing_job"], "There is no kind nothing_job"),
        (["pause", "business", "dana"], "A business is named by its number"),
        (["pause", "business", "999"], "There is no business 999."),
        (["list", "--kind", "nothing_job"], "There is no kind nothing_job: use one of "),
        (["requeue", "--queue", "nothing"], "There is no queue nothing: use one of "),
        (["settle", "reply 8", "confirmed"], "There is no unknown effect reply 8."),
        (["list", "--within", "soon"], "soon is not an age"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(prosaas, words, sentence):
    code, told = await prosaas(*words)

    assert code != 0
    assert sentence in told
    assert "Traceback" not in told


async def test_what_killed_its_process_is_freed_by_name_alone(prosaas):
    _, told = await prosaas("requeue", "--even-sent", "--yes")
    assert "Left: 1 in quarantine. They run again by their ids, or with --state quarantined." in told
    assert await prosaas.engine.state("webhook_process_job-6-aa") == "ready"
    assert await prosaas.engine.state("webhook_process_job-6-bb") == "quarantined"

    await prosaas("requeue", "--even-sent", "--yes", "webhook_process_job-6-bb")
    assert await prosaas.engine.state("webhook_process_job-6-bb") == "ready"


async def test_every_queue_of_the_handbook_can_be_paused(prosaas):
    assert await prosaas("pause", "queue", "low") == (0, "The queue low is paused.\n")


async def test_the_table_says_that_rq_is_suspended(prosaas):
    await prosaas.engine.redis.set("rq:suspended", 1)

    _, told = await prosaas()

    assert told.startswith("Suspended by `rq suspend`")
