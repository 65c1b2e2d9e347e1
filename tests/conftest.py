"""Servers, databases and ports for every test; no test reaches beyond this machine.

`database_url` is the worker's own database and `clean_database` the same, emptied first.
`redis_url` is the worker's own Redis database, emptied first. `own_postgres` and `own_valkey`
are servers of one test, for those that stop or reconfigure them.
"""

from __future__ import annotations

import ipaddress
import shutil
import socket
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from server.stack.postgres import Postgres
from server.stack.sockets import make_socket_folder
from server.stack.valkey import Valkey
from tests.alone import turn
from tests.ports import new_port
from tests.servers import (
    RunningServers,
    TestServers,
    clone_template,
    empty_tables,
    run,
    throwaway_postgres,
    throwaway_valkey,
)

RUNNING = pytest.StashKey[RunningServers]()
_FOLDER = "servers_folder"


def pytest_configure(config: pytest.Config) -> None:
    """Close the network, and start the servers here when workers are going to share them."""
    _close_network()
    leads_workers = config.getoption("numprocesses", None) and not config.getoption("collectonly")
    if leads_workers and not hasattr(config, "workerinput"):
        running = config.stash[RUNNING] = RunningServers()
        running.start()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where the servers are."""
    if running := node.config.stash.get(RUNNING, None):
        node.workerinput[_FOLDER] = str(running.servers.folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started here."""
    if running := config.stash.get(RUNNING, None):
        running.stop()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let tests marked `alone` run alone. The wait is outside of every test's own timeout."""
    folder = getattr(item.config, "workerinput", {}).get(_FOLDER)
    if folder is None:
        return (yield)
    with turn(Path(folder), alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> TestServers:
    """The run's PostgreSQL and Valkey; started now when this process runs the tests alone."""
    given = getattr(pytestconfig, "workerinput", {}).get(_FOLDER)
    if given:
        return TestServers(Path(given))
    running = pytestconfig.stash.get(RUNNING, None)
    if running is None:
        running = pytestconfig.stash[RUNNING] = RunningServers()
        running.start()
    return running.servers


@pytest.fixture(scope="session")
def worker_number(pytestconfig: pytest.Config) -> int:
    """0 for the first worker, 1 for the second."""
    name = getattr(pytestconfig, "workerinput", {}).get("workerid", "gw0")
    return int(name.removeprefix("gw"))


@pytest.fixture(scope="session")
def database_url(servers: TestServers, worker_number: int) -> str:
    """This worker's database, migrated; as its superuser, so row-level security does not apply."""
    return run(clone_template(servers, f"worker_{worker_number}"))


@pytest.fixture
async def clean_database(database_url: str) -> str:
    """This worker's database with every table empty."""
    await empty_tables(database_url)
    return database_url


@pytest.fixture
def redis_url(servers: TestServers, worker_number: int) -> str:
    """This worker's Redis database, empty."""
    url = servers.valkey.url(worker_number)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return new_port()


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """A private folder whose path is short enough for unix sockets."""
    folder = make_socket_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def own_postgres(socket_folder: Path) -> AsyncIterator[Postgres]:
    """A running PostgreSQL of this test alone, without our schema."""
    server = throwaway_postgres(socket_folder)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def own_valkey(socket_folder: Path) -> AsyncIterator[Valkey]:
    """A running Valkey of this test alone."""
    server = throwaway_valkey(socket_folder)
    await server.start()
    yield server
    await server.stop()


def _close_network() -> None:
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded_connect(self: socket.socket, address: Any, /) -> None:
        _require_loopback(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any, /) -> int:
        _require_loopback(self, address)
        return connect_ex(self, address)

    socket.socket.connect = guarded_connect  # type: ignore[method-assign,assignment]
    socket.socket.connect_ex = guarded_connect_ex  # type: ignore[method-assign,assignment]


def _require_loopback(used: socket.socket, address: Any) -> None:
    if used.family == socket.AF_UNIX:
        return
    host = str(address[0])
    try:
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise PermissionError(f"a test may not connect to {host}: only to this machine")
