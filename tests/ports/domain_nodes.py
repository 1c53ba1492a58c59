"""The promises of every DomainNodes (``composer.registry.DomainNodes``)."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import pytest

from composer.errors import DatastoreUnavailable
from composer.identity import VisibleDomains
from composer.registry import DomainNodes
from tests.factories import DOMAIN, node_id
from tests.ports.deadlines import expired, in_time

IN_DOMAIN = VisibleDomains(frozenset({DOMAIN}))
OTHER = UUID("0190d000-0000-7000-8000-00000000ffff")


class DomainNodesFacts(Protocol):
    """Two Domains, without a Node."""

    nodes: DomainNodes

    def put(self, domain_id: UUID, node: UUID, address: str) -> None: ...

    def go_away(self) -> None: ...


class DomainNodesSuite:
    """Override ``facts`` with a fixture."""

    @pytest.fixture
    def facts(self) -> DomainNodesFacts:
        raise NotImplementedError

    @pytest.fixture
    def filled(self, facts: DomainNodesFacts) -> DomainNodesFacts:
        for number in (3, 1, 2):
            facts.put(DOMAIN, node_id(number), f"10.42.0.{number}")
        facts.put(OTHER, node_id(4), "10.43.0.4")
        return facts

    def ids(self, facts: DomainNodesFacts, after: UUID | None, limit: int) -> list[UUID]:
        return [node.id for node in facts.nodes.page(IN_DOMAIN, after, limit, in_time())]

    def test_nodes_come_by_id_and_no_more_than_asked_for(self, filled: DomainNodesFacts) -> None:
        assert self.ids(filled, None, 2) == [node_id(1), node_id(2)]
        assert self.ids(filled, None, 9) == [node_id(1), node_id(2), node_id(3)]

    def test_a_page_begins_after_a_node_that_need_not_be_there(
        self, filled: DomainNodesFacts
    ) -> None:
        assert self.ids(filled, node_id(1), 9) == [node_id(2), node_id(3)]
        assert self.ids(filled, node_id(3), 9) == []
        filled.put(DOMAIN, node_id(6), "10.42.0.6")
        assert self.ids(filled, node_id(5), 9) == [node_id(6)]

    def test_a_node_is_summed_up(self, filled: DomainNodesFacts) -> None:
        found = filled.nodes.page(IN_DOMAIN, None, 1, in_time())[0]
        assert (found.id, found.domain_id) == (node_id(1), DOMAIN)
        assert (found.name, found.mesh_ip) == ("", "10.42.0.1")
        assert found.created_at.tzinfo is not None

    def test_a_domain_that_is_not_there_has_none(self, filled: DomainNodesFacts) -> None:
        nowhere = VisibleDomains(frozenset({node_id(9)}))
        assert filled.nodes.page(nowhere, None, 9, in_time()) == []
        assert filled.nodes.page(VisibleDomains(frozenset()), None, 9, in_time()) == []

    def test_nodes_of_several_domains_and_of_all_are_one_list(
        self, filled: DomainNodesFacts
    ) -> None:
        filled.put(DOMAIN, node_id(5), "10.42.0.5")
        for visible in (VisibleDomains(frozenset({DOMAIN, OTHER})), VisibleDomains(None)):
            found = filled.nodes.page(visible, node_id(2), 2, in_time())
            assert [(node.id, node.domain_id) for node in found] == [
                (node_id(3), DOMAIN),
                (node_id(4), OTHER),
            ]

    def test_a_store_that_is_away_is_said_to_be(self, filled: DomainNodesFacts) -> None:
        with pytest.raises(DatastoreUnavailable):
            filled.nodes.page(IN_DOMAIN, None, 9, expired())
        filled.go_away()
        with pytest.raises(DatastoreUnavailable):
            filled.nodes.page(IN_DOMAIN, None, 9, in_time())
