"""The read of a verdict over sockets, beside the pull of the same Node."""

from __future__ import annotations

import json
from uuid import uuid4

from server.dev.stack import Stack
from tests.client import ask, pull_path
from tests.heartbeats import beat
from tests.ledger_sql import audit_rows

UNREAL = "0190ffff-0000-7000-8000-00000000ffff"


def test_the_read_is_the_block_of_the_pull_byte_for_byte(stack: Stack) -> None:
    beat(stack)
    read = ask(stack.url, f"/v1/nodes/{stack.node_id}/reachability", stack.headers)
    pulled = ask(stack.url, pull_path(stack.node_id), stack.headers)
    assert read.status == 200
    assert b'"reachability":' + read.body in pulled.body
    assert json.loads(read.body) == pulled.json["reachability"]
    assert read.headers["cache-control"] == "private, no-cache"


def test_the_read_is_audited_for_the_agent_and_for_a_stranger(stack: Stack) -> None:
    mark = f"read-{uuid4().hex}"
    for node_id, outcome in (
        (stack.node_id, "granted"),
        (stack.sample.node_id(1), "insufficient_relation"),
    ):
        headers = stack.headers | {"X-Correlation-Id": f"{mark}-{outcome}"}
        ask(stack.url, f"/v1/nodes/{node_id}/reachability", headers)
        agent = f"node:{stack.node_id}"
        assert audit_rows(stack.dsn, f"{mark}-{outcome}") == [
            ("node_reachability.read", outcome, agent, f"node:{node_id}", None)
        ]


def test_the_read_of_a_node_that_is_none_or_not_ones_own(stack: Stack) -> None:
    for node_id, status, code in (
        ("nonsense", 400, "invalid_node_id"),
        (UNREAL, 403, "insufficient_relation"),
    ):
        reply = ask(stack.url, f"/v1/nodes/{node_id}/reachability", stack.headers)
        assert (reply.status, reply.code) == (status, code)
    large = ask(
        stack.url, f"/v1/nodes/{stack.node_id}/reachability", stack.headers, body=b"x" * 100_000
    )
    assert large.status == 413
