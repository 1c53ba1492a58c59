"""Commands that run until they are told to stop: audit that follows, and the service itself."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import requests

from server.dev.ports import HOST, free_ports
from server.dev.stack import Stack
from tests.client import ask
from tests.integration.cli_script import PATIENCE_S, Run, pulled, started

pytest_plugins = "tests.integration.cli_script"


def audit(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run("audit", "--json", *arguments)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def ids(rows: list[dict[str, Any]]) -> set[str]:
    return {row["correlation_id"] for row in rows}


def test_audit_shows_the_newest_rows_last(run: Run, stack: Stack) -> None:
    granted = {pulled(stack).headers["X-Correlation-Id"] for _ in range(2)}
    operator = {"Authorization": f"Bearer {stack.identities['PLEXSPHERE_OPERATOR_TOKEN']}"}
    refused = str(
        ask(stack.url, f"/v1/nodes/{stack.node_id}/state", operator).json["correlation_id"]
    )
    until = time.monotonic() + PATIENCE_S
    while not {refused, *granted} <= ids(audit(run)):
        assert time.monotonic() < until, "the rows were never written"
    rows = audit(run, "--node", stack.node_id)
    times = [row["occurred_at"] for row in rows]
    assert times == sorted(times)
    by_subject = audit(run, "--subject", f"node:{stack.node_id}")
    assert granted <= ids(by_subject) and refused not in ids(by_subject)
    by_outcome = audit(run, "--outcome", "insufficient_relation")
    assert refused in ids(by_outcome) and not granted & ids(by_outcome)
    (written_last,) = audit(run, "--limit", "1")
    assert written_last["seq"] >= max(row["seq"] for row in rows)
    assert refused in run("audit").stdout.decode()


def test_audit_follows_until_it_is_interrupted(run: Run, stack: Stack) -> None:
    pulled(stack)
    with started(stack, "audit", "--follow", "--limit", "1", "--json") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()  # it knows now where to follow from
        wanted = pulled(stack).headers["X-Correlation-Id"]
        while json.loads(process.stdout.readline())["correlation_id"] != wanted:
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr.read() == b""


def test_serve_without_a_ledger_warns_answers_501_and_ends_as_gunicorn(
    stack: Stack, tmp_path: Path
) -> None:
    """The same process goes on as gunicorn, so SIGTERM to it ends everything.

    Variables and a folder that would mislead Python and gunicorn do not.
    """
    port = free_ports(1)[0]
    for name in ("flask.py", "server.py", "wsgi.py"):
        (tmp_path / name).write_text("raise RuntimeError")
    env = {"PLEXSPHERE_DSN": "", "PLEXSPHERE_BIND": f"{HOST}:{port}", "TMPDIR": str(tmp_path)}
    env |= {
        "PLEXSPHERE_WORKERS": "1",
        "PYTHONWARNINGS": "error",
        "WEB_CONCURRENCY": "many",
        "GUNICORN_FD": "99",
    }
    with started(stack, "serve", cwd=tmp_path, **env) as process:
        assert answer_of(port, f"/v1/nodes/{stack.node_id}/state", process) == 501
        process.terminate()
        _, output = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
    assert b"every pull will be answered 501" in output


def answer_of(port: int, path: str, process: subprocess.Popen[bytes]) -> int:
    """The status, once the service listens."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        try:
            return requests.get(f"http://{HOST}:{port}{path}", timeout=PATIENCE_S).status_code
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError(f"the service did not come up (exit code {process.poll()})")
