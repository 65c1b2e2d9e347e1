"""A process's listening socket, had before anything is promised."""

from __future__ import annotations

import socket

from server.errors import StartRefusedError

# As uvicorn's own: how many connections wait while the process is busy.
BACKLOG = 2048


def listen(host: str, port: int, setting: str) -> socket.socket:
    """Return a socket that listens there; raise StartRefusedError, naming the setting, where it cannot.

    A server that opened its own would end the process in the library's way: no sentence, no refusal.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StartRefusedError(
            f"{setting}={port} cannot be listened on at {host} ({reason}): set {setting} to a free port, "
            "or HOST to an address of this machine."
        ) from error
