"""The promises of every Ledger and its views: the facts, then the suite."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import pytest

from composer.bridge import BridgeRows
from composer.entries import EntryRow
from composer.errors import DatastoreUnavailable, DomainNotFound, NodeNotFound
from composer.peers import PeerRow
from composer.policy import RuleSetRow
from composer.reachability import ReachabilityRow
from composer.snapshot_composer import Ledger, LedgerView
from tests.factories import (
    ALLOW_HTTPS,
    DENY_ALL_6,
    DOMAIN,
    EPOCH,
    assignment,
    bridge_rows,
    entry,
    node_id,
    peer_row,
    rule_set,
)
from tests.ports.deadlines import expired, in_time

ADDRESSED = node_id(1)
OTHER_DOMAIN = UUID("0190b2c4-0000-7000-8000-00000000d0d1")
HEALTHY = ReachabilityRow("healthy", EPOCH, EPOCH)
CORRUPT = [
    peer_row(4, mesh_ip=None),
    peer_row(5, public_key=None),
    peer_row(6, public_key=b""),
    peer_row(7, public_key=b"short"),
    peer_row(8, mesh_ip="0.0.0.0"),
]


@dataclass(frozen=True, slots=True)
class Contents:
    """One Domain and the blocks of Node 1. A row's relay follows from ``bridge``, not from it."""

    nodes: tuple[PeerRow, ...] = (peer_row(1), peer_row(2), peer_row(3, mesh_ip="fd00:42::3"))
    reachability: ReachabilityRow = HEALTHY
    rule_sets: tuple[RuleSetRow, ...] = ()
    bridge: BridgeRows | None = None
    entries: tuple[EntryRow, ...] = ()

    def rows(self) -> set[PeerRow]:
        """The rows that a PeerSource must show: each Node with the enabled relay assigned to it."""
        relay = self.bridge is not None and self.bridge.relay is not None and self.bridge.relay
        found = (
            {assignment.peer_node_id: assignment for assignment in self.bridge.assignments}
            if self.bridge
            else {}
        )
        return {
            replace(
                row,
                relay_host=found[row.node_id].fallback_endpoint,
                relay_port=found[row.node_id].fallback_endpoint_port,
            )
            if relay and relay.enabled and row.node_id in found
            else row
            for row in self.nodes
        }


FULL = Contents(
    nodes=(peer_row(1), peer_row(2), peer_row(3, mesh_ip="fd00:42::3"), *CORRUPT),
    rule_sets=(rule_set(2, ALLOW_HTTPS), rule_set(1, DENY_ALL_6, ALLOW_HTTPS), rule_set(3)),
    bridge=bridge_rows(assignments=(assignment(3, fallback_endpoint="fd00::1"), assignment(2))),
    entries=(
        entry("report", "disk", "ok", "agent"),
        entry("metadata", "region", "eu-central"),
        entry("data", "site", "Zürich 𝄞 \u2028 \\ \" '"),
        entry("data", "empty", ""),
        entry("metadata", "z" * 128, "v" * 4096, ""),
    ),
)


class LedgerFacts(Protocol):
    """Where the rows live that ``ledger`` reads."""

    ledger: Ledger

    def hold(self, contents: Contents) -> None:
        """Replace the Domain ``factories.DOMAIN`` by this one."""
        ...

    def heartbeat(self, at: datetime) -> None:
        """A heartbeat of Node 1 was accepted."""
        ...

    def rekey(self, node: UUID, public_key: bytes) -> None:
        """A Node has a new key."""
        ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


