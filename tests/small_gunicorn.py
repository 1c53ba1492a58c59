"""The real gunicorn with our worker before a small application, and clients that misbehave."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from server.dev.ports import HOST, free_ports
from tests.client import ask

ROOT = Path(__file__).resolve().parent.parent
PIECE = 65_536


@dataclass(frozen=True)
class Served:
    """A running gunicorn: where it answers, its master, and the file with its lines."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    certificate: Path | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def connect(self) -> socket.socket:
        """A client, with TLS where the server has it."""
        return self.wrap(socket.create_connection((HOST, self.port), timeout=20))

    def wrap(self, raw: socket.socket) -> socket.socket:
        """A connected client with TLS where the server has it."""
        if self.certificate is None:
            return raw
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.check_hostname = False
        return context.wrap_socket(raw)


@contextmanager
def small_gunicorn(
    folder: Path,
    settings: Mapping[str, str] | None = None,
    certificate: tuple[Path, Path] | None = None,
    files: int | None = None,
    stdout: int | None = None,
    application: str = "tests.small_wsgi:application",
    tree: Path = ROOT,
) -> Iterator[Served]:
    """gunicorn with ``PLEXSPHERE_*`` settings, by their names without the prefix.

    ``files`` is how many descriptors a process may have; ``stdout`` is in place of a file;
    ``tree`` is where the code is.
    """
    port = free_ports(1)[0]
    env = {f"PLEXSPHERE_{name}": value for name, value in (settings or {}).items()}
    env = {"PLEXSPHERE_WORKERS": "1", "PLEXSPHERE_BIND": f"{HOST}:{port}", **env}
    limit = [] if files is None else ["prlimit", f"--nofile={files}:{files}"]
    command = [*limit, sys.executable, "-m", "gunicorn", "-c", "python:server.gunicorn.conf"]
    if certificate is not None:
        command += ["--certfile", str(certificate[0]), "--keyfile", str(certificate[1])]
    log = folder / "gunicorn.log"
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [*command, application],
            cwd=tree,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tree), "TMPDIR": str(folder), **env},
            stdout=lines if stdout is None else stdout,
            stderr=lines,
        )
    served = Served(port, process, log, certificate and certificate[0])
    try:
        _wait(served)
        yield served
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        finally:
            process.kill()


def _wait(served: Served) -> None:
    for _ in range(600):
        assert served.process.poll() is None, served.log.read_text()
        try:
            with served.connect() as raw:
                raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
                if raw.recv(PIECE):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(served.log.read_text())


def answer(raw: socket.socket) -> bytes:
    """One answer with its length declared, or all there is to the end of the connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = raw.recv(PIECE)
        if not piece:
            return received
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
    while len(body) < length:
        piece = raw.recv(PIECE)
        if not piece:
            break
        body += piece
    return head + b"\r\n\r\n" + body


def status(raw: socket.socket) -> int:
    """Of the next answer; 0 where the connection ends without one."""
    received = answer(raw)
    return int(received.split(b" ", 2)[1]) if received else 0


def to_the_end(raw: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    while piece := raw.recv(PIECE):
        received += piece
    return received


def is_served(served: Served) -> bool:
    """Whether an honest client gets its answer."""
    if served.certificate is None:
        return ask(served.url, "/").status == 200
    with served.connect() as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return status(raw) == 200
