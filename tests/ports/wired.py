"""The ledger's ports over one set of fakes, as server/adapters.py puts the adapters together."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from handlers.ports import LedgerPorts, OptionalPorts
from tests.credential_fakes import FakeEventKeys, FakeNodeCredentials, FakeSecretKeys, FakeTokenMint
from tests.domain_fakes import FakeDomainAuditReader, FakeDomainReader, FakeDomainRepo
from tests.enrolment_fakes import FakeBootstrapTokens
from tests.event_fakes import FakeEventStreams
from tests.fakes import (
    FakeAuditSink,
    FakeLastAnswers,
    FakeNodeRepo,
    FakeRelationChecker,
    FakeRequestLimits,
    FakeSnapshotProvider,
)
from tests.node_fakes import (
    FakeEntryStore,
    FakeHeartbeatSink,
    FakeOutboxRelay,
    FakeReachabilityRepo,
)
from tests.registry_fakes import FakeDomainNodes, FakeDomainRegistry, FakeNodeRegistry


def ledger_ports(parts: Any, **ports: Any) -> LedgerPorts:
    """``parts`` has a fake under the name of each port that is not among ``ports``."""
    names = {port.name for port in (*fields(LedgerPorts), *fields(OptionalPorts))}
    fakes = {name: getattr(parts, name) for name in names - {"wire", "optional", *ports}}
    return _whole(**fakes, **ports)


def _whole(**ports: Any) -> LedgerPorts:
    optional = {port.name: ports.pop(port.name) for port in fields(OptionalPorts)}
    return LedgerPorts(**ports, optional=OptionalPorts(**optional))


def fake_ports(**ports: Any) -> LedgerPorts:
    """Fakes that have nothing and grant nothing, with ``ports`` in the place of some."""
    return _whole(**fakes() | ports)


def fakes() -> dict[str, Any]:
    """A fake of each port, by name, that has nothing and grants nothing."""
    return {
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
        "credentials": FakeNodeCredentials(),
        "secret_keys": FakeSecretKeys(),
        "bootstrap_tokens": FakeBootstrapTokens(),
        "audit": FakeAuditSink(),
        "limits": FakeRequestLimits(),
        "last_answers": FakeLastAnswers(),
        "mint": FakeTokenMint(),
        "event_keys": FakeEventKeys(),
        "events": FakeEventStreams(),
    }
