"""The naive application under the same gunicorn with the same settings, beside a stack."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from server.dev.ports import free_ports
from server.dev.stack import Stack
from tests.client import ask

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def naive_server(stack: Stack) -> Iterator[str]:
    """Its URL."""
    port = free_ports(1)[0]
    env = {**os.environ, **stack.env, "PLEXSPHERE_BIND": f"127.0.0.1:{port}"}
    command = [sys.executable, "-m", "gunicorn", "-c", "python:server.gunicorn_conf"]
    command.append("tests.bench.naive_wsgi:application")
    server = subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            with suppress(OSError):
                if ask(url, "/").status == 200:
                    break
            time.sleep(0.05)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)
