"""A caller who is refused again and again is told to wait, by every worker, and nobody else is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.dev.stack import Stack
from tests import scratch
from tests.client import ask, bearer, pull_path
from tests.ledger_sql import run_sql
from tests.stacks import another_build

REFUSALS = 3
SETTINGS = {
    "PLEXSPHERE_WORKERS": "2",
    "PLEXSPHERE_REFUSALS_PER_MINUTE": str(REFUSALS),
    "PLEXSPHERE_KEY_ROTATION_INTERVAL": "3600",
}


@pytest.fixture(scope="module")
def url(stack: Stack) -> Iterator[str]:
    with another_build(stack, "limited", "wsgi:application", SETTINGS) as found:
        yield found


def rows(stack: Stack, subject: str) -> int:
    sql = "SELECT count(*) FROM plexsphere.audit_rows WHERE subject = %s AND outcome <> 'granted'"
    return int(run_sql(stack.dsn, sql, (subject,))[0][0])


def test_a_stranger_waits_and_the_nodes_own_agent_does_not(stack: Stack, url: str) -> None:
    """The stranger is the agent of another Node, and is granted its own at the same time."""
    path, own = pull_path(stack.node_id), scratch.node(stack)
    subject = f"node:{own}"
    stranger = bearer(stack.token(subject))
    statuses = []
    for _ in range(REFUSALS):
        statuses += [ask(url, pull_path(own), stranger).status, ask(url, path, stranger).status]
    limited = [ask(url, path, stranger) for _ in range(4)]
    assert statuses == [200, 403] * REFUSALS
    assert [reply.status for reply in limited] == [429] * 4
    assert limited[0].json["code"] == "rate_limited"
    assert 1 <= int(limited[0].headers["retry-after"]) <= 20
    assert rows(stack, subject) <= REFUSALS
    assert ask(url, pull_path(own), stranger).status == 200
    assert ask(url, path, bearer(stack.token(f"node:{stack.node_id}"))).status == 200
    metrics = ask(url, "/metrics").body.decode()
    assert 'plexsphere_rate_limited_requests_total{limit="refusals"} 4.0' in metrics


def test_a_node_rotates_its_secret_key_once_in_an_interval(stack: Stack, url: str) -> None:
    node = scratch.node(stack)
    agent, path = bearer(stack.token(f"node:{node}")), f"/v1/nodes/{node}/secret-key"
    replies = [ask(url, path, agent, method="POST") for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 429, 429, 429]
    assert 3_590 <= int(replies[1].headers["retry-after"]) <= 3_600
