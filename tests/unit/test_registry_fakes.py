"""The fakes of the registry's ports keep what the ports promise."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from composer.errors import DatastoreUnavailable
from composer.registry import NewDomain
from tests.factories import WRITE
from tests.ports.deadlines import in_time
from tests.ports.domain_nodes import DomainNodesSuite
from tests.ports.domain_reader import DomainReaderSuite
from tests.ports.domain_registry import DomainRegistrySuite
from tests.ports.node_registry import NODE_QUOTA, RANGES, NodeRegistrySuite
from tests.registry_fakes import FakeDomainNodes, FakeDomainRegistry, FakeNodeRegistry


class DomainsInADict:
    def __init__(self) -> None:
        self.registry = FakeDomainRegistry()

    def slugs(self) -> set[str]:
        return {row.slug or "" for row in self.registry.reader.rows.values()}

    def values(self, domain_id: UUID) -> tuple[str, str | None, str | None, timedelta]:
        row = self.registry.reader.rows[domain_id]
        return row.name, row.description, row.region, row.reachability.stale_after

    def updated_at(self, domain_id: UUID) -> datetime | None:
        row = self.registry.reader.rows[domain_id]
        return None if row.updated_at == row.created_at else row.updated_at

    def occupy(self, domain_id: UUID) -> None:
        self.registry.occupied.add(domain_id)

    def go_away(self) -> None:
        self.registry.fails = DatastoreUnavailable("away")


class TestFakeDomainRegistry(DomainRegistrySuite):
    @pytest.fixture
    def facts(self) -> DomainsInADict:
        return DomainsInADict()


class NodesInADict:
    def __init__(self) -> None:
        self.registry = FakeNodeRegistry(dict(RANGES), node_quota=NODE_QUOTA)

    def key_of(self, node: UUID) -> bytes | None:
        row = self.registry.nodes.get(node)
        return row[1] if row else None

    def digests_of(self, node: UUID) -> tuple[bytes, ...]:
        return (self.registry.digests[node],)

    def time_passes(self) -> None:
        self.registry.release()

    def go_away(self) -> None:
        self.registry.fails = DatastoreUnavailable("away")


class TestFakeNodeRegistry(NodeRegistrySuite):
    @pytest.fixture
    def facts(self) -> NodesInADict:
        return NodesInADict()


class ReadsInADict:
    def __init__(self) -> None:
        self._registry = FakeDomainRegistry()
        self.reader = self._registry.reader

    def create(self, new: NewDomain) -> UUID:
        return self._registry.create(new, None, WRITE, in_time()).domain_id

    def go_away(self) -> None:
        self.reader.fails = DatastoreUnavailable("away")


class TestFakeDomainReader(DomainReaderSuite):
    @pytest.fixture
    def facts(self) -> ReadsInADict:
        return ReadsInADict()


class ListsInADict:
    def __init__(self) -> None:
        self.nodes = FakeDomainNodes()

    def put(self, domain_id: UUID, node: UUID, address: str) -> None:
        self.nodes.put(domain_id, node, address)

    def go_away(self) -> None:
        self.nodes.fails = DatastoreUnavailable("away")


class TestFakeDomainNodes(DomainNodesSuite):
    @pytest.fixture
    def facts(self) -> ListsInADict:
        return ListsInADict()
