"""NodeStateSnapshot and its six blocks, with the fields of the contract's schemas.

A test compares names and optionality with ``api/plexsphere-v1.yaml``. Timestamps are aware
datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from composer.peers import Peers
from composer.position import LedgerPosition


@dataclass(frozen=True, slots=True)
class Reachability:
    """The Addressed Node's reachability; ``state`` is ``""`` until it is first evaluated."""

    state: str
    last_heartbeat_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class PolicyPortRange:
    """Inclusive ports, 1..65535."""

    from_: int
    to: int


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One firewall rule; only tcp and udp have ``ports``."""

    action: str
    protocol: str
    source_cidr: str
    destination_cidr: str
    ports: PolicyPortRange | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The merged rule sets; ``fingerprint`` is the SHA-256 (32 bytes) of the merged stream."""

    revision_id: UUID
    fingerprint: bytes
    rules: tuple[CompiledRule, ...]


@dataclass(frozen=True, slots=True)
class RelayAssignment:
    """A peer that falls back to this bridge's relay."""

    peer_node_id: UUID
    fallback_endpoint: str
    fallback_endpoint_port: int


@dataclass(frozen=True, slots=True)
class BridgeRelay:
    """The relay of a bridge, assignments ascending by ``peer_node_id``."""

    enabled: bool
    listen_port: int
    assignments: tuple[RelayAssignment, ...]


@dataclass(frozen=True, slots=True)
class UserAccessProvider:
    """A user-access provider; ``auth_secret_ref`` is a reference, never a secret."""

    id: UUID
    slug: str
    kind: str
    interface_name: str
    listen_port: int
    max_peers: int
    auth_secret_ref: str
    routing_policy: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class UserAccess:
    """Providers, ascending by slug."""

    providers: tuple[UserAccessProvider, ...]


@dataclass(frozen=True, slots=True)
class IngressRule:
    """A published service."""

    id: UUID
    slug: str
    sni_host: str
    target_node_id: UUID
    target_port: int
    created_at: datetime
    updated_at: datetime
    acme_account_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Ingress:
    """Rules, ascending by slug."""

    rules: tuple[IngressRule, ...]


@dataclass(frozen=True, slots=True)
class SiteToSiteTunnel:
    """A tunnel to a remote site; ``auth_secret_ref`` is a reference, never a secret."""

    id: UUID
    slug: str
    kind: str
    remote_host: str
    remote_port: int
    auth_secret_ref: str
    allowed_subnets: tuple[str, ...]
    routing_policy: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SiteToSite:
    """Tunnels, ascending by slug."""

    tunnels: tuple[SiteToSiteTunnel, ...]


@dataclass(frozen=True, slots=True)
class Bridge:
    """The configuration of a bridge Resource; an absent part is None."""

    relay: BridgeRelay | None = None
    user_access: UserAccess | None = None
    ingress: Ingress | None = None
    site_to_site: SiteToSite | None = None


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One entry; its value is opaque to the service."""

    key: str
    value: str
    workload_tag: str | None = None


@dataclass(frozen=True, slots=True)
class Reports:
    """A Node's entries by kind, keys ascending by code point."""

    metadata: tuple[StateEntry, ...] = ()
    data: tuple[StateEntry, ...] = ()
    reports: tuple[StateEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeStateSnapshot:
    """The body of a pull. ``reports`` is the same value as ``state``.

    ``position`` is beside the body: what its statement saw of the ledger, where it says so.
    """

    peers: Peers
    reachability: Reachability
    policy: Policy | None
    bridge: Bridge | None
    state: Reports
    reports: Reports
    position: LedgerPosition | None = field(default=None, compare=False)
