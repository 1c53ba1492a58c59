"""Session-wide real parts: embedded Postgres, embedded SpiceDB, the real gunicorn.

They live below ``.dev/test/`` on free ports, so tests run beside ``make run``; what a test breaks
it breaks in a stack of its own.
"""

from __future__ import annotations

import gc
import os

# A part of a stack is forked; gRPC's fork handlers abort some of those children before they exec.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

from collections.abc import Iterator

import pytest

from server.dev.stack import Stack
from tests.stacks import running_stack

NODES = 64


def pytest_collection() -> None:
    """The objects of a collection live to the end of the run: no pass over them frees any."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Passes over all objects were a fifth of the unit tests' time: few are needed."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # every service of the run would share it
        raise pytest.UsageError("a test module imports server.gunicorn.conf: run it in a process")
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole service with the 64-Node sample Domain. Shared: leave it as it was."""
    with running_stack("shared", nodes=NODES, workers=2) as running:
        yield running
