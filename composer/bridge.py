"""The ``bridge`` block: the configuration of the bridge Resource that a Node hosts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from composer.snapshot import (
    Bridge,
    BridgeRelay,
    Ingress,
    IngressRule,
    RelayAssignment,
    SiteToSite,
    SiteToSiteTunnel,
    UserAccess,
    UserAccessProvider,
)


@dataclass(frozen=True, slots=True)
class RelayRow:
    """The relay aggregate of a bridge Resource."""

    enabled: bool
    listen_port: int


@dataclass(frozen=True, slots=True)
class BridgeRows:
    """The rows of one bridge Resource, in any order."""

    relay: RelayRow | None = None
    assignments: tuple[RelayAssignment, ...] = ()
    providers: tuple[UserAccessProvider, ...] = ()
    ingress_rules: tuple[IngressRule, ...] = ()
    tunnels: tuple[SiteToSiteTunnel, ...] = ()


# About what a row of a bridge takes.
ROW_BYTES = 400


def bridge_size(rows: BridgeRows | None) -> int:
    """About how many bytes the rows have."""
    if rows is None:
        return 0
    parts = (rows.assignments, rows.providers, rows.ingress_rules, rows.tunnels)
    return ROW_BYTES * (1 + sum(map(len, parts)))


class EffectiveConfigBuilder:
    """Makes a Bridge out of rows; a part without rows is absent."""

    def build(self, rows: BridgeRows | None) -> Bridge | None:
        """The Bridge, which may have no parts; None where the Node hosts no bridge Resource."""
        if rows is None:
            return None
        return Bridge(
            relay=self._relay(rows),
            user_access=self._user_access(rows),
            ingress=self._ingress(rows),
            site_to_site=self._site_to_site(rows),
        )

    def _relay(self, rows: BridgeRows) -> BridgeRelay | None:
        if rows.relay is None:
            return None
        assignments = sorted(rows.assignments, key=lambda row: row.peer_node_id.bytes)
        return BridgeRelay(rows.relay.enabled, rows.relay.listen_port, tuple(assignments))

    def _user_access(self, rows: BridgeRows) -> UserAccess | None:
        providers = tuple(sorted(rows.providers, key=lambda row: row.slug))
        return UserAccess(providers) if providers else None

    def _ingress(self, rows: BridgeRows) -> Ingress | None:
        rules = tuple(sorted(rows.ingress_rules, key=lambda row: row.slug))
        return Ingress(rules) if rules else None

    def _site_to_site(self, rows: BridgeRows) -> SiteToSite | None:
        tunnels = tuple(sorted(rows.tunnels, key=lambda row: row.slug))
        return SiteToSite(tunnels) if tunnels else None


class BridgeSource(Protocol):
    """Yields the rows of the bridge Resource that the Addressed Node hosts."""

    def bridge(self) -> BridgeRows | None:
        """The row; None where the Node hosts no bridge Resource."""
        ...
