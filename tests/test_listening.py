"""Where a process listens, and what is said where it cannot."""

from __future__ import annotations

import socket

import pytest

from server.errors import StartRefusedError
from server.listening import listen


def addresses_of(host: str) -> set[str]:
    return {str(told[4][0]) for told in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_every_address_of_a_host_is_listened_on(host, free_port):
    opened = listen(host, free_port, "PORT")
    try:
        assert {one.getsockname()[:2] for one in opened} == {(one, free_port) for one in addresses_of(host)}
        assert all(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for one in opened)
    finally:
        for one in opened:
            one.close()


@pytest.mark.parametrize(
    ("host", "why"), [("192.0.2.1", "Cannot assign"), ("no.such.host.invalid", "not known|failure in name")]
)
def test_a_host_that_is_not_this_machine_is_refused_with_the_reason(host, why, free_port):
    with pytest.raises(StartRefusedError, match=rf"^PORT={free_port} .* at {host} \(.*({why})"):
        listen(host, free_port, "PORT")


def test_one_address_that_is_taken_refuses_them_all_and_keeps_none(free_port):
    with (
        socket.create_server(("127.0.0.1", free_port)),
        pytest.raises(StartRefusedError, match="already in use"),
    ):
        listen("localhost", free_port, "HEALTH_PORT")

    for one in listen("localhost", free_port, "HEALTH_PORT"):
        one.close()
