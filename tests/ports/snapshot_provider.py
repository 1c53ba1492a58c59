"""The promises of every SnapshotProvider (``composer.snapshot_composer.SnapshotProvider``)."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import pytest

from composer.errors import DatastoreUnavailable, DomainNotFound, NodeNotFound
from composer.snapshot_composer import SnapshotProvider
from tests.factories import DOMAIN, node_id
from tests.ports.deadlines import expired, in_time

OTHER_DOMAIN = UUID("0190b2c4-0000-7000-8000-00000000d0d1")


class SnapshotFacts(Protocol):
    """A ledger that holds the Nodes 1, 2 and 3 of one Domain, Node 1's blocks all filled."""

    provider: SnapshotProvider

    def go_away(self) -> None:
        """From now on the ledger does not answer."""
        ...


class SnapshotProviderSuite:
    """Override ``facts``."""

    @pytest.fixture
    def facts(self) -> SnapshotFacts:
        raise NotImplementedError

    def test_the_peers_are_the_others_ascending(self, facts: SnapshotFacts) -> None:
        snapshot = facts.provider.snapshot_for_node(node_id(2), DOMAIN, in_time())
        assert [peer.node_id for peer in snapshot.peers] == [node_id(1), node_id(3)]

    def test_state_and_reports_are_the_same_value(self, facts: SnapshotFacts) -> None:
        snapshot = facts.provider.snapshot_for_node(node_id(1), DOMAIN, in_time())
        assert snapshot.reports is snapshot.state

    def test_no_block_is_left_out(self, facts: SnapshotFacts) -> None:
        snapshot = facts.provider.snapshot_for_node(node_id(1), DOMAIN, in_time())
        filled = (
            snapshot.policy is not None,
            snapshot.bridge is not None,
            snapshot.reachability.state == "healthy",
            bool(snapshot.state.metadata and snapshot.state.data and snapshot.state.reports),
        )
        assert filled == (True, True, True, True)

    @pytest.mark.parametrize(
        ("node", "domain"), [(node_id(9), DOMAIN), (node_id(1), OTHER_DOMAIN)], ids=["node", "home"]
    )
    def test_a_node_that_is_not_in_the_domain_is_not_found(
        self, facts: SnapshotFacts, node: UUID, domain: UUID
    ) -> None:
        with pytest.raises(NodeNotFound):
            facts.provider.snapshot_for_node(node, domain, in_time())

    def test_the_peers_of_a_node_to_come_are_all_nodes(self, facts: SnapshotFacts) -> None:
        peers = facts.provider.domain_peers(DOMAIN, in_time())
        assert [peer.node_id for peer in peers.peers] == [node_id(1), node_id(2), node_id(3)]
        with pytest.raises(DomainNotFound):
            facts.provider.domain_peers(OTHER_DOMAIN, in_time())

    def test_a_ledger_that_is_away_gives_no_part(self, facts: SnapshotFacts) -> None:
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            facts.provider.domain_peers(DOMAIN, in_time())
        with pytest.raises(DatastoreUnavailable):
            facts.provider.snapshot_for_node(node_id(1), DOMAIN, in_time())

    def test_without_time_left_nothing_is_composed(self, facts: SnapshotFacts) -> None:
        with pytest.raises(DatastoreUnavailable):
            facts.provider.snapshot_for_node(node_id(1), DOMAIN, expired())
