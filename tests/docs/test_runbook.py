"""The runbook knows every event, and its commands work."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import asyncpg

from tests.architecture.sources import sources
from tests.docs.generate import DOCS

RUNBOOK = DOCS / "runbook.md"
LOGS = {"log.debug", "log.info", "log.warning", "log.error"}


def block(language: str, containing: str) -> str:
    """Return the runbook's block of code that contains these words."""
    blocks = re.findall(rf"```{language}\n(.*?)```", RUNBOOK.read_text(encoding="utf-8"), flags=re.DOTALL)
    return str(next(one for one in blocks if containing in one))


def calls(names: set[str]) -> Iterator[str]:
    """Yield the first argument of every call to one of these names in the server, where it is a text."""
    for one in sources("server"):
        for node in ast.walk(one.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in names and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_every_event_of_the_log_is_explained():
    told = RUNBOOK.read_text(encoding="utf-8")

    assert sorted(name for name in set(calls(LOGS)) if f"`{name}`" not in told) == []


async def test_a_bridge_is_connected_as_the_runbook_says(clean_database):
    done = run(block("python", "connect_bridge"), DATABASE_URL=clean_database, SECRET_KEY="k" * 40)
    connection = await asyncpg.connect(clean_database)
    address = await connection.fetchval("SELECT base_url FROM channel")
    await connection.close()

    assert done.returncode == 0, done.stderr
    assert "tenantId business_" in done.stdout
    assert address == "http://127.0.0.1:3000"


async def test_the_runbooks_questions_can_be_asked(clean_database):
    connection = await asyncpg.connect(clean_database)
    asked = [await connection.fetch(block("sql", words)) for words in ("FROM effect", "state = 'failed'")]
    await connection.close()

    assert asked == [[], []]
