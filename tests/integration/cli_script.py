"""The commands as a person runs them, with what `make run` writes for the shell.

Test modules name this one in ``pytest_plugins``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from server.cli import build_app
from server.dev.stack import Stack

SCRIPT = str(Path(sys.executable).with_name("plexsphere-state"))
PATIENCE_S = 60.0

Run = Callable[..., subprocess.CompletedProcess[bytes]]


def environment(stack: Stack) -> dict[str, str]:
    """The environment of `. .dev/env`, and nothing else of ours."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PLEXSPHERE_")}
    return {**bare, **stack.env, **stack.identities}


@pytest.fixture(scope="module")
def run(stack: Stack) -> Run:
    """Runs a command in this process; ``env`` goes over the stack's."""

    def command(
        *arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        result = CliRunner().invoke(
            build_app(),
            list(arguments),
            prog_name="plexsphere-state",
            input=stdin,
            env={**stack.env, **stack.identities, **(env or {})},
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        output = result.stdout_bytes, result.stderr_bytes
        return subprocess.CompletedProcess(arguments, result.exit_code, *output)

    return command


def run_script(stack: Stack, *arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the console script."""
    return subprocess.run(
        [SCRIPT, *arguments],
        env={**environment(stack), **env},
        capture_output=True,
        timeout=PATIENCE_S,
    )


@contextmanager
def started(
    stack: Stack, *arguments: str, cwd: Path | None = None, **env: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs until it is told to stop."""
    process = subprocess.Popen(
        [SCRIPT, *arguments],
        env={**environment(stack), **env},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # It may have been set to ignore by whoever runs the tests in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def pulled(stack: Stack) -> requests.Response:
    return requests.get(
        f"{stack.url}/v1/nodes/{stack.node_id}/state", headers=stack.headers, timeout=PATIENCE_S
    )
