"""Stand-ins of the test build that agree with each other: one registry is behind all of them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import DomainNotFound, NodeNotFound
from composer.identity import AddressedDomain, AddressedNode, Principal, VisibleDomains
from composer.node_token import NodeToken
from composer.peers import PeerRow, PeerTable
from composer.position import LedgerPosition
from composer.registry import NodeSummary
from tests.domain_fakes import FakeDomainReader
from tests.factories import EPOCH
from tests.fakes import FakeView
from tests.registry_fakes import FakeNodeRegistry

OPERATOR, AUDITOR = "user:operator", "user:auditor"
OF_AN_AGENT = ("node-agent", "node-view")


@dataclass
class Roles:
    """Every Node is its own agent, the operator manages the platform, the auditor reads audits;
    who is in ``lax`` (subject, resource) holds whatever relation is asked for."""

    lax: set[tuple[str, str]] = field(default_factory=set)
    fails: Exception | None = None

    def check(self, principal: Principal, relation: str, resource: str, deadline: Deadline) -> bool:
        if self.fails is not None:
            raise self.fails
        subject = principal.subject
        if relation in OF_AN_AGENT and subject == resource:
            return True
        holder = AUDITOR if relation == "auditor" else OPERATOR
        return (relation != "node-agent" and subject == holder) or (subject, resource) in self.lax

    check_now = check

    def check_at_least(
        self, principal: Principal, relation: str, resource: str, token: str, deadline: Deadline
    ) -> bool:
        return self.check(principal, relation, resource, deadline)

    def objects_of(
        self, principal: Principal, relation: str, kind: str, deadline: Deadline
    ) -> frozenset[UUID]:
        return frozenset()  # the operator manages the platform, and nobody else has a role

    def last_token(self, principal: Principal, relation: str, resource: str) -> str | None:
        return None


@dataclass
class Ledgers:
    """The Nodes of a registry and the Domains of a reader, as every other port reads them.

    A Node's blocks but for its peers are ``blocks``, whoever it is.
    """

    node_registry: FakeNodeRegistry
    reader: FakeDomainReader
    blocks: dict[str, Any] = field(default_factory=dict)
    fails: Exception | None = None

    def view(self, node_id: UUID, domain_id: UUID, deadline: Deadline) -> FakeView:
        self._sound()
        rows = self._rows(domain_id)
        if node_id not in {row.node_id for row in rows}:
            raise NodeNotFound(f"node_id={node_id}")
        # one set of rows is one revision, in whichever build
        revision = UUID(bytes=hashlib.sha256(repr(rows).encode()).digest()[:16])
        return FakeView(PeerTable(domain_id, revision, rows), **self.blocks)

    def page(
        self, visible: VisibleDomains, after: UUID | None, limit: int, deadline: Deadline
    ) -> Sequence[NodeSummary]:
        self._sound()
        nodes = [
            NodeSummary(node, domain, "", address, EPOCH)
            for node, (domain, _, address) in sorted(self.node_registry.nodes.items())
            if visible.ids is None or domain in visible.ids
        ]
        return [node for node in nodes if after is None or node.id > after][:limit]

    def _rows(self, domain_id: UUID) -> tuple[PeerRow, ...]:
        return tuple(
            PeerRow(node_id, address, key)
            for node_id, (domain, key, address) in sorted(self.node_registry.nodes.items())
            if domain == domain_id
        )

    def _sound(self) -> None:
        if self.fails is not None:
            raise self.fails


@dataclass
class Nodes:
    """Gate 3."""

    node_registry: FakeNodeRegistry
    fails: Exception | None = None

    def get_by_id(self, node_id: UUID, deadline: Deadline) -> AddressedNode:
        if self.fails is not None:
            raise self.fails
        if node_id not in self.node_registry.nodes:
            raise NodeNotFound(f"node_id={node_id}")
        return AddressedNode(node_id, self.node_registry.nodes[node_id][0], None)

    def get_for_snapshot(
        self, node_id: UUID, deadline: Deadline, presented: LedgerPosition | None = None
    ) -> AddressedNode:
        return self.get_by_id(node_id, deadline)


@dataclass
class Domains:
    """Gate 3 of the operations on a Domain."""

    reader: FakeDomainReader
    fails: Exception | None = None

    def get_by_id(self, domain_id: UUID, deadline: Deadline) -> AddressedDomain:
        if self.fails is not None:
            raise self.fails
        if domain_id not in self.reader.rows:
            raise DomainNotFound(f"domain_id={domain_id}")
        return AddressedDomain(domain_id, None)


@dataclass
class PlainMint:
    """JWTs that anybody can read, which is all that `sub` needs here; ``of`` is a breach's."""

    of: UUID | None = None
    fails: Exception | None = None

    def mint(self, node_id: UUID, tokens_not_before: datetime | None) -> NodeToken:
        if self.fails is not None:
            raise self.fails
        claims = json.dumps({"sub": f"node:{self.of or node_id}"}).encode()
        text = base64.urlsafe_b64encode(claims).rstrip(b"=").decode()
        return NodeToken(f"e30.{text}.c2ln", datetime.now(UTC) + timedelta(hours=24))
