"""Who asks and who does meet in a dotted name."""

from __future__ import annotations

import importlib

import pytest

from server.jobs import load_handlers
from server.queue import HANDLERS, KINDS
from server.scheduler.schedule import TIMETABLE
from tests.architecture.sources import ROOT, sources

QUEUES = {"default", "low", "maintenance"}


@pytest.fixture(autouse=True, scope="module")
def every_handler():
    load_handlers()


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_has_a_handler_in_a_module_of_the_same_name(name):
    handler = getattr(importlib.import_module(f"server.jobs.{name}"), name)

    assert HANDLERS[name] is handler
    assert KINDS[name].dotted_name == f"{handler.__module__}.{handler.__qualname__}"


def test_a_handler_has_a_kind():
    files = {path.stem for path in (ROOT / "server/jobs").glob("*_job.py")}

    assert files == set(KINDS)


def test_every_kind_uses_a_queue_that_workers_listen_to():
    assert {kind.queue for kind in KINDS.values()} <= QUEUES


def test_the_timetable_asks_for_kinds_by_their_own_names():
    for entry in TIMETABLE:
        assert KINDS[entry.kind.name].payload_type is entry.payload_type


def test_a_payload_says_what_it_is_for():
    assert [name for name, kind in KINDS.items() if not kind.payload_type.__doc__] == []


def test_handlers_are_reached_by_name_alone():
    found = [
        f"{one.path}:{line} {name}"
        for one in sources("server")
        if not one.path.startswith("server/jobs/")
        for line, name in one.imports()
        if name.startswith("server.jobs.") and name.split(".")[2].endswith("_job")
    ]

    assert found == []
