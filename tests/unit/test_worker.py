"""The WSGI environment that the worker gives to the application."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from gunicorn.config import Config

from server.gunicorn.connection import Connection
from server.gunicorn.framing import Incoming
from server.gunicorn.worker import Worker


@pytest.mark.parametrize(
    ("client", "server", "port"),
    [("", "/run/service.sock", "0"), (("127.0.0.1", 4000), ("127.0.0.1", 8080), "8080")],
    ids=["a socket file", "an address"],
)
def test_the_port_of_a_request_is_that_of_its_listener_whatever_its_host_says(
    client: Any, server: Any, port: str
) -> None:
    """Operations of the internal port are found by it."""
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("204 No Content", [])
        return []

    worker: Any = object.__new__(Worker)
    worker.cfg = Config()
    worker.wsgi, worker.alive, worker.nr, worker.max_requests = application, True, 0, 10
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours, client, server, Incoming(worker.cfg, client))
        connection.incoming.buffer += b"GET /metrics HTTP/1.1\r\nHost: x:9000\r\n\r\n"
        connection.request = connection.incoming.whole()
        assert worker._answer(connection)
    assert seen["SERVER_PORT"] == port
