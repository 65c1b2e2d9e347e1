"""A pytest plugin for the process that runs RQ's tests: our worker for RQ's, a Redis of the run's own.

`UPSTREAM_PORT` names that Redis's port, `UPSTREAM_USED` a folder of notes, `UPSTREAM_RESULTS` a file to be:
how each test ended, in JSON, and what of our code it ran through.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import redis
import rq
import rq.executions
import rq.worker

from tests.upstream.table import excluded, is_named
from tests.upstream.worker import UpstreamWorker

PUT_IN_PLACE_OF = ("Worker", "SimpleWorker")
USUAL_PORT = 6379
EXCLUDED = "excluded"
ENDED: dict[str, dict[str, Any]] = {}


def pytest_configure() -> None:
    """Put our worker where RQ's tests will import theirs from."""
    for module in (rq, rq.worker):
        for name in PUT_IN_PLACE_OF:
            setattr(module, name, UpstreamWorker)
    rq.executions.prepare_execution = lambda worker, job: worker.prepare_execution(job)
    _move_usual_port(int(os.environ["UPSTREAM_PORT"]))


def _move_usual_port(own: int) -> None:
    """Let the port on which RQ's tests expect Redis lead to the run's own."""
    connect = redis.Connection.__init__

    def moved(self: redis.Connection, host: str = "127.0.0.1", port: int = 6379, **how: Any) -> None:
        connect(self, host, own if port == USUAL_PORT else port, **how)

    redis.Connection.__init__ = moved  # type: ignore[method-assign,assignment]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what does not apply, and note it."""
    names = excluded()
    left_out = [item for item in items if any(is_named(item.nodeid, name) for name in names)]
    ENDED.update({item.nodeid: {"outcome": EXCLUDED, "used": []} for item in left_out})
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item.nodeid not in ENDED]


def pytest_runtest_setup() -> None:
    """Begin to note what of our code a test runs through."""
    for note in _used().iterdir():
        note.unlink()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the worst of a test's phases."""
    before = ENDED.get(report.nodeid, {"outcome": "passed"})["outcome"]
    outcome = report.outcome if before == "passed" else before
    ENDED[report.nodeid] = {"outcome": outcome, "used": sorted(one.name for one in _used().iterdir())}


def pytest_sessionfinish() -> None:
    """Write how all of them ended."""
    Path(os.environ["UPSTREAM_RESULTS"]).write_text(json.dumps(ENDED), encoding="utf-8")


def _used() -> Path:
    return Path(os.environ["UPSTREAM_USED"])
