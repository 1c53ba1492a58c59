"""A simulated agent's stream: every attempt to open it is counted once."""

from __future__ import annotations

import socket
import threading
from random import Random

from server.fleet.agents import Agent
from server.fleet.streams import AgentStream
from server.fleet.wire import NO_ANSWER

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def openings(answer: bytes) -> list[int]:
    """The statuses of one attempt, whose connection ends after ``answer``."""
    found: list[int] = []

    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            client.recv(65_536)
            client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        stream = AgentStream(
            agent=Agent(url, "n-1", "d-1", "token"),
            pull=lambda: None,
            on_opened=lambda status, seconds: found.append(status),
            on_event=lambda seconds: None,
            ended=threading.Event(),
            random=Random(1),
        )
        stream.attempt()
        server.join()
    return found


def test_a_stream_that_breaks_was_opened_once() -> None:
    assert openings(HEAD + b"5\r\nid: ") == [200]


def test_an_attempt_without_an_answer_is_counted() -> None:
    assert openings(b"") == [NO_ANSWER]
