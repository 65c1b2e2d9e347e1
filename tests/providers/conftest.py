"""A client and a raw server for the providers' tests."""

from __future__ import annotations

import pytest
import uvloop

from server.providers.connections import open_connections
from tests.providers.raw_server import raw_server


@pytest.fixture
async def http():
    async with open_connections() as client:
        yield client


@pytest.fixture
async def raw():
    async with raw_server() as server:
        yield server


def pytest_asyncio_loop_factories():
    """The loop of production: it has its own sockets, and its own errors."""
    return {"uvloop": uvloop.new_event_loop}
