"""The promises of every ReachabilityRepo (``composer.reachability.ReachabilityRepo``)."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol
from uuid import UUID

import pytest

from composer.errors import DatastoreUnavailable, NodeNotFound
from composer.reachability import STATES, ReachabilityRepo, ReachabilityRow
from tests.factories import EPOCH, node_id
from tests.ports.deadlines import expired, in_time

NODE = node_id(1)
SINCE = EPOCH - timedelta(microseconds=1)


class VerdictFacts(Protocol):
    """Where the columns live that ``repo`` looks up."""

    repo: ReachabilityRepo

    def put(self, node: UUID, row: ReachabilityRow) -> None:
        """Register the Node with these columns, or replace them."""
        ...

    def remove(self, node: UUID) -> None: ...

    def go_away(self) -> None: ...


class ReachabilityRepoSuite:
    """Override ``facts`` with a fixture that starts without any Node."""

    @pytest.fixture
    def facts(self) -> VerdictFacts:
        raise NotImplementedError

    @pytest.mark.parametrize("heard", [None, EPOCH], ids=["never", "once"])
    @pytest.mark.parametrize("state", STATES)
    def test_the_columns_come_as_they_stand(
        self, facts: VerdictFacts, state: str, heard: object
    ) -> None:
        row = ReachabilityRow(state, heard, SINCE)  # type: ignore[arg-type]
        facts.put(NODE, row)
        assert facts.repo.of_node(NODE, in_time()) == row

    def test_a_change_is_seen_by_the_next_look(self, facts: VerdictFacts) -> None:
        facts.put(NODE, ReachabilityRow("healthy", EPOCH, SINCE))
        facts.repo.of_node(NODE, in_time())
        facts.put(NODE, ReachabilityRow("stale", EPOCH, EPOCH))
        assert facts.repo.of_node(NODE, in_time()).state == "stale"

    def test_each_node_has_its_own(self, facts: VerdictFacts) -> None:
        facts.put(NODE, ReachabilityRow("healthy", EPOCH, SINCE))
        facts.put(node_id(2), ReachabilityRow("", None, SINCE))
        assert facts.repo.of_node(NODE, in_time()).state == "healthy"

    def test_a_node_that_is_gone_is_not_found(self, facts: VerdictFacts) -> None:
        facts.put(NODE, ReachabilityRow("healthy", EPOCH, SINCE))
        facts.remove(NODE)
        with pytest.raises(NodeNotFound):
            facts.repo.of_node(NODE, in_time())

    def test_a_store_that_is_away_is_said_to_be(self, facts: VerdictFacts) -> None:
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            facts.repo.of_node(NODE, in_time())

    def test_without_time_left_nothing_is_looked_up(self, facts: VerdictFacts) -> None:
        facts.put(NODE, ReachabilityRow("healthy", EPOCH, SINCE))
        with pytest.raises(DatastoreUnavailable):
            facts.repo.of_node(NODE, expired())
