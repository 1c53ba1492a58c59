"""Events: what a change of the ledger shows to the agents, in the terms of a pull.

A LedgerEvent is a row of ``plexsphere.events``, with the rows of one block as they were at the
commit. ``event`` makes of it what agents are told, by the same functions that make a snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from composer.bridge import BridgeRows, EffectiveConfigBuilder
from composer.entries import EntryRow, reports
from composer.errors import CorruptLedger
from composer.peers import Peer, PeerRow, valid_peer
from composer.policy import RuleSetRow, policy
from composer.reachability import ReachabilityRow, reachability
from composer.snapshot import Bridge, Policy, Reachability, Reports

PEER_ADDED = "peer_added"
PEER_REMOVED = "peer_removed"
PEER_KEY_ROTATED = "peer_key_rotated"
PEER_ENDPOINT_CHANGED = "peer_endpoint_changed"
POLICY_UPDATED = "policy_updated"
BRIDGE_CONFIG_UPDATED = "bridge_config_updated"
NODE_STATE_UPDATED = "node_state_updated"
REACHABILITY_CHANGED = "reachability_changed"
SIGNING_KEY_ROTATED = "signing_key_rotated"
RESYNC_REQUIRED = "resync_required"


@dataclass(frozen=True, slots=True)
class PeerChange:
    """The rows of one Node before and after a change; None where the Domain has no such Node."""

    before: PeerRow | None
    after: PeerRow | None


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """All rule sets of a Node after a change."""

    rows: tuple[RuleSetRow, ...]


@dataclass(frozen=True, slots=True)
class BridgeChange:
    """The bridge Resource of a Node after a change; both None where it hosts none."""

    resource_id: UUID | None
    rows: BridgeRows | None


@dataclass(frozen=True, slots=True)
class StateChange:
    """All metadata and data entries of a Node after a change."""

    rows: tuple[EntryRow, ...]


@dataclass(frozen=True, slots=True)
class SigningKeyRotated:
    """The next event key of a Domain. ``previous_key_id`` is valid until ``transition_expires``."""

    key_id: str
    public_key: bytes
    previous_key_id: str
    transition_expires: datetime


Change = (
    PeerChange | PolicyChange | BridgeChange | StateChange | ReachabilityRow | SigningKeyRotated
)


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """A row. ``node_id`` is for whom it is; None is every Node of the Domain.

    ``block`` is what has changed. ``change`` is None where the change is too large for an event, or
    cannot be decoded.
    """

    seq: int
    id: UUID
    domain_id: UUID
    node_id: UUID | None
    block: str
    change: Change | None

    @property
    def scope(self) -> str:
        """``node:<uuid>`` or ``domain:<uuid>``."""
        return f"domain:{self.domain_id}" if self.node_id is None else f"node:{self.node_id}"


@dataclass(frozen=True, slots=True)
class PeerRemoved:
    """A peer that the receiver must forget."""

    node_id: UUID


@dataclass(frozen=True, slots=True)
class PeerKeyRotated:
    """A peer with another key; ``public_key`` is 32 raw bytes."""

    node_id: UUID
    public_key: bytes


@dataclass(frozen=True, slots=True)
class PeerEndpointChanged:
    """A peer with another relay, or None."""

    node_id: UUID
    fallback_endpoint: str | None


@dataclass(frozen=True, slots=True)
class PolicyUpdated:
    """The block ``policy``; None where no rule set is left."""

    policy: Policy | None


@dataclass(frozen=True, slots=True)
class BridgeConfigUpdated:
    """The block ``bridge``; both None where the Node hosts no bridge Resource."""

    bridge_resource_id: UUID | None
    effective_config: Bridge | None


@dataclass(frozen=True, slots=True)
class ResyncRequired:
    """The events of the receiver are lost: only a pull shows its state now."""

    reason: str


@dataclass(frozen=True, slots=True)
class PullRequired:
    """Stands for a payload that is too large or cannot be shown: a pull shows the change."""


# Reasons of ResyncRequired.
MANY_PEERS = "many_peers_changed"

Payload = (
    Peer
    | PeerRemoved
    | PeerKeyRotated
    | PeerEndpointChanged
    | PolicyUpdated
    | BridgeConfigUpdated
    | Reports
    | Reachability
    | SigningKeyRotated
    | ResyncRequired
    | PullRequired
)


@dataclass(frozen=True, slots=True)
class Event:
    """An event for agents."""

    type: str
    payload: Payload


TYPE_OF_BLOCK = {
    "policy": POLICY_UPDATED,
    "bridge": BRIDGE_CONFIG_UPDATED,
    "state": NODE_STATE_UPDATED,
    "reachability": REACHABILITY_CHANGED,
    "signing_key": SIGNING_KEY_ROTATED,
}


def event(row: LedgerEvent) -> Event | None:
    """The event of a row; None where no pull shows the change.

    A block that a pull refuses (CorruptLedger) must be pulled: the refusal says more than an event.
    """
    if isinstance(row.change, PeerChange):
        return _of_peer(row.change)
    if row.block == "peer":
        return Event(RESYNC_REQUIRED, ResyncRequired(MANY_PEERS))
    try:
        payload = _payload(row.change)
    except CorruptLedger:
        payload = PullRequired()
    return Event(TYPE_OF_BLOCK[row.block], payload)


def _payload(change: Change | None) -> Payload:
    match change:
        case PolicyChange(rows):
            return PolicyUpdated(policy(rows))
        case BridgeChange(resource_id, bridge):
            return BridgeConfigUpdated(resource_id, EffectiveConfigBuilder().build(bridge))
        case StateChange(entries):
            return reports(entries)
        case ReachabilityRow():
            return reachability(change)
        case SigningKeyRotated():
            return change
        case _:
            return PullRequired()


def _of_peer(change: PeerChange) -> Event | None:
    """The event of a peer. A corrupt row counts as no row, because a pull leaves it out
    (docs/design.md, The envelope)."""
    before, after = (
        None if row is None else valid_peer(row) for row in (change.before, change.after)
    )
    if before == after:
        return None
    if after is None:
        assert before is not None
        return Event(PEER_REMOVED, PeerRemoved(before.node_id))
    if before is not None:
        if before == replace(after, public_key=before.public_key):
            return Event(PEER_KEY_ROTATED, PeerKeyRotated(after.node_id, after.public_key))
        if before == replace(after, fallback_endpoint=before.fallback_endpoint):
            fallback = after.fallback_endpoint
            return Event(PEER_ENDPOINT_CHANGED, PeerEndpointChanged(after.node_id, fallback))
    return Event(PEER_ADDED, after)


def pull_required(replaced: Event) -> Event:
    """The same event without its content."""
    return Event(replaced.type, PullRequired())
