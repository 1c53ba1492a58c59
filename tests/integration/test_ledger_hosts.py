"""One bad relay host would withhold the pulls of a whole Domain: the ledger lets none in."""

from __future__ import annotations

import psycopg2
import pytest

from server.dev.stack import Stack
from tests.client import ask, pull_path
from tests.ledger_sql import run_sql

SET_HOST = "UPDATE plexsphere.bridge_relay_assignments SET fallback_endpoint = %s"


@pytest.mark.parametrize(
    "host",
    ["", " ", "a\nb", "a b", "[2001:db8::7]", "relay.example:99", "-", "räläy.example", "h" * 254],
    ids=repr,
)
def test_a_host_that_is_none_does_not_get_in(stack: Stack, host: str) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation):
        run_sql(stack.dsn, SET_HOST, (host,))
    assert ask(stack.url, pull_path(stack.node_id), stack.headers).status == 200
