"""The fixtures of the simulator's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.simulator.outside import Outside, Receiver, outside_world


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def outside(receiver: Receiver) -> AsyncIterator[Outside]:
    async with outside_world(receiver, parent_origins=("http://127.0.0.1:8000",)) as world:
        yield world
