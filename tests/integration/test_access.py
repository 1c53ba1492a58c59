"""Nodes that lost a relationship or a credential, as a process is told of them."""

from __future__ import annotations

from uuid import UUID

import pytest

from db.access import ReducedAccess
from tests.factories import node_id
from tests.integration.ledger_rows import Hand

pytest_plugins = "tests.integration.ledger_fixtures"


class Reduced(Exception):
    """Ends the listening."""


def test_a_notification_of_another_program_is_logged_and_ignored(
    hand: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    def notify() -> None:
        for payload in ("reload", str(node_id(1)).upper(), str(node_id(1))):
            hand.run("SELECT pg_notify('plexsphere_access', %s)", payload)

    def reduced(node: UUID) -> None:
        raise Reduced(node)

    with pytest.raises(Reduced, match=str(node_id(1))):
        ReducedAccess(hand.dsn, reduced, on_gap=notify).run()
    assert [record.message for record in caplog.records] == 2 * ["access_notification_ignored"]
