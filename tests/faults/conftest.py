"""A whole installation, running."""

from __future__ import annotations

import pytest

from tests.processes import installation


@pytest.fixture
async def stopped(socket_folder, tmp_path):
    """An installation with its stores and its demo business, and no process of ours yet.

    Whatever a test does to it, the invariants hold in the end.
    """
    async with installation(socket_folder, tmp_path) as found:
        yield found
        assert await found.broken_promises() == []


@pytest.fixture
async def house(stopped):
    """An installation with everything running."""
    await stopped.start_all("simulator", "api", "worker", "scheduler")
    return stopped
