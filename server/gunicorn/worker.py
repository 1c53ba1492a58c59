"""gunicorn's gthread worker, but for how it leaves a connection that has had its last answer.

Who closes with bytes unread makes the kernel send a reset, which takes the answer from a client
that is still sending. gunicorn reads on for 64 KiB, and waits for two seconds in its main loop.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

# What is read of a body that was refused, and for how long: in all, and for the next bytes.
REST_MAX_BYTES = 8 * 1024 * 1024
REST_SECONDS = 5.0
NEXT_SECONDS = 1.0


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Reads what a client still sends in the thread of its request, then closes at once."""

    def handle(self, conn: Any) -> Any:
        """What becomes of the connection: False where it ends."""
        again = super().handle(conn)
        if again is False:
            with contextlib.suppress(OSError):  # a client that left needs no answer
                part_from(conn.sock)
        return again


def part_from(sock: socket.socket) -> None:
    """Say that this was all, and read until the client says so too, within bounds."""
    sock.shutdown(socket.SHUT_WR)
    until = time.monotonic() + REST_SECONDS
    left = REST_MAX_BYTES
    with contextlib.suppress(TimeoutError):
        while left > 0 and (seconds := until - time.monotonic()) > 0:
            sock.settimeout(min(seconds, NEXT_SECONDS))
            rest = len(sock.recv(65_536))
            if not rest:
                return
            left -= rest
    # where gunicorn would read and wait as well, in the main loop, it finds the end
    sock.shutdown(socket.SHUT_RD)
