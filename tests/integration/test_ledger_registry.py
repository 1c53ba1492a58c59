"""Domains and Nodes on real Postgres: the ports' suites, and what the ledger holds afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from composer.reachability import DEFAULT_POLICY, reachability_policy
from composer.registry import Domain, NewDomain, NewNode
from db.connections import ReadSession
from db.domains import PostgresDomainReader
from db.nodes import PostgresDomainNodes, PostgresNodeRegistry
from db.pool import Pool, read_pool
from tests.factories import DOMAIN, WRITE, key_bytes, registration
from tests.integration.ledger_places import Gates
from tests.integration.ledger_rows import Hand
from tests.integration.registry_parts import (
    HOLD_OFF,
    Registries,
    add_domain,
    digests_of,
    forget,
    key_of,
    registries,
)
from tests.ports.deadlines import in_time
from tests.ports.domain_nodes import OTHER, DomainNodesSuite
from tests.ports.domain_reader import DomainReaderSuite
from tests.ports.domain_registry import NORTH, SOUTH, DomainRegistrySuite
from tests.ports.node_registry import NODE_QUOTA, RANGES, NodeRegistrySuite

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture
def hand(emptied: Hand) -> Hand:
    """On an empty ledger."""
    forget(emptied)
    return emptied


@pytest.fixture
def made(ledger_dsn: str, hand: Hand) -> Iterator[Registries]:
    with registries(ledger_dsn) as both:
        yield both


class DomainsOfPostgres:
    def __init__(self, dsn: str, hand: Hand, gates: Gates, made: Registries) -> None:
        self.registry = made.domains
        self._dsn = dsn
        self._hand = hand
        self._gates = gates

    def slugs(self) -> set[str]:
        return {row[0] for row in self._hand.run("SELECT slug FROM plexsphere.domains")}

    def values(self, domain_id: UUID) -> tuple[str, str | None, str | None, timedelta]:
        row = self._row(domain_id)
        return row.name, row.description, row.region, row.reachability.stale_after

    def updated_at(self, domain_id: UUID) -> datetime | None:
        row = self._row(domain_id)
        return None if row.updated_at == row.created_at else row.updated_at

    def _row(self, domain_id: UUID) -> Domain:
        pool = read_pool(self._dsn, size=1, statement_timeout=5.0)
        try:
            return PostgresDomainReader(pool).read(domain_id, in_time())
        finally:
            pool.close()

    def occupy(self, domain_id: UUID) -> None:
        self._hand.node(domain_id)

    def go_away(self) -> None:
        self._gates.shut()


class TestPostgresDomainRegistry(DomainRegistrySuite):
    @pytest.fixture
    def facts(
        self, ledger_dsn: str, hand: Hand, gates: Gates, made: Registries
    ) -> DomainsOfPostgres:
        return DomainsOfPostgres(ledger_dsn, hand, gates, made)


class ReadsOfPostgres:
    def __init__(self, pool: Pool[ReadSession], gates: Gates, made: Registries) -> None:
        self.reader = PostgresDomainReader(pool)
        self._gates = gates
        self._made = made

    def create(self, new: NewDomain) -> UUID:
        return self._made.domains.create(new, None, WRITE, in_time()).domain_id

    def go_away(self) -> None:
        self._gates.shut()


class TestPostgresDomainReader(DomainReaderSuite):
    @pytest.fixture
    def facts(self, pool: Pool[ReadSession], gates: Gates, made: Registries) -> ReadsOfPostgres:
        return ReadsOfPostgres(pool, gates, made)


class NodesOfPostgres:
    def __init__(self, hand: Hand, gates: Gates, made: Registries) -> None:
        self.registry = PostgresNodeRegistry(made.pool, HOLD_OFF, NODE_QUOTA, made.time)
        self._hand = hand
        self._gates = gates
        self._time = made.time
        for domain_id, mesh_cidr in RANGES.items():
            add_domain(hand, domain_id, mesh_cidr)

    def key_of(self, node: UUID) -> bytes | None:
        return key_of(self._hand, node)

    def digests_of(self, node: UUID) -> tuple[bytes, ...]:
        return digests_of(self._hand, node)

    def time_passes(self) -> None:
        self._time.passes(HOLD_OFF)

    def go_away(self) -> None:
        self._gates.shut()


class TestPostgresNodeRegistry(NodeRegistrySuite):
    @pytest.fixture
    def facts(self, hand: Hand, gates: Gates, made: Registries) -> NodesOfPostgres:
        return NodesOfPostgres(hand, gates, made)


class ListsOfPostgres:
    def __init__(self, hand: Hand, gates: Gates, pool: Pool[ReadSession]) -> None:
        self.nodes = PostgresDomainNodes(pool)
        self._hand = hand
        self._gates = gates
        for domain_id in (DOMAIN, OTHER):
            hand.insert("domains", id=domain_id)

    def put(self, domain_id: UUID, node: UUID, address: str) -> None:
        self._hand.insert("nodes", id=node, domain_id=domain_id, mesh_ip=address)

    def go_away(self) -> None:
        self._gates.shut()


class TestPostgresDomainNodes(DomainNodesSuite):
    @pytest.fixture
    def facts(self, hand: Hand, gates: Gates, pool: Pool[ReadSession]) -> ListsOfPostgres:
        return ListsOfPostgres(hand, gates, pool)


def outbox(hand: Hand) -> list[tuple[object, ...]]:
    return hand.run("SELECT type, object, tuples FROM plexsphere.outbox ORDER BY seq")


def test_each_write_leaves_its_event_with_its_tuples(hand: Hand, made: Registries) -> None:
    domain = made.domains.create(NORTH, None, WRITE, in_time()).domain_id
    node = made.nodes.register(
        domain, registration(NewNode(key_bytes(1)), None), WRITE, in_time()
    ).node_id
    made.nodes.rotate_key(node, key_bytes(2), WRITE, in_time())
    made.nodes.deregister(node, WRITE, in_time())
    made.domains.delete(domain, WRITE, in_time())
    of_node, of_domain = f"node:{node}", f"domain:{domain}"

    def touch(resource: str, relation: str, subject: str) -> dict[str, str]:
        return {
            "operation": "touch", "resource": resource, "relation": relation, "subject": subject
        }  # fmt: skip

    granted = [touch(of_node, "agent", of_node), touch(of_node, "domain", of_domain)]
    assert outbox(hand) == [
        ("domain_created", of_domain, [touch(of_domain, "platform", "platform:plexsphere")]),
        ("peer_added", of_node, granted),
        ("peer_removed", of_node, [{"operation": "purge", "resource": of_node}]),
        ("domain_deleted", of_domain, [{"operation": "purge", "resource": of_domain}]),
    ]  # fmt: skip


def test_what_is_found_or_refused_or_the_same_leaves_no_event(hand: Hand, made: Registries) -> None:
    domain = made.domains.create(NORTH, "k", WRITE, in_time()).domain_id
    node = made.nodes.register(
        domain, registration(NewNode(key_bytes(1)), "k"), WRITE, in_time()
    ).node_id
    before = outbox(hand)
    made.domains.create(NORTH, "k", WRITE, in_time())
    made.nodes.register(domain, registration(NewNode(key_bytes(1)), "k"), WRITE, in_time())
    made.nodes.rotate_key(node, key_bytes(1), WRITE, in_time())
    with pytest.raises(Exception, match="domain_id"):
        made.domains.delete(domain, WRITE, in_time())
    assert (len(before), outbox(hand)) == (2, before)


def test_what_hangs_on_a_domain_goes_with_it(hand: Hand, made: Registries) -> None:
    domain = made.domains.create(NORTH, None, WRITE, in_time()).domain_id
    hand.insert("role_grants", object=f"domain:{domain}", relation="viewer", subject="user:ann")
    hand.insert("role_grants", object="platform:plexsphere", relation="manager", subject="user:bob")
    node = made.nodes.register(
        domain, registration(NewNode(key_bytes(1)), "k"), WRITE, in_time()
    ).node_id
    made.nodes.deregister(node, WRITE, in_time())
    made.domains.delete(domain, WRITE, in_time())
    left = hand.run("SELECT subject FROM plexsphere.role_grants")
    assert left == [("user:bob",)]
    for table in ("idempotency_keys", "released_addresses"):
        assert hand.run(f"SELECT * FROM plexsphere.{table}") == []


def test_a_registration_and_a_rotation_change_the_revision_and_a_retry_does_not(
    hand: Hand, made: Registries
) -> None:
    add_domain(hand, DOMAIN, "10.42.0.0/16")
    seen = [hand.revision(DOMAIN)]
    node = made.nodes.register(
        DOMAIN, registration(NewNode(key_bytes(1)), "k"), WRITE, in_time()
    ).node_id
    seen.append(hand.revision(DOMAIN))
    made.nodes.register(DOMAIN, registration(NewNode(key_bytes(1)), "k"), WRITE, in_time())
    assert hand.revision(DOMAIN) == seen[-1]
    made.nodes.rotate_key(node, key_bytes(2), WRITE, in_time())
    seen.append(hand.revision(DOMAIN))
    made.nodes.deregister(node, WRITE, in_time())
    seen.append(hand.revision(DOMAIN))
    assert len(set(seen)) == 4


def test_the_optional_members_of_a_domain_are_kept(hand: Hand, made: Registries) -> None:
    made.domains.create(
        NewDomain("S", "s", "fd00:7::/64", "Presses.", "eu"), None, WRITE, in_time()
    )
    rows = hand.run(
        "SELECT name, slug, mesh_cidr::text, description, region FROM plexsphere.domains"
    )
    assert rows == [("S", "s", "fd00:7::/64", "Presses.", "eu")]  # fmt: skip


def test_a_domains_own_policy_is_kept_and_read(
    ledger_dsn: str, hand: Hand, made: Registries
) -> None:
    policy = reachability_policy(*(timedelta(seconds=seconds) for seconds in (10, 30, 61)))
    with_policy = made.domains.create(replace(NORTH, reachability=policy), None, WRITE, in_time())
    without = made.domains.create(SOUTH, None, WRITE, in_time())
    pool = read_pool(ledger_dsn, size=1, statement_timeout=5.0)
    try:
        reader = PostgresDomainReader(pool)
        assert reader.read(with_policy.domain_id, in_time()).reachability == policy
        assert reader.read(without.domain_id, in_time()).reachability == DEFAULT_POLICY
    finally:
        pool.close()
