"""NodeStateSnapshot and its six blocks: the composer's values, field for field the wire's schemas.

A test holds field names and optionality against ``api/plexsphere-v1.yaml``, both ways.
Timestamps are aware datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from composer.peers import Peers


@dataclass(frozen=True, slots=True)
class Reachability:
    """The addressed Node's liveness verdict; ``state`` is ``""`` until first evaluated."""

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
    """One five-tuple; ``ports`` only for tcp and udp."""

    action: str
    protocol: str
    source_cidr: str
    destination_cidr: str
    ports: PolicyPortRange | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The merged rule set; ``fingerprint`` is the SHA-256 (32 bytes) of the merged stream."""

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
class Relay:
    """The relay aggregate, assignments ascending by ``peer_node_id``."""

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
    """A published service; ``acme_account_ref`` absent when unset."""

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
    """The effective configuration of a hosted bridge Resource; an absent aggregate is None."""

    relay: Relay | None = None
    user_access: UserAccess | None = None
    ingress: Ingress | None = None
    site_to_site: SiteToSite | None = None


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One opaque entry; ``workload_tag`` absent when unset."""

    key: str
    value: str
    workload_tag: str | None = None


@dataclass(frozen=True, slots=True)
class Reports:
    """A Node's entries by kind, keys ascending by code point; a bucket is empty, never absent."""

    metadata: tuple[StateEntry, ...] = ()
    data: tuple[StateEntry, ...] = ()
    reports: tuple[StateEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeStateSnapshot:
    """The pull's envelope. ``reports`` is the same value as ``state``."""

    peers: Peers
    reachability: Reachability
    policy: Policy | None
    bridge: Bridge | None
    state: Reports
    reports: Reports
