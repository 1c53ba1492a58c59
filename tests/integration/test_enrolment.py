"""Bootstrap tokens on real Postgres: the port's suite, a race for one token, what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from composer.errors import ComposerError, TokenConsumed
from composer.registry import RegisteredNode
from db.connections import WriteSession
from db.enrolment import KEPT, PostgresBootstrapTokens
from db.pool import Pool, write_pool
from tests.factories import DOMAIN, WRITE, key_bytes
from tests.integration.ledger_places import Gates
from tests.integration.ledger_rows import Hand
from tests.integration.registry_parts import (
    HOLD_OFF,
    WRITERS,
    Time,
    add_domain,
    addresses,
    digests_of,
    forget,
    key_of,
)
from tests.ports.bootstrap_tokens import WANTED, BootstrapTokensSuite, enrolment
from tests.ports.deadlines import in_time
from tests.ports.node_registry import NODE_QUOTA, RANGES
from tests.waiting import at_once

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture
def hand(emptied: Hand) -> Hand:
    """On a ledger with Domains and no Node."""
    forget(emptied)
    for domain_id, mesh_cidr in RANGES.items():
        add_domain(emptied, domain_id, mesh_cidr)
    return emptied


@pytest.fixture
def writes(ledger_dsn: str) -> Iterator[Pool[WriteSession]]:
    made = write_pool(ledger_dsn, WRITERS, statement_timeout=20.0, lock_timeout=20.0)
    yield made
    made.close()


class TokensOfPostgres:
    def __init__(self, hand: Hand, gates: Gates, writes: Pool[WriteSession]) -> None:
        self._time = Time()
        self.tokens = PostgresBootstrapTokens(writes, HOLD_OFF, NODE_QUOTA, self._time)
        self._hand = hand
        self._gates = gates

    def digests_of(self, node: UUID) -> tuple[bytes, ...]:
        return digests_of(self._hand, node)

    def key_of(self, node: UUID) -> bytes | None:
        return key_of(self._hand, node)

    def time_passes(self, by: timedelta) -> None:
        self._time.passes(by)

    def go_away(self) -> None:
        self._gates.shut()


@pytest.fixture
def facts(hand: Hand, gates: Gates, writes: Pool[WriteSession]) -> TokensOfPostgres:
    return TokensOfPostgres(hand, gates, writes)


class TestPostgresBootstrapTokens(BootstrapTokensSuite):
    @pytest.fixture
    def facts(self, hand: Hand, gates: Gates, writes: Pool[WriteSession]) -> TokensOfPostgres:
        return TokensOfPostgres(hand, gates, writes)


def test_one_token_makes_one_node_of_32_at_once(hand: Hand, facts: TokensOfPostgres) -> None:
    token = facts.tokens.issue(DOMAIN, WANTED, WRITE, in_time())

    def enrolled(number: int) -> RegisteredNode | ComposerError:
        wanted = enrolment(number, secret_key_digest=key_bytes(number))
        try:
            return facts.tokens.enrol(token.token_id, wanted, WRITE, in_time())
        except ComposerError as error:
            return error

    found = at_once([partial(enrolled, number) for number in range(32)])
    made = [node for node in found if isinstance(node, RegisteredNode)]
    raised = [error for error in found if isinstance(error, ComposerError)]
    assert [node.mesh_ip for node in made] == addresses(hand, DOMAIN) == ["10.42.0.1"]
    assert {type(error) for error in raised} == {TokenConsumed}
    assert len(raised) == 31


def test_a_statement_that_is_sent_twice_finds_the_node_that_it_made(
    hand: Hand, facts: TokensOfPostgres
) -> None:
    """The pool sends a statement again where a connection is lost before its answer."""
    token = facts.tokens.issue(DOMAIN, WANTED, WRITE, in_time())
    nodes = {
        facts.tokens.enrol(token.token_id, enrolment(1), WRITE, in_time()).node_id for _ in range(2)
    }
    assert len(nodes) == len(addresses(hand, DOMAIN)) == 1
    on_record = hand.run("SELECT object FROM plexsphere.audit_rows WHERE object LIKE 'node:%'")
    assert on_record == [(f"node:{nodes.pop()}",)]


def test_tokens_go_long_after_their_time_and_with_their_domain(
    hand: Hand, facts: TokensOfPostgres
) -> None:
    def kept() -> int:
        return len(hand.run("SELECT id FROM plexsphere.bootstrap_tokens"))

    first = facts.tokens.issue(DOMAIN, WANTED, WRITE, in_time())
    facts.tokens.enrol(first.token_id, enrolment(1), WRITE, in_time())
    facts.time_passes(KEPT)
    facts.tokens.issue(DOMAIN, WANTED, WRITE, in_time())
    assert kept() == 2
    facts.time_passes(WANTED.lifetime + timedelta(seconds=1))
    facts.tokens.issue(DOMAIN, WANTED, WRITE, in_time())
    assert kept() == 2
    hand.run("DELETE FROM plexsphere.nodes")
    hand.run("DELETE FROM plexsphere.domains WHERE id = %s", DOMAIN)
    assert kept() == 0
