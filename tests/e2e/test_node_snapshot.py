"""A Node's snapshot over sockets, read by a person beside the pull of the Node's agent."""

from __future__ import annotations

from uuid import uuid4

from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests.client import ask, bearer, pull_path
from tests.command_runs import run
from tests.ledger_sql import audit_rows


def test_a_manager_reads_the_bytes_and_the_tag_of_the_pull(stack: Stack) -> None:
    mark = f"snapshot-{uuid4().hex}"
    path = f"/v1/nodes/{stack.node_id}/snapshot"
    reader = {**bearer(stack.token(OPERATOR)), "X-Correlation-Id": mark}
    pulled = ask(stack.url, pull_path(stack.node_id), stack.headers)
    tag = pulled.headers["etag"]
    read = ask(stack.url, path, reader)
    again = ask(stack.url, path, {**reader, "If-None-Match": tag})
    assert (read.status, read.headers["etag"], again.status) == (200, tag, 304)
    assert read.body == pulled.body
    digest = tag.removeprefix('W/"').removesuffix('"')
    row = ("node_snapshot.view", "granted", OPERATOR, f"node:{stack.node_id}", digest)
    assert audit_rows(stack.dsn, mark, 2) == [row, row]


def test_the_command_reads_the_snapshot_with_a_persons_token(stack: Stack) -> None:
    token = stack.token(OPERATOR)
    done = run("snapshot", stack.node_id, "--url", stack.url, "--token", token, "--raw")
    pulled = ask(stack.url, pull_path(stack.node_id), stack.headers)
    assert (done.exit_code, done.stdout_bytes) == (0, pulled.body)
