"""Ports for the servers that tests start.

Looked up and used a moment later, a port may have been given to somebody else in between: to a client, where
it is one of the system's outgoing ports (from 32768, see ip(7)), or to another test of the run.
"""

from __future__ import annotations

import itertools
import os
import random

from server.stack.sockets import is_free

# After 10080, which browsers refuse to open (fetch.spec.whatwg.org, "bad port").
FIRST = 10_090
# Each of eight workers has a block of its own, and who is given a port may use the nine after it too.
WORKERS = 8
BLOCK = 2_700
STEP = 10


def _ports_of(worker: int) -> itertools.cycle[int]:
    first = FIRST + worker % WORKERS * BLOCK
    block = range(first, first + BLOCK, STEP)
    # Another run on this machine began somewhere else.
    start = random.randrange(len(block))
    return itertools.cycle([*block[start:], *block[:start]])


_PORTS = _ports_of(int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))


def new_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, and that nobody else is given for a long while."""
    return next(port for port in _PORTS if is_free(port))
