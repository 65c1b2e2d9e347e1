"""A process's listening sockets, had before anything is promised."""

from __future__ import annotations

import socket

from server.errors import StartRefusedError

# As uvicorn's own: how many connections wait while the process is busy.
BACKLOG = 2048


def listen(host: str, port: int, setting: str) -> list[socket.socket]:
    """Return sockets that listen at every address of a host; raise StartRefusedError where one cannot.

    `setting` names what holds the port. A server that opened its own would end the process in the library's
    way: no sentence, no refusal.
    """
    found: list[socket.socket] = []
    try:
        told = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in told):
            found.append(socket.create_server(address, family=family, backlog=BACKLOG))
    except OSError as error:
        for opened in found:
            opened.close()
        reason = error.strerror or type(error).__name__
        raise StartRefusedError(
            f"{setting}={port} cannot be listened on at {host} ({reason}): set {setting} to a free port, "
            "or HOST to an address of this machine."
        ) from error
    return found
