"""The digests that pulls of a whole Domain would give now, without composing their bodies.

The parts are those of ``handlers/wire.py``: the Domain's peers are encoded once, and a block once
for all Nodes that have the same rows.
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
from handlers.wire import block_digest, desired_state_digest, json_bytes, peers_digest
from handlers.wire_values import Json, bridge_value, policy_value, reports_value


class NodeSources(ReachabilitySource, PolicySource, BridgeSource, EntriesSource, Protocol):
    """A LedgerView's row sets but for the peers, which are the Domain's."""

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """Of policies, entries and bridge. Nodes with the same key have the same rows, which most
        then need not read."""


class CurrentDigests:
    """Of one Domain at one moment. Not for several threads."""

    def __init__(self, table: PeerTable) -> None:
        peers = domain_peers(table.domain_id, table.revision, table.rows)
        self._peers = peers_digest(peers)
        self._bridges = EffectiveConfigBuilder()
        self._known: dict[tuple[str, Hashable], bytes] = {}

    def of(self, node_id: UUID, sources: NodeSources) -> str:
        """The digest of a pull of this moment. Raises what the composition of that pull raises."""
        if node_id == NIL:
            raise ZeroNodeId("digest of the nil Node")
        # Its timestamps are no part of the digest, but of what can be composed at all.
        verdict = reachability(sources.reachability())
        return desired_state_digest(self._peers, node_id, verdict.state, self._blocks(sources))

    def is_desired(self, digest: str, node_id: UUID, sources: NodeSources) -> bool:
        """Whether ``digest`` is of the Node's desired state, whatever its verdict was at that time.

        The verdict's word is in every digest and says nothing about what the Node should run.
        Raises as ``of``.
        """
        blocks = self._blocks(sources)
        return any(
            desired_state_digest(self._peers, node_id, word, blocks) == digest for word in STATES
        )

    def _blocks(self, sources: NodeSources) -> tuple[bytes, ...]:
        """Digests of policy, bridge, state and reports."""
        policies, entries, bridge = sources.keys
        state = self._once("state", entries, lambda: reports_value(reports(sources.entries())))
        return (
            self._once("policy", policies, lambda: policy_value(policy(sources.policies()))),
            self._once("bridge", bridge, lambda: self._bridge(sources)),
            state,
            state,
        )

    def _bridge(self, sources: NodeSources) -> Json | None:
        rows = sources.bridge()
        return None if rows is None else bridge_value(self._bridges.build(rows))

    def _once(self, block: str, key: Hashable, value: Callable[[], object]) -> bytes:
        found = self._known.get((block, key))
        if found is None:
            found = self._known[block, key] = block_digest(json_bytes(value()))
        return found