class LedgerSuite:
    """Override ``facts`` with a fixture that starts with an empty ledger."""

    @pytest.fixture
    def facts(self) -> LedgerFacts:
        raise NotImplementedError

    def view(self, facts: LedgerFacts) -> LedgerView:
        return facts.ledger.view(ADDRESSED, DOMAIN, in_time())

    def test_every_node_of_the_domain_is_shown_corrupt_ones_and_itself_too(
        self, facts: LedgerFacts
    ) -> None:
        facts.hold(FULL)
        assert set(self.view(facts).peers().rows) == FULL.rows()

    def test_no_node_is_shown_twice(self, facts: LedgerFacts) -> None:
        facts.hold(FULL)
        assert len(self.view(facts).peers().rows) == len(FULL.nodes)

    def test_the_peers_of_a_node_to_come_are_those_rows_at_the_same_revision(
        self, facts: LedgerFacts
    ) -> None:
        facts.hold(FULL)
        before = facts.ledger.peers(DOMAIN, in_time())
        shown = self.view(facts).peers()
        assert (before.revision, set(before.rows)) == (shown.revision, FULL.rows())
        facts.rekey(node_id(2), b"K" * 32)
        keys = {row.public_key for row in facts.ledger.peers(DOMAIN, in_time()).rows}
        assert b"K" * 32 in keys

    def test_a_domain_that_is_not_there_has_no_peers(self, facts: LedgerFacts) -> None:
        facts.hold(FULL)
        with pytest.raises(DomainNotFound):
            facts.ledger.peers(OTHER_DOMAIN, in_time())

    def test_the_table_names_its_domain(self, facts: LedgerFacts) -> None:
        facts.hold(FULL)
        assert self.view(facts).peers().domain_id == DOMAIN

    def test_a_disabled_relay_is_nobodys_fallback(self, facts: LedgerFacts) -> None:
        relay = replace(FULL.bridge.relay, enabled=False)  # type: ignore[type-var, union-attr]
        facts.hold(replace(FULL, bridge=replace(FULL.bridge, relay=relay)))  # type: ignore[type-var]
        assert set(self.view(facts).peers().rows) == set(FULL.nodes)

    def test_the_revision_stands_while_the_peers_do(self, facts: LedgerFacts) -> None:
        facts.hold(FULL)
        before = self.view(facts).peers().revision
        facts.heartbeat(EPOCH + timedelta(hours=1))
        assert self.view(facts).peers().revision == before

    def test_a_changed_peer_is_shown_under_another_revision(self, facts: LedgerFacts) -> None:
        facts.hold(FULL)
        before = self.view(facts).peers()
        facts.rekey(node_id(2), b"K" * 32)
        after = self.view(facts).peers()
        keys = {row.node_id: row.public_key for row in after.rows}
        assert (keys[node_id(2)], after.revision == before.revision) == (b"K" * 32, False)

    @pytest.mark.parametrize("state", ["healthy", "stale", "unreachable", ""])
    def test_the_liveness_columns_are_shown(self, facts: LedgerFacts, state: str) -> None:
        row = ReachabilityRow(state, EPOCH + timedelta(microseconds=1), EPOCH)
        facts.hold(replace(FULL, reachability=row))
        assert self.view(facts).reachability() == row

    def test_a_node_never_heard_of_has_no_heartbeat(self, facts: LedgerFacts) -> None:
        facts.hold(replace(FULL, reachability=ReachabilityRow("", None, EPOCH)))
        assert self.view(facts).reachability().last_heartbeat_at is None

    def test_times_are_aware(self, facts: LedgerFacts) -> None:
        facts.hold(FULL)
        row = self.view(facts).reachability()
        times = [row.last_heartbeat_at, row.changed_at]
        assert [
            moment.astimezone(UTC).utcoffset() for moment in times if moment and moment.tzinfo
        ] == [
            timedelta(0),
            timedelta(0),
        ]

    def test_every_rule_set_is_shown_byte_for_byte(self, facts: LedgerFacts) -> None:
        odd = rule_set(4, rule_payload=b"\x00\xff\\ no rule at all", fingerprint=b"not its digest")
        facts.hold(replace(FULL, rule_sets=(*FULL.rule_sets, odd)))
        assert set(self.view(facts).policies()) == {*FULL.rule_sets, odd}

    def test_a_node_that_no_policy_matches_has_no_rule_set(self, facts: LedgerFacts) -> None:
        facts.hold(Contents())
        assert list(self.view(facts).policies()) == []

    def test_the_aggregates_of_a_bridge_are_shown(self, facts: LedgerFacts) -> None:
        facts.hold(FULL)
        shown = self.view(facts).bridge()
        assert shown is not None
        in_order = tuple(
            sorted(shown.assignments, key=lambda assignment: assignment.peer_node_id.bytes)
        )
        assert replace(shown, assignments=in_order) == replace(
            bridge_rows(), assignments=(assignment(2), assignment(3, fallback_endpoint="fd00::1"))
        )

    def test_a_bridge_without_aggregates_is_not_the_absence_of_a_bridge(
        self, facts: LedgerFacts
    ) -> None:
        facts.hold(Contents(bridge=BridgeRows()))
        assert self.view(facts).bridge() == BridgeRows()

    def test_a_node_without_a_bridge_resource_has_none(self, facts: LedgerFacts) -> None:
        facts.hold(Contents())
        assert self.view(facts).bridge() is None

    def test_entries_of_every_kind_are_shown(self, facts: LedgerFacts) -> None:
        facts.hold(FULL)
        shown = [
            replace(row, workload_tag=row.workload_tag or None)
            for row in self.view(facts).entries()
        ]
        rows = [replace(row, workload_tag=row.workload_tag or None) for row in FULL.entries]
        assert sorted(shown, key=str) == sorted(rows, key=str)

    def test_a_node_without_entries_has_none(self, facts: LedgerFacts) -> None:
        facts.hold(Contents())
        assert list(self.view(facts).entries()) == []

    def test_a_view_stays_of_its_moment(self, facts: LedgerFacts) -> None:
        facts.hold(FULL)
        view = self.view(facts)
        facts.hold(Contents())
        shown = (set(view.peers().rows), len(view.policies()), len(view.entries()))
        assert shown == (FULL.rows(), len(FULL.rule_sets), len(FULL.entries))

    @pytest.mark.parametrize(
        ("node", "domain"),
        [(node_id(99), DOMAIN), (ADDRESSED, OTHER_DOMAIN)],
        ids=["unknown Node", "another Domain"],
    )
    def test_a_node_that_is_not_in_the_domain_is_not_found(
        self, facts: LedgerFacts, node: UUID, domain: UUID
    ) -> None:
        facts.hold(FULL)
        with pytest.raises(NodeNotFound):
            facts.ledger.view(node, domain, in_time())

    def test_a_store_that_is_away_is_said_to_be(self, facts: LedgerFacts) -> None:
        facts.hold(FULL)
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            self.view(facts)

    def test_without_time_left_nothing_is_read(self, facts: LedgerFacts) -> None:
        facts.hold(FULL)
        with pytest.raises(DatastoreUnavailable):
            facts.ledger.view(ADDRESSED, DOMAIN, expired())


def untagged(row: EntryRow) -> EntryRow:
    """An unset tag is None or "", as the source pleases."""
    return replace(row, workload_tag=row.workload_tag or None)
