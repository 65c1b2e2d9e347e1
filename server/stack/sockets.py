"""Ports of this machine and private folders for unix sockets."""

from __future__ import annotations

import errno
import random
import socket
import tempfile
from pathlib import Path

from server.errors import StartRefusedError

# sockaddr_un holds 108 bytes; PostgreSQL and Valkey append their own file's name.
_LONGEST_FOLDER = 80
_LAST_PORT = 65535
# After 10080, which browsers refuse to open (fetch.spec.whatwg.org, "bad port"), and below the ports that
# systems give to outgoing connections (from 32768 on Linux, see ip(7)): one of
# those can be taken by any client between our choice and the moment the server listens.
_CHOSEN_PORTS = range(10_100, 32_000)
_CHOICES = 1000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether a server could listen there now; a port we may not open counts as free."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As servers do it: a connection that was closed a moment ago does not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as refused:
            return refused.errno != errno.EADDRINUSE
    return True


def any_free_port(host: str = "127.0.0.1") -> int:
    """Return a port that was free a moment ago, and that no client is given by the system."""
    for _ in range(_CHOICES):
        port = random.choice(_CHOSEN_PORTS)  # noqa: S311 - decides nothing secret
        if is_free(port, host):
            return port
    raise StartRefusedError(f"{host} has no free port from {_CHOSEN_PORTS[0]} to {_CHOSEN_PORTS[-1]}.")


def first_free(preferred: int, *, taken: set[int], host: str = "127.0.0.1") -> int:
    """Return the preferred port, or another when it is 0, used or in `taken`; adds it to `taken`."""
    port = preferred
    while port in taken or not 0 < port <= _LAST_PORT or not is_free(port, host):
        port = any_free_port(host)
    taken.add(port)
    return port


def make_socket_folder() -> Path:
    """Make a private folder whose path is short enough for a unix socket."""
    usual = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="ps-", dir=usual if len(usual) < _LONGEST_FOLDER else "/tmp"))  # noqa: S108 - mkdtemp makes it private
