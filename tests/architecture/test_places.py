"""Some lines may stand in one place only; each exception is listed with its reason."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.sources import sources

COMMITS = {
    "server/db/session.py": "the unit of work",
    "server/db/migrate.py": "migrations have no unit of work",
}
READS_ENVIRONMENT = {
    "server/config.py": "the settings of every role",
    "server/__main__.py": "the role decides which entry point reads the rest",
    "server/db/migrate.py": "runs by itself with DATABASE_URL alone",
    "server/worker/__main__.py": "where the metrics' library adds its processes up is said in no other way",
    "server/queue/crash_points.py": "a fault test's own switch, bound at import: no setting of an operator's",
    "server/stack/cli.py": "an entry point: its verbs run beside any role",
    "server/stack/settings.py": "the settings of `prosaas up`",
    "server/stack/prepare.py": "an entry point: what `prosaas up` hands to its own step",
    "server/stack/programs.py": "a child inherits what its parent was given",
    "server/stack/postgres.py": "a child inherits what its parent was given",
    "server/stack/valkey.py": "a child inherits what its parent was given",
    "server/stack/identity.py": "a child inherits what its parent was given",
    "server/stack/merged_log.py": "NO_COLOR belongs to the terminal, not to the product",
}
READS_CLOCK = {
    "server/clock.py": "the clock",
}
CLOCK = re.compile(r"(datetime\.(now|utcnow|today)|date\.today|time\.(time|time_ns|monotonic|monotonic_ns))$")
CATCHES_EVERYTHING = {
    "server/db/session.py": "whatever ends a transaction early rolls it back and goes on",
    "server/jobs/runtime.py": "a handler's bug is recorded and retried",
    "server/scheduler/run_scheduler.py": "one bad cycle must not end timekeeping; it is recorded",
    "server/web/gate.py": "a view's bug is answered with a page that says so; it is recorded",
    "server/health.py": "whatever is wrong with a check, the answer is its name",
    "server/db/gathering.py": "one item must not fail its neighbours; it is recorded",
    "server/worker/forking.py": "nothing may climb from a forked process into its parent's frames",
    "server/api/bodies.py": "whatever is thrown at a reader is handed on to its coroutine",
    "server/worker/watching.py": "whatever is thrown at a task is handed on to its coroutine",
    "server/queue/run.py": "a send that was cancelled becomes unknown, then goes on being cancelled",
}
THREADS = ("threading", "_thread", "concurrent.futures", "multiprocessing", "anyio.to_thread")
THREAD_CALLS = {"to_thread", "run_in_executor", "run_in_threadpool", "run_sync_in_worker_thread"}
# A domain is entered by its front door; this one has side doors, on purpose.
SIDE_DOORS = {
    "server.domains.messaging.receiving": "the webhook's path: plain SQL, apart from the domain's ORM",
    "server.domains.messaging.pages": "what pages read; it writes nothing",
    "server.domains.messaging.attachments": "what pages read; it writes nothing",
}


def test_only_the_unit_of_work_commits():
    found = {
        one.path: line
        for one in sources("server")
        for line, name in [*one.attributes(), *one.statements()]
        if name.endswith(".commit") or name == "COMMIT"
        if one.path not in COMMITS
    }

    assert found == {}


def test_only_the_settings_read_the_environment():
    found = [
        f"{one.path}:{line} {name}"
        for one in sources("server")
        for line, name in one.attributes()
        if name in {"os.environ", "os.getenv", "os.environb"} and one.path not in READS_ENVIRONMENT
    ]

    assert found == []


def test_only_the_clock_reads_the_clock():
    found = [
        f"{one.path}:{line} {name}"
        for one in sources("server")
        for line, name in one.attributes()
        if CLOCK.search(name) and one.path not in READS_CLOCK
    ]

    assert found == []


def test_only_listed_places_catch_everything():
    found = {
        one.path
        for one in sources("server", "simulator")
        for node in ast.walk(one.tree)
        if isinstance(node, ast.ExceptHandler) and catches_everything(node)
    }

    assert found == set(CATCHES_EVERYTHING)


def test_nothing_outside_realtime_knows_of_threads():
    found = [
        f"{one.path}:{line} {name}"
        for one in sources("server", "simulator")
        if not one.path.startswith("server/realtime/")
        for line, name in [*one.imports(), *one.attributes()]
        if name.startswith(THREADS) or name.rpartition(".")[2] in THREAD_CALLS
    ]

    assert found == []


def test_a_domain_is_entered_by_its_front_door():
    found = [
        f"{one.path}:{line} {name}"
        for one in sources("server")
        for line, name in one.imports()
        if (domain := domain_of(name)) and not one.path.startswith(f"server/domains/{domain}/")
        if not is_front_door(one.path, name)
    ]

    assert found == []


@pytest.mark.parametrize("listed", [COMMITS, READS_ENVIRONMENT, READS_CLOCK])
def test_every_exception_is_still_needed(listed):
    used = {
        one.path
        for one in sources("server")
        for _, name in [*one.attributes(), *one.statements()]
        if name.endswith((".commit", "COMMIT", "os.environ", "os.getenv")) or CLOCK.search(name)
    }

    assert set(listed) - used == set()


def catches_everything(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(name is None or ast.unparse(name) in {"Exception", "BaseException"} for name in names)


def domain_of(name: str) -> str:
    parts = name.split(".")
    return parts[2] if parts[:2] == ["server", "domains"] and len(parts) > 2 else ""


def is_front_door(importer: str, name: str) -> bool:
    """`from server.domains import messaging` and `from server.domains.messaging import Receiver` are."""
    parts = name.split(".")
    if any(name.startswith(f"{door}.") or name == door for door in SIDE_DOORS):
        return importer.startswith(("server/api/", "server/web/", "server/app_factory.py"))
    folder = {one.path for one in sources("/".join(parts[:3]))}
    return len(parts) == 3 or f"{'/'.join(parts[:4])}.py" not in folder
