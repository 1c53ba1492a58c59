"""A caller who is refused again and again is told to wait, and nobody else is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.dev.stack import Stack
from tests.client import ask, bearer, pull_path
from tests.ledger_sql import run_sql
from tests.stacks import another_build

REFUSALS = 3
SETTINGS = {"PLEXSPHERE_WORKERS": "1", "PLEXSPHERE_REFUSALS_PER_MINUTE": str(REFUSALS)}
STRANGER = "user:again-and-again"


@pytest.fixture(scope="module")
def url(stack: Stack) -> Iterator[str]:
    with another_build(stack, "limited", "wsgi:application", SETTINGS) as found:
        yield found


def rows(stack: Stack) -> int:
    sql = "SELECT count(*) FROM plexsphere.audit_rows WHERE subject = %s"
    return int(run_sql(stack.dsn, sql, (STRANGER,))[0][0])


def test_a_stranger_waits_and_the_nodes_own_agent_does_not(stack: Stack, url: str) -> None:
    path, stranger = pull_path(stack.node_id), bearer(stack.token(STRANGER))
    before = rows(stack)
    statuses = [ask(url, path, stranger).status for _ in range(REFUSALS)]
    limited = ask(url, path, stranger)
    assert (statuses, limited.status) == ([403] * REFUSALS, 429)
    assert limited.json["code"] == "rate_limited"
    assert 1 <= int(limited.headers["retry-after"]) <= 20
    assert rows(stack) - before <= REFUSALS
    assert ask(url, path, bearer(stack.token(f"node:{stack.node_id}"))).status == 200
    metrics = ask(url, "/metrics").body.decode()
    assert 'plexsphere_rate_limited_requests_total{limit="refusals"} 1.0' in metrics
