"""Credentials on real Postgres: conformance, and the changes of an operator with their audit."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import pytest

from db.connections import ReadSession, WriteSession
from db.credentials import PostgresNodeCredentials
from db.pool import Pool, write_pool
from server.cli.operators import operator
from tests.command_runs import run
from tests.factories import DOMAIN
from tests.integration.ledger_places import Gates
from tests.integration.ledger_rows import Hand
from tests.integration.registry_parts import digests_of
from tests.ports.node_credentials import NO_NODE, NODE, NodeCredentialsSuite

pytest_plugins = "tests.integration.ledger_fixtures"

OPERATOR = "operator:ann@desk"


@pytest.fixture
def hand(emptied: Hand) -> Hand:
    """On a ledger with one Node."""
    emptied.insert("domains", id=DOMAIN)
    emptied.insert("nodes", id=NODE, domain_id=DOMAIN)
    return emptied


@pytest.fixture
def writes(ledger_dsn: str) -> Iterator[Pool[WriteSession]]:
    made = write_pool(ledger_dsn, size=2, statement_timeout=5.0, lock_timeout=1.0)
    yield made
    made.close()


class CredentialsOnPostgres:
    def __init__(
        self, hand: Hand, gates: Gates, pool: Pool[ReadSession], writes: Pool[WriteSession]
    ) -> None:
        self.credentials = PostgresNodeCredentials(pool, writes)
        self._hand = hand
        self._gates = gates

    def now(self) -> datetime:
        found: datetime = self._hand.run("SELECT clock_timestamp()")[0][0]
        return found

    def tokens_not_before(self, node: UUID) -> datetime | None:
        return not_before(self._hand, node)

    def go_away(self) -> None:
        self._gates.shut()


def not_before(hand: Hand, node: UUID) -> datetime | None:
    rows = hand.run("SELECT tokens_not_before FROM plexsphere.nodes WHERE id = %s", node)
    found: datetime | None = rows[0][0]
    return found


class TestPostgresNodeCredentials(NodeCredentialsSuite):
    @pytest.fixture
    def facts(
        self, hand: Hand, gates: Gates, pool: Pool[ReadSession], writes: Pool[WriteSession]
    ) -> CredentialsOnPostgres:
        return CredentialsOnPostgres(hand, gates, pool, writes)


def on_record(hand: Hand) -> list[tuple[str, str, str, str]]:
    return hand.run(
        "SELECT relation, outcome, subject, object FROM plexsphere.audit_rows ORDER BY seq"
    )


def test_the_commands_give_a_key_and_end_it(hand: Hand) -> None:
    rotated = run("credentials", "rotate", str(NODE), "--dsn", hand.dsn)
    assert rotated.exit_code == 0, rotated.stderr
    secret = b64decode(rotated.stdout, validate=False)
    assert (len(secret), digests_of(hand, NODE)) == (32, (sha256(secret).digest(),))
    assert run("credentials", "revoke", str(NODE), "--dsn", hand.dsn).exit_code == 0
    assert digests_of(hand, NODE) == ()
    changed = operator(), f"node:{NODE}"
    assert on_record(hand) == [
        ("node.rotate_secret_key", "granted", *changed),
        ("node.revoke_credentials", "granted", *changed),
    ]


def test_a_command_about_no_node_is_one_sentence(hand: Hand) -> None:
    for word in ("rotate", "revoke"):
        refused = run("credentials", word, str(NO_NODE), "--dsn", hand.dsn)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert f"the ledger has no Node {NO_NODE}; nothing was changed." in refused.stderr
    assert on_record(hand) == []
