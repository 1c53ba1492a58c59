"""Loopback ports: free ports, and whether a port can be used."""

import errno
import random
import socket
import time

from .process import StackError

HOST = "127.0.0.1"
# Below the kernel's range for outgoing connections. A client that connects to a stopped server's
# port in that range can connect to itself, and the server cannot bind the port again.
RANGE = range(20000, 32000)


def free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(RANGE, len(RANGE)):
        if can_bind(port):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(errno.EADDRINUSE, "no free port on loopback")


def can_bind(port: int, seconds: float = 0.0) -> bool:
    """Whether a server could listen there; tried again for `seconds` seconds."""
    deadline = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
                probe.listen(1)
                return True
            except PermissionError as error:
                raise StackError(f"port {port} needs root: choose a port from 1024.") from error
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)


def bindable(port: int) -> int:
    """`port` itself, or a free one for 0; raises StackError where another program has it."""
    chosen = port or free_ports(1)[0]
    if not can_bind(chosen):
        raise StackError(
            f"port {chosen} is in use by another program: choose another, as in make run PORT=8081."
        )
    return chosen


def answers(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0
