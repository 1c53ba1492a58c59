"""The promises of every NodeRepo (``composer.identity.NodeRepo``)."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import pytest

from composer.errors import DatastoreUnavailable, NodeNotFound
from composer.identity import NIL, AddressedNode, NodeRepo
from tests.factories import addressed, node_id
from tests.ports.deadlines import expired, in_time


class NodeFacts(Protocol):
    """Where the Nodes live that ``repo`` looks up."""

    repo: NodeRepo

    def put(self, node: AddressedNode) -> None:
        """Register the Node, or replace what is known of it; without address and key will do."""
        ...

    def remove(self, node: UUID) -> None:
        """Deregister the Node."""
        ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


class NodeRepoSuite:
    """Override ``facts`` with a fixture that starts without any Node."""

    @pytest.fixture
    def facts(self) -> NodeFacts:
        raise NotImplementedError

    @pytest.mark.parametrize("token", [None, "GgQKAggB", ""], ids=["none", "some", "empty"])
    def test_a_node_is_found_with_its_domain_and_its_token(
        self, facts: NodeFacts, token: str | None
    ) -> None:
        facts.put(addressed(1, token))
        assert facts.repo.get_by_id(node_id(1), in_time()) == addressed(1, token)

    def test_each_node_is_found_as_itself(self, facts: NodeFacts) -> None:
        facts.put(addressed(1, "one"))
        facts.put(addressed(2, "two"))
        assert facts.repo.get_by_id(node_id(2), in_time()) == addressed(2, "two")

    @pytest.mark.parametrize("unknown", [node_id(2), NIL, UUID(int=2**128 - 1)], ids=str)
    def test_a_node_that_was_never_registered_is_not_found(
        self, facts: NodeFacts, unknown: UUID
    ) -> None:
        facts.put(addressed(1))
        with pytest.raises(NodeNotFound):
            facts.repo.get_by_id(unknown, in_time())

    def test_a_deregistered_node_is_not_found(self, facts: NodeFacts) -> None:
        facts.put(addressed(1))
        facts.remove(node_id(1))
        with pytest.raises(NodeNotFound):
            facts.repo.get_by_id(node_id(1), in_time())

    def test_a_new_token_is_seen_by_the_next_lookup(self, facts: NodeFacts) -> None:
        facts.put(addressed(1, "before"))
        facts.repo.get_by_id(node_id(1), in_time())
        facts.put(addressed(1, "after"))
        assert facts.repo.get_by_id(node_id(1), in_time()).authz_token == "after"

    def test_a_store_that_is_away_is_said_to_be(self, facts: NodeFacts) -> None:
        facts.put(addressed(1))
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            facts.repo.get_by_id(node_id(1), in_time())

    def test_a_store_that_is_away_does_not_say_that_a_node_is_missing(
        self, facts: NodeFacts
    ) -> None:
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            facts.repo.get_by_id(node_id(9), in_time())

    def test_without_time_left_nothing_is_looked_up(self, facts: NodeFacts) -> None:
        facts.put(addressed(1))
        with pytest.raises(DatastoreUnavailable):
            facts.repo.get_by_id(node_id(1), expired())
