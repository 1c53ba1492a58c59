"""Every operation's ports over one set of stand-ins, as server/wiring.py puts them together."""

from __future__ import annotations

from typing import Any

from composer.audit import AuditSink
from handlers.domain_audit import DomainAuditPorts
from handlers.domain_nodes import DomainNodesPorts
from handlers.domain_registry import DomainRegistryPorts
from handlers.domains import DomainPorts
from handlers.entries import EntryPorts, ReportPorts
from handlers.heartbeat import HeartbeatPorts
from handlers.node_registry import NodeRegistryPorts, RegistrationPorts
from handlers.node_state import PullPorts
from handlers.node_token import NodeTokenPorts
from handlers.reachability import ReachabilityPorts


def wired(parts: Any, pull: PullPorts, audit: AuditSink) -> dict[type, object]:
    """By type. ``parts`` has the stand-ins under the names they have in ``in_process.py``."""
    asked = (parts.relations, parts.nodes)
    domains, outbox = parts.domains, parts.outbox
    given = (
        pull,
        HeartbeatPorts(parts.relations, parts.heartbeats, audit),
        ReachabilityPorts(*asked, domains, parts.verdicts, audit),
        NodeTokenPorts(*asked, parts.mint, audit),
        DomainNodesPorts(parts.relations, domains, parts.listed, audit),
        DomainRegistryPorts(
            *(parts.relations, domains, parts.domain_registry, outbox),
            *(parts.domain_rows, audit),
        ),
        NodeRegistryPorts(*asked, domains, parts.registry, outbox, audit),
        RegistrationPorts(
            *(parts.relations, domains, parts.registry, outbox),
            *(pull.snapshots, parts.mint, pull.wire, audit),
        ),
        ReportPorts(*asked, parts.entries, audit),
        EntryPorts(*asked, domains, parts.entries, audit),
        DomainPorts(parts.relations, domains, parts.domain_rows, audit),
        DomainAuditPorts(parts.relations, domains, parts.trail, audit),
    )
    minting = (NodeTokenPorts, RegistrationPorts)
    return {
        type(one): one for one in given if parts.mint is not None or not isinstance(one, minting)
    }
