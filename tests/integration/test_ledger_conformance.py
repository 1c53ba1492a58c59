"""The port-conformance suites of Ledger, NodeRepo and AuditSink, on real Postgres."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID, uuid4

import pytest

from composer.audit import AuditRecord, AuditRow
from composer.identity import AddressedDomain, AddressedNode
from composer.snapshot import SiteToSiteTunnel, UserAccessProvider
from db.audit import PostgresAuditSink
from db.audit_reader import PostgresDomainAuditReader
from db.connections import ReadSession
from db.domains import PostgresDomainRepo
from db.history import BodyQueue
from db.ledger import PostgresLedger
from db.nodes import PostgresNodeRepo
from db.pool import Pool
from tests.factories import DOMAIN, node_id
from tests.integration.ledger_places import Gates
from tests.integration.ledger_rows import Hand
from tests.ports.audit_sink import AuditSinkSuite
from tests.ports.body_history import BodyHistorySuite
from tests.ports.domain_audit_reader import DomainAuditReaderSuite
from tests.ports.domain_repo import DomainRepoSuite
from tests.ports.ledger import Contents, LedgerSuite
from tests.ports.node_repo import NodeRepoSuite

pytest_plugins = "tests.integration.ledger_fixtures"

ADDRESSED = node_id(1)


@pytest.fixture
def hand(emptied: Hand) -> Hand:
    """On an empty ledger."""
    return emptied


class PostgresLedgerFacts:
    """Writes with plain SQL what the adapter is to read."""

    def __init__(self, hand: Hand, gates: Gates, pool: Pool[ReadSession]) -> None:
        self.ledger = PostgresLedger(pool, cached_rows=200_000)
        self._hand = hand
        self._gates = gates

    def hold(self, contents: Contents) -> None:
        self._hand.run("DELETE FROM plexsphere.nodes WHERE domain_id = %s", DOMAIN)
        self._hand.run("DELETE FROM plexsphere.domains WHERE id = %s", DOMAIN)
        self._hand.insert("domains", id=DOMAIN)
        for row in contents.nodes:
            self._hand.insert(
                "nodes",
                id=row.node_id,
                domain_id=DOMAIN,
                mesh_ip=row.mesh_ip,
                public_key=row.public_key,
            )
        self._hand.run(
            "UPDATE plexsphere.nodes SET reachability_state = %s, last_heartbeat_at = %s,"
            " changed_at = %s WHERE id = %s",
            contents.reachability.state,
            contents.reachability.last_heartbeat_at,
            contents.reachability.changed_at,
            ADDRESSED,
        )
        for rules in contents.rule_sets:
            self._hand.rule_set(ADDRESSED, rules)
        for entry in contents.entries:
            self._hand.insert(
                "node_state_entries",
                node_id=ADDRESSED,
                kind=entry.kind,
                key=entry.key,
                value=entry.value,
                workload_tag=entry.workload_tag,
            )
        if contents.bridge is not None:
            self._hold_bridge(contents)

    def _hold_bridge(self, contents: Contents) -> None:
        bridge = contents.bridge
        assert bridge is not None
        resource = uuid4()
        self._hand.insert("bridge_resources", id=resource, node_id=ADDRESSED)
        if bridge.relay is not None:
            self._hand.insert(
                "bridge_relays",
                bridge_resource_id=resource,
                enabled=bridge.relay.enabled,
                listen_port=bridge.relay.listen_port,
            )
        for assignment in bridge.assignments:
            self._hand.assign(
                resource,
                assignment.peer_node_id,
                assignment.fallback_endpoint,
                assignment.fallback_endpoint_port,
            )
        for provider in bridge.providers:
            self._hand.insert(
                "bridge_user_access_providers",
                bridge_resource_id=resource,
                **_fields(provider),
            )
        for rule in bridge.ingress_rules:
            self._hand.insert("bridge_ingress_rules", bridge_resource_id=resource, **_fields(rule))
        for tunnel in bridge.tunnels:
            self._hand.insert(
                "bridge_site_to_site_tunnels", bridge_resource_id=resource, **_fields(tunnel)
            )

    def heartbeat(self, at: datetime) -> None:
        self._hand.run(
            "UPDATE plexsphere.nodes SET last_heartbeat_at = %s WHERE id = %s", at, ADDRESSED
        )

    def rekey(self, node: UUID, public_key: bytes) -> None:
        self._hand.run(
            "UPDATE plexsphere.nodes SET public_key = %s WHERE id = %s", public_key, node
        )

    def go_away(self) -> None:
        self._gates.shut()


class TestPostgresLedger(LedgerSuite):
    @pytest.fixture
    def facts(self, hand: Hand, gates: Gates, pool: Pool[ReadSession]) -> PostgresLedgerFacts:
        return PostgresLedgerFacts(hand, gates, pool)


class PostgresNodeFacts:
    """Nodes of one Domain, without address or key."""

    def __init__(self, hand: Hand, gates: Gates, pool: Pool[ReadSession]) -> None:
        self.repo = PostgresNodeRepo(pool)
        self._hand = hand
        self._gates = gates
        hand.insert("domains", id=DOMAIN)

    def put(self, node: AddressedNode) -> None:
        self.remove(node.id)
        self._hand.insert(
            "nodes", id=node.id, domain_id=node.domain_id, authz_token=node.authz_token
        )

    def remove(self, node: UUID) -> None:
        self._hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", node)

    def go_away(self) -> None:
        self._gates.shut()


class TestPostgresNodeRepo(NodeRepoSuite):
    @pytest.fixture
    def facts(self, hand: Hand, gates: Gates, pool: Pool[ReadSession]) -> PostgresNodeFacts:
        return PostgresNodeFacts(hand, gates, pool)


class PostgresDomainFacts:
    """Domains with nothing but an id and a token."""

    def __init__(self, hand: Hand, gates: Gates, pool: Pool[ReadSession]) -> None:
        self.repo = PostgresDomainRepo(pool)
        self._hand = hand
        self._gates = gates

    def put(self, domain: AddressedDomain) -> None:
        self.remove(domain.id)
        self._hand.insert("domains", id=domain.id, authz_token=domain.authz_token)

    def remove(self, domain: UUID) -> None:
        self._hand.run("DELETE FROM plexsphere.domains WHERE id = %s", domain)

    def go_away(self) -> None:
        self._gates.shut()


class TestPostgresDomainRepo(DomainRepoSuite):
    @pytest.fixture
    def facts(self, hand: Hand, gates: Gates, pool: Pool[ReadSession]) -> PostgresDomainFacts:
        return PostgresDomainFacts(hand, gates, pool)


class PostgresTrailFacts:
    """Rows with the sequence that a test gives them."""

    def __init__(self, hand: Hand, gates: Gates, pool: Pool[ReadSession]) -> None:
        self.reader = PostgresDomainAuditReader(pool)
        self._hand = hand
        self._gates = gates

    def put(self, domain: UUID | None, *rows: AuditRecord) -> None:
        for row in rows:
            self._hand.insert("audit_rows", domain_id=domain, **asdict(row))
            self._hand.run(
                "SELECT setval(s, greatest(nextval(s), %s)) FROM (VALUES (%s)) AS v (s)",
                row.seq,
                "plexsphere.audit_rows_seq",
            )

    def go_away(self) -> None:
        self._gates.shut()


class TestPostgresDomainAuditReader(DomainAuditReaderSuite):
    @pytest.fixture
    def facts(self, hand: Hand, gates: Gates, pool: Pool[ReadSession]) -> PostgresTrailFacts:
        return PostgresTrailFacts(hand, gates, pool)


class PostgresAuditFacts:
    """Rows are read back with plain SQL, in the order of their sequence."""

    def __init__(self, hand: Hand, gates: Gates) -> None:
        self.sink = PostgresAuditSink(hand.dsn, on_lost=lambda rows, reason: None, capacity=9)
        self._hand = hand
        self._gates = gates

    def kept(self) -> Sequence[AuditRow]:
        assert self.sink.flush(10.0)
        found = self._hand.run(
            "SELECT relation, outcome, subject, object, correlation_id, digest"
            " FROM plexsphere.audit_rows ORDER BY seq"
        )
        return [AuditRow(*row) for row in found]

    def go_away(self) -> None:
        self._gates.shut()


class TestPostgresAuditSink(AuditSinkSuite):
    @pytest.fixture
    def facts(self, hand: Hand, gates: Gates) -> Iterator[PostgresAuditFacts]:
        made = PostgresAuditFacts(hand, gates)
        yield made
        made.sink.close(0.0)


def _fields(value: object) -> dict[str, object]:
    fields = {name: getattr(value, name) for name in type(value).__slots__}  # type: ignore[attr-defined]
    if isinstance(value, UserAccessProvider):
        fields["routing_policy"] = json.dumps(value.routing_policy)
    if isinstance(value, SiteToSiteTunnel):
        fields["allowed_subnets"] = "{" + ",".join(value.allowed_subnets) + "}"
    return fields


class PostgresBodyFacts:
    def __init__(self, hand: Hand, gates: Gates) -> None:
        self.node = f"node:{hand.node(hand.domain())}"
        self.history = BodyQueue(10, on_lost=lambda bodies, reason: None)
        self.sink = PostgresAuditSink(
            hand.dsn, on_lost=lambda rows, reason: None, capacity=9, bodies=self.history
        )
        self._hand = hand
        self._gates = gates

    def kept(self) -> Sequence[tuple[str, bytes]]:
        self.sink.record(AuditRow("node_state.pull", "granted", "user:ann", self.node, "c"))
        assert self.sink.flush(10.0)
        found = self._hand.run(
            "SELECT digest, body FROM plexsphere.node_bodies WHERE node_id = %s ORDER BY served_at",
            self.node.removeprefix("node:"),
        )
        return [(digest, zlib.decompress(body)) for digest, body in found]

    def go_away(self) -> None:
        self._gates.shut()


class TestBodyQueue(BodyHistorySuite):
    @pytest.fixture
    def facts(self, hand: Hand, gates: Gates) -> Iterator[PostgresBodyFacts]:
        made = PostgresBodyFacts(hand, gates)
        yield made
        made.sink.close(0.0)
