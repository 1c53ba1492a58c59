"""The floors: constant answers of the same size by the same HTTP server, and a bare ``sendall``."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException

from server.dev.commands import plain_environment
from server.dev.ports import free_ports
from tests.bench.served import Served
from tests.client import Reply, ask

APPLICATION = "tests.bench.floor_wsgi:application"
# The HTTP server writes its own.
OWN = ("content-length", "connection", "date", "server", "transfer-encoding")
DRAIN = """import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while s.recv(1 << 20): pass
"""


@contextmanager
def floor_beside(served: Served, answers: Mapping[str, Reply]) -> Iterator[tuple[str, int]]:
    """URL and process of the floor of some operations' answers, with the service's settings."""
    places = served.tree / ".dev" / "floor"
    places.mkdir(exist_ok=True)
    table = {}
    for operation, reply in answers.items():
        (places / operation).write_bytes(reply.body)
        headers = {name: text for name, text in reply.headers.items() if name not in OWN}
        table[operation] = {"headers": headers, "body": str(places / operation)}
    (places / "answers.json").write_text(json.dumps(table))
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    settings = {name: text for name, text in served.env.items() if name.startswith("PLEXSPHERE_")}
    with (places / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "python:server.gunicorn.conf", APPLICATION],
            cwd=served.tree,
            env={
                **plain_environment(),
                **settings,
                "PLEXSPHERE_BIND": f"127.0.0.1:{port}",
                "BENCH_FLOOR": str(places / "answers.json"),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _await(url, process)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(20)


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            ask(url, "/livez")
        except (OSError, HTTPException):
            time.sleep(0.1)
        else:
            return
    raise SystemExit("bench: the floor does not start")


def sendall_ms(body: bytes, times: int = 300) -> float:
    """CPU of one ``sendall`` of these bytes to a reader in another process, in milliseconds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        reader = subprocess.Popen([sys.executable, "-c", DRAIN, str(port)])
        connection, _ = listener.accept()
        with connection:
            before = time.process_time()
            for _ in range(times):
                connection.sendall(body)
            cpu = time.process_time() - before
        reader.wait(10)
    return cpu * 1000 / times


def retargeted(requests: Sequence[bytes], before: str, after: str) -> list[bytes]:
    """The same requests for another URL."""
    old, new = before.removeprefix("http://").encode(), after.removeprefix("http://").encode()
    return [request.replace(b"Host: " + old, b"Host: " + new, 1) for request in requests]
