"""The pipeline: rows in, NodeStateSnapshot out. One round trip, all blocks or an error."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

from composer.bridge import BridgeSource, EffectiveConfigBuilder
from composer.deadline import Deadline
from composer.entries import EntriesSource, reports
from composer.errors import CorruptLedger, ZeroDomainId, ZeroNodeId
from composer.identity import NIL
from composer.peers import DomainPeers, Peers, PeerSource, PeerTable, domain_peers
from composer.policy import PolicySource, policy
from composer.reachability import ReachabilitySource, reachability
from composer.snapshot import NodeStateSnapshot


class LedgerView(
    PeerSource, ReachabilitySource, PolicySource, BridgeSource, EntriesSource, Protocol
):
    """All five row sets, read in one statement: they are of one moment of the ledger."""


class Ledger(Protocol):
    """Opens views."""

    def view(self, node_id: UUID, domain_id: UUID, deadline: Deadline) -> LedgerView:
        """One round trip.

        Raises NodeNotFound when the Node is not (or no longer) in that Domain, DatastoreUnavailable
        when Postgres does not answer in time, CorruptLedger for rows that cannot be decoded.
        """
        ...


class DropReporter(Protocol):
    """Told of every dropped row, once per composed snapshot."""

    def dropped(
        self, outcome: str, domain_id: UUID, addressed_node_id: UUID, peer_node_id: UUID
    ) -> None: ...


class SnapshotProvider(Protocol):
    """Gate 4: composes the envelope."""

    def snapshot_for_node(
        self, node_id: UUID, domain_id: UUID, deadline: Deadline
    ) -> NodeStateSnapshot:
        """The whole snapshot or an error, never a part. Raises what ``Ledger.view`` raises."""
        ...


class SnapshotComposer:
    """The SnapshotProvider: every block from one LedgerView."""

    def __init__(self, ledger: Ledger, drops: DropReporter) -> None:
        self._ledger = ledger
        self._drops = drops
        self._bridges = EffectiveConfigBuilder()
        # Lives as long as the table it was filtered from: the ledger alone decides what is held.
        self._filtered: WeakKeyDictionary[PeerTable, DomainPeers] = WeakKeyDictionary()

    def snapshot_for_node(
        self, node_id: UUID, domain_id: UUID, deadline: Deadline
    ) -> NodeStateSnapshot:
        """Compose the snapshot of the Addressed Node; see SnapshotProvider for what it raises."""
        if node_id == NIL:
            raise ZeroNodeId("snapshot of the nil Node")
        if domain_id == NIL:
            raise ZeroDomainId("snapshot in the nil Domain")
        view = self._ledger.view(node_id, domain_id, deadline)
        try:
            snapshot = self._compose(view, node_id)
        except CorruptLedger as error:
            # The slices know what is corrupt, and not whose it is.
            raise CorruptLedger(f"node_id={node_id} {error}") from None
        for drop in snapshot.peers.dropped():
            self._drops.dropped(drop.outcome, domain_id, node_id, drop.peer_node_id)
        return snapshot

    def _compose(self, view: LedgerView, node_id: UUID) -> NodeStateSnapshot:
        state = reports(view.entries())
        return NodeStateSnapshot(
            peers=Peers(self._filter(view.peers()), node_id),
            reachability=reachability(view.reachability()),
            policy=policy(view.policies()),
            bridge=self._bridges.build(view.bridge()),
            state=state,
            reports=state,
        )

    def _filter(self, table: PeerTable) -> DomainPeers:
        filtered = self._filtered.get(table)
        if filtered is None:
            filtered = domain_peers(table.domain_id, table.revision, table.rows)
            self._filtered[table] = filtered
        return filtered
