"""The ledger's ports over one set of fakes, as server/adapters.py puts the adapters together."""

from __future__ import annotations

from typing import Any

from composer.audit import AuditSink
from composer.snapshot_composer import SnapshotProvider
from handlers.operation import LedgerPorts
from tests.fakes import (
    FakeAuditSink,
    FakeDomainAuditReader,
    FakeDomainReader,
    FakeDomainRepo,
    FakeEntryStore,
    FakeHeartbeatSink,
    FakeNodeRepo,
    FakeOutboxRelay,
    FakeReachabilityRepo,
    FakeRelationChecker,
    FakeSnapshotProvider,
    FakeTokenMint,
)
from tests.registry_fakes import FakeDomainNodes, FakeDomainRegistry, FakeNodeRegistry


def ledger_ports(parts: Any, snapshots: SnapshotProvider, audit: AuditSink) -> LedgerPorts:
    """``parts`` has the fakes under the names they have in ``in_process.py``."""
    return LedgerPorts(
        relations=parts.relations,
        nodes=parts.nodes,
        domains=parts.domains,
        snapshots=snapshots,
        heartbeats=parts.heartbeats,
        reachability=parts.verdicts,
        entries=parts.entries,
        domain_reader=parts.domain_rows,
        domain_nodes=parts.listed,
        domain_registry=parts.domain_registry,
        node_registry=parts.registry,
        outbox=parts.outbox,
        domain_audit=parts.trail,
        audit=audit,
        mint=parts.mint,
    )


def fake_ports(**ports: Any) -> LedgerPorts:
    """Fakes that hold nothing and grant nothing, with ``ports`` in the place of some."""
    empty: dict[str, Any] = {
        "relations": FakeRelationChecker(),
        "nodes": FakeNodeRepo(),
        "domains": FakeDomainRepo(),
        "snapshots": FakeSnapshotProvider(),
        "heartbeats": FakeHeartbeatSink(),
        "reachability": FakeReachabilityRepo(),
        "entries": FakeEntryStore(),
        "domain_reader": FakeDomainReader(),
        "domain_nodes": FakeDomainNodes(),
        "domain_registry": FakeDomainRegistry(),
        "node_registry": FakeNodeRegistry(),
        "outbox": FakeOutboxRelay(),
        "domain_audit": FakeDomainAuditReader(),
        "audit": FakeAuditSink(),
        "mint": FakeTokenMint(),
    }
    return LedgerPorts(**empty | ports)
