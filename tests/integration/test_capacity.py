"""The questions of doctor about the sessions and the rows of a real Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from db.connections import ReadSession, SingleConnection, WriteSession
from db.health import (
    are_parameters_kept,
    are_transactions_pooled,
    connection_limit,
    duplicate_nodes,
)
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

if TYPE_CHECKING:
    from tests.integration.ledger_places import Home

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture
def connection(hand: Hand) -> Iterator[SingleConnection[ReadSession]]:
    with closing(SingleConnection(hand.dsn, ReadSession, application_name="t")) as made:
        yield made


def test_the_lowest_limit_counts(hand: Hand, connection: SingleConnection[ReadSession]) -> None:
    shared = connection_limit(connection, in_time())
    name = hand.run("SELECT current_database()")[0][0]
    hand.run(f"ALTER DATABASE {name} CONNECTION LIMIT 7")
    try:
        assert connection_limit(connection, in_time()) == 7 < shared
    finally:
        hand.run(f"ALTER DATABASE {name} CONNECTION LIMIT -1")


def test_connections_that_share_a_process_are_pooled(
    hand: Hand, connection: SingleConnection[ReadSession]
) -> None:
    with closing(SingleConnection(hand.dsn, ReadSession, application_name="t")) as other:
        assert not are_transactions_pooled(connection, other, in_time())
    # One connection twice looks as two of a pooler do.
    assert are_transactions_pooled(connection, connection, in_time())


def test_a_session_without_what_we_set_is_noticed(
    hand: Hand, connection: SingleConnection[ReadSession]
) -> None:
    assert are_parameters_kept(connection, in_time())
    with closing(SingleConnection(hand.dsn, WriteSession, application_name="t")) as other:
        assert not are_parameters_kept(other, in_time())


def test_nodes_with_one_address_or_one_key_are_found(
    home: Home, connection: SingleConnection[ReadSession]
) -> None:
    mine = str(home.domain)

    def found() -> list[tuple[str, int]]:
        rows = duplicate_nodes(connection, in_time())
        return [(row.column, row.nodes) for row in rows if row.domain_id == mine]

    before = found()
    home.hand.run(
        "UPDATE plexsphere.nodes SET mesh_ip = '10.42.0.9', public_key = '\\x01'"
        " WHERE id IN (%s, %s)",
        home.nodes[0],
        home.nodes[1],
    )
    assert (before, found()) == ([], [("mesh_ip", 2), ("public_key", 2)])
