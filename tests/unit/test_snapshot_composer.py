"""The pipeline: one round trip, all six blocks of one moment, or an error."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from composer.bridge import BridgeRows
from composer.deadline import Deadline
from composer.errors import (
    ComposerError,
    CorruptLedger,
    DatastoreUnavailable,
    NodeNotFound,
    ZeroDomainId,
    ZeroNodeId,
)
from composer.identity import NIL
from composer.peers import PeerRow, PeerTable
from composer.reachability import ReachabilityRow
from composer.snapshot import NodeStateSnapshot, Reports
from composer.snapshot_composer import SnapshotComposer
from tests.factories import (
    ALLOW_HTTPS,
    DOMAIN,
    EPOCH,
    REVISION,
    bridge_rows,
    entry,
    node_id,
    peer_row,
    rule_set,
)
from tests.fakes import FakeDropReporter, FakeLedger

TIME = Deadline.after(3.0, lambda: 0.0)
CORRUPT = {
    "invalid_node_id": peer_row(9, node_id=NIL),
    "invalid_mesh_ip": peer_row(2, mesh_ip=None),
    "empty_public_key": peer_row(3, public_key=b""),
    "malformed_public_key": peer_row(4, public_key=b"short"),
}


def ledger(*rows: PeerRow, **blocks: Any) -> FakeLedger:
    return FakeLedger.of(DOMAIN, [peer_row(1), *rows], **blocks)


def composed(of: FakeLedger, number: int = 1) -> NodeStateSnapshot:
    return SnapshotComposer(of, FakeDropReporter()).snapshot_for_node(node_id(number), DOMAIN, TIME)


def drops_of(of: FakeLedger, *numbers: int) -> list[tuple[str, UUID, UUID, UUID]]:
    reporter = FakeDropReporter()
    composer = SnapshotComposer(of, reporter)
    for number in numbers:
        composer.snapshot_for_node(node_id(number), DOMAIN, TIME)
    return reporter.drops


@pytest.mark.parametrize(
    ("node", "domain", "error"),
    [
        (NIL, DOMAIN, ZeroNodeId),
        (node_id(1), NIL, ZeroDomainId),
        (NIL, NIL, ZeroNodeId),
    ],
    ids=["node", "domain", "both"],
)
def test_a_nil_id_is_refused_before_the_ledger_is_asked(
    node: UUID, domain: UUID, error: type[ComposerError]
) -> None:
    asked = ledger()
    with pytest.raises(error):
        SnapshotComposer(asked, FakeDropReporter()).snapshot_for_node(node, domain, TIME)
    assert asked.calls == []


def test_a_snapshot_costs_one_round_trip() -> None:
    asked = ledger(peer_row(2), rule_sets=(rule_set(1, ALLOW_HTTPS),), bridge_rows=bridge_rows())
    composed(asked)
    assert asked.calls == [(node_id(1), DOMAIN)]


def test_the_ledger_gets_the_callers_deadline() -> None:
    seen: list[Deadline] = []

    class Watched(FakeLedger):
        def view(self, node_id: UUID, domain_id: UUID, deadline: Deadline):
            seen.append(deadline)
            return super().view(node_id, domain_id, deadline)

    composed(Watched(ledger().shown))
    assert seen == [TIME]


def test_the_addressed_node_is_not_among_its_peers() -> None:
    snapshot = composed(ledger(peer_row(3), peer_row(2)), 2)
    assert [peer.node_id for peer in snapshot.peers] == [node_id(1), node_id(3)]


def test_every_block_is_composed_from_the_view() -> None:
    snapshot = composed(
        ledger(
            peer_row(2),
            reach=ReachabilityRow("stale", None, EPOCH),
            rule_sets=(rule_set(1, ALLOW_HTTPS),),
            bridge_rows=bridge_rows(),
            entry_rows=(entry("data", "site"),),
        )
    )
    shown = (
        len(snapshot.peers),
        snapshot.reachability.state,
        snapshot.policy and len(snapshot.policy.rules),
        snapshot.bridge and snapshot.bridge.relay and snapshot.bridge.relay.listen_port,
        [entry.key for entry in snapshot.state.data],
    )
    assert shown == (1, "stale", 1, 51821, ["site"])


def test_a_bare_node_has_no_policy_no_bridge_and_three_empty_buckets() -> None:
    snapshot = composed(ledger())
    assert (snapshot.policy, snapshot.bridge, snapshot.state) == (None, None, Reports())


def test_a_bridge_without_aggregates_is_not_null() -> None:
    assert composed(ledger(bridge_rows=BridgeRows())).bridge is not None


def test_state_and_reports_are_one_value() -> None:
    snapshot = composed(ledger(entry_rows=(entry("report", "disk"),)))
    assert snapshot.reports is snapshot.state


@pytest.mark.parametrize("outcome", CORRUPT)
def test_a_dropped_row_is_reported_once_a_snapshot(outcome: str) -> None:
    row = CORRUPT[outcome]
    reported = drops_of(ledger(row, peer_row(7)), 1)
    assert reported == [(outcome, DOMAIN, node_id(1), row.node_id)]


def test_each_dropped_row_is_reported_for_every_snapshot_it_is_missing_from() -> None:
    reported = drops_of(ledger(*CORRUPT.values()), 1, 1)
    outcomes = ["invalid_node_id", "invalid_mesh_ip", "empty_public_key", "malformed_public_key"]
    assert [drop[0] for drop in reported] == outcomes * 2


def test_a_nodes_own_corrupt_row_is_not_reported_to_itself() -> None:
    reported = drops_of(ledger(CORRUPT["invalid_mesh_ip"], CORRUPT["empty_public_key"]), 2)
    assert reported == [("empty_public_key", DOMAIN, node_id(2), node_id(3))]


def test_a_sound_domain_reports_nothing() -> None:
    assert drops_of(ledger(peer_row(2), peer_row(3)), 1, 2, 3) == []


def test_nothing_is_reported_for_a_snapshot_that_was_never_composed() -> None:
    reporter = FakeDropReporter()
    broken = ledger(CORRUPT["invalid_mesh_ip"], rule_sets=(rule_set(1, fingerprint=b"no"),))
    with pytest.raises(CorruptLedger):
        SnapshotComposer(broken, reporter).snapshot_for_node(node_id(1), DOMAIN, TIME)
    assert reporter.drops == []


@pytest.mark.parametrize(
    "blocks",
    [
        {"rule_sets": (rule_set(1, ALLOW_HTTPS, fingerprint=b"\0" * 32),)},
        {"entry_rows": (entry("secret", "a"),)},
        {"reach": ReachabilityRow("offline", None, EPOCH)},
    ],
    ids=["policy", "entries", "reachability"],
)
def test_one_corrupt_block_fails_the_whole_snapshot(blocks: dict[str, Any]) -> None:
    with pytest.raises(CorruptLedger):
        composed(ledger(peer_row(2), **blocks))


@pytest.mark.parametrize("error", [NodeNotFound, DatastoreUnavailable, CorruptLedger])
def test_what_the_ledger_raises_is_raised(error: type[ComposerError]) -> None:
    broken = ledger()
    broken.fails = error("as it is")
    with pytest.raises(error, match="as it is"):
        composed(broken)


@pytest.mark.parametrize("source", ["peers", "reachability", "policies", "bridge", "entries"])
def test_a_source_that_fails_leaves_no_part_of_a_snapshot(source: str) -> None:
    class Failing:
        def __init__(self) -> None:
            self.sound = ledger(peer_row(2)).shown

        def view(self, node_id: UUID, domain_id: UUID, deadline: Deadline) -> Failing:
            return self

        def __getattr__(self, name: str) -> Any:
            if name == source:
                raise DatastoreUnavailable(source)
            return getattr(self.sound, name)

    with pytest.raises(DatastoreUnavailable, match=source):
        SnapshotComposer(Failing(), FakeDropReporter()).snapshot_for_node(node_id(1), DOMAIN, TIME)


def test_a_domain_is_filtered_once_for_all_its_nodes_while_its_table_stands() -> None:
    composer = SnapshotComposer(ledger(peer_row(2)), FakeDropReporter())
    first = composer.snapshot_for_node(node_id(1), DOMAIN, TIME)
    other = composer.snapshot_for_node(node_id(2), DOMAIN, TIME)
    assert first.peers.domain is other.peers.domain


def test_another_table_is_filtered_anew_even_under_the_same_revision() -> None:
    changing = ledger(peer_row(2))
    composer = SnapshotComposer(changing, FakeDropReporter())
    composer.snapshot_for_node(node_id(1), DOMAIN, TIME)
    table = PeerTable(DOMAIN, REVISION, (peer_row(1), peer_row(2), peer_row(3)))
    changing.shown = replace(changing.shown, table=table)
    snapshot = composer.snapshot_for_node(node_id(1), DOMAIN, TIME)
    assert [peer.node_id for peer in snapshot.peers] == [node_id(2), node_id(3)]


def test_the_composer_keeps_no_table_alive() -> None:
    changing = ledger(peer_row(2))
    composer = SnapshotComposer(changing, FakeDropReporter())
    composer.snapshot_for_node(node_id(1), DOMAIN, TIME)
    reference = weakref.ref(changing.shown.table)
    changing.shown = ledger().shown
    gc.collect()
    assert reference() is None
