"""Composes a NodeStateSnapshot from the rows of one statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary, WeakValueDictionary

from composer.bridge import BridgeSource, EffectiveConfigBuilder, bridge_size
from composer.deadline import Deadline
from composer.entries import EntriesSource, entries_size, reports
from composer.errors import CorruptLedger, ZeroDomainId, ZeroNodeId
from composer.identity import NIL
from composer.memory import Memory
from composer.peers import DomainPeers, Peers, PeerSource, PeerTable, domain_peers
from composer.policy import PolicySource, policy, policy_size
from composer.position import LedgerPosition
from composer.reachability import ReachabilitySource, reachability
from composer.snapshot import NodeStateSnapshot

# Of the rows whose Policy and Reports a process keeps, about ten times as large.
MADE_BYTES = 4 * 1024 * 1024

R = TypeVar("R")
T = TypeVar("T")


class LedgerView(
    PeerSource, ReachabilitySource, PolicySource, BridgeSource, EntriesSource, Protocol
):
    """All five row sets of a Node, consistent because one statement read them."""

    @property
    def position(self) -> LedgerPosition | None:
        """The position of that statement; None where it does not say it."""
        ...


class Ledger(Protocol):
    """Reads the rows of a snapshot."""

    def view(self, node_id: UUID, domain_id: UUID, deadline: Deadline) -> LedgerView:
        """Read the row sets in one round trip.

        Raises NodeNotFound where the Node is not in that Domain, DatastoreUnavailable where
        Postgres does not answer in time, CorruptLedger for rows that cannot be decoded.
        """
        ...

    def view_of(self, moment: object) -> LedgerView:
        """The view of an AddressedNode's ``moment``. Raises CorruptLedger as ``view``."""
        ...

    def peers(self, domain_id: UUID, deadline: Deadline) -> PeerTable:
        """The rows of a Domain, without a Node that they are for.

        Raises DomainNotFound, DatastoreUnavailable, CorruptLedger.
        """
        ...


class DropReporter(Protocol):
    """Counts and logs rows that were left out of a snapshot."""

    def dropped(
        self, outcome: str, domain_id: UUID, addressed_node_id: UUID, peer_node_id: UUID
    ) -> None:
        """Report one row; called for each of them at every composition."""
        ...


class SnapshotProvider(Protocol):
    """Gate 4: composes the snapshot."""

    def snapshot_for_node(
        self, node_id: UUID, domain_id: UUID, deadline: Deadline, moment: object = None
    ) -> NodeStateSnapshot:
        """The whole snapshot. Raises the errors of ``Ledger.view``.

        ``moment`` is the AddressedNode's, of gate 3: with it nothing is read again.
        """
        ...

    def domain_peers(self, domain_id: UUID, deadline: Deadline) -> DomainPeers:
        """The peers of a Node that is about to be in the Domain. Raises as ``Ledger.peers``."""
        ...


class SnapshotComposer:
    """The SnapshotProvider on a Ledger."""

    def __init__(self, ledger: Ledger, drops: DropReporter) -> None:
        self._ledger = ledger
        self._drops = drops
        self._bridges = EffectiveConfigBuilder()
        self._made: Memory[Any] = Memory(MADE_BYTES)
        # Lives as long as its table, so the ledger alone decides which peers stay in memory.
        self._filtered: WeakKeyDictionary[PeerTable, DomainPeers] = WeakKeyDictionary()
        self._latest: WeakValueDictionary[UUID, DomainPeers] = WeakValueDictionary()

    def snapshot_for_node(
        self, node_id: UUID, domain_id: UUID, deadline: Deadline, moment: object = None
    ) -> NodeStateSnapshot:
        """Compose the snapshot of the Addressed Node. Raises what SnapshotProvider names."""
        if node_id == NIL:
            raise ZeroNodeId("snapshot of the nil Node")
        if domain_id == NIL:
            raise ZeroDomainId("snapshot in the nil Domain")
        if moment is None:
            view = self._ledger.view(node_id, domain_id, deadline)
        else:
            view = self._ledger.view_of(moment)
        try:
            snapshot = self._compose(view, node_id)
        except CorruptLedger as error:
            # The slices do not know the Node.
            raise CorruptLedger(f"node_id={node_id} {error}") from None
        for drop in snapshot.peers.dropped():
            self._drops.dropped(
                outcome=drop.outcome,
                domain_id=domain_id,
                addressed_node_id=node_id,
                peer_node_id=drop.peer_node_id,
            )
        return snapshot

    def domain_peers(self, domain_id: UUID, deadline: Deadline) -> DomainPeers:
        """See SnapshotProvider. Dropped rows are reported at each pull."""
        return self.filtered(self._ledger.peers(domain_id, deadline))

    def _compose(self, view: LedgerView, node_id: UUID) -> NodeStateSnapshot:
        state = self._once(reports, view.entries(), entries_size)
        return NodeStateSnapshot(
            peers=Peers(self.filtered(view.peers()), node_id),
            reachability=reachability(view.reachability()),
            policy=self._once(policy, view.policies(), policy_size),
            bridge=self._once(self._bridges.build, view.bridge(), bridge_size),
            state=state,
            reports=state,
            position=view.position,
        )

    def _once(self, make: Callable[[R], T], rows: R, size: Callable[[R], int]) -> T:
        """The result of ``make`` on these rows, the same object for the same rows."""
        key = (make, id(rows))
        kept: T | None = self._made.get(key)
        if kept is not None:
            return kept
        made = make(rows)
        if made is not None:
            self._made.put(key, made, size(rows), source=rows)
        return made

    def filtered(self, table: PeerTable) -> DomainPeers:
        """The Domain's valid peers, from memory when the table is the same."""
        filtered = self._filtered.get(table)
        if filtered is None:
            before = self._latest.get(table.domain_id)
            filtered = domain_peers(
                domain_id=table.domain_id, revision=table.revision, rows=table.rows, before=before
            )
            self._filtered[table] = self._latest[table.domain_id] = filtered
        return filtered
