"""The digests that pulls of a whole Domain would have now, without composing their bodies.

As in ``handlers/wire.py``, the Domain's peers are encoded once. A block is encoded once for all
Nodes with the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol
from uuid import UUID

from composer.bridge import BridgeSource, EffectiveConfigBuilder
from composer.entries import EntriesSource, reports
from composer.errors import ZeroNodeId
from composer.identity import NIL
from composer.peers import PeerTable, domain_peers
from composer.policy import PolicySource, policy
from composer.reachability import STATES, ReachabilitySource, reachability
from handlers.peers import peers_digest
from handlers.wire import block_digest, desired_state_digest, json_bytes
from handlers.wire_values import Json, bridge_value, policy_value, reports_value


class NodeSources(ReachabilitySource, PolicySource, BridgeSource, EntriesSource, Protocol):
    """The row sets of a LedgerView, without the peers."""

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """Keys of policies, entries and bridge; Nodes with the same key have the same rows."""


class CurrentDigests:
    """The digests of one Domain at one time. Not thread-safe."""

    def __init__(self, table: PeerTable) -> None:
        peers = domain_peers(table.domain_id, table.revision, table.rows)
        self._peers = peers_digest(peers)
        self._bridges = EffectiveConfigBuilder()
        self._digests: dict[tuple[str, Hashable], bytes] = {}

    def digest(self, node_id: UUID, sources: NodeSources) -> str:
        """The digest of a pull now. Raises the errors of that composition."""
        if node_id == NIL:
            raise ZeroNodeId("digest of the nil Node")
        # The timestamps are not in the digest, but an invalid row must raise as in the pull.
        state = reachability(sources.reachability()).state
        return desired_state_digest(
            domain_digest=self._peers,
            addressed_node_id=node_id,
            reachability_state=state,
            block_digests=self._blocks(sources),
        )

    def is_desired(self, digest: str, node_id: UUID, sources: NodeSources) -> bool:
        """Whether ``digest`` is of the Node's desired state with any reachability state.

        The state is in every digest, but does not change what the Node should run. Raises as
        ``digest``.
        """
        blocks = self._blocks(sources)
        return any(
            desired_state_digest(
                domain_digest=self._peers,
                addressed_node_id=node_id,
                reachability_state=state,
                block_digests=blocks,
            )
            == digest
            for state in STATES
        )

    def _blocks(self, sources: NodeSources) -> tuple[bytes, ...]:
        """The digests of policy, bridge, state and reports."""
        policies, entries, bridge = sources.keys
        state = self._digest("state", entries, lambda: reports_value(reports(sources.entries())))
        return (
            self._digest("policy", policies, lambda: policy_value(policy(sources.policies()))),
            self._digest("bridge", bridge, lambda: self._bridge(sources)),
            state,
            state,
        )

    def _bridge(self, sources: NodeSources) -> Json | None:
        rows = sources.bridge()
        return None if rows is None else bridge_value(self._bridges.build(rows))

    def _digest(self, block: str, key: Hashable, value: Callable[[], object]) -> bytes:
        digest = self._digests.get((block, key))
        if digest is None:
            digest = self._digests[block, key] = block_digest(json_bytes(value()))
        return digest
