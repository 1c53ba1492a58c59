"""The ports of every operation that stands on the ledger, from the adapters they share.

One line an operation's ports: an operation whose ports are not among them is refused (gate 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from composer.audit import AuditSink
from composer.node_token import TokenMint
from composer.registry import OutboxRelay
from composer.snapshot_composer import SnapshotComposer
from db.audit_reader import PostgresDomainAuditReader
from db.connections import ReadSession, WriteSession
from db.domains import PostgresDomainReader, PostgresDomainRegistry, PostgresDomainRepo
from db.entries import PostgresEntries
from db.heartbeats import PostgresHeartbeats
from db.ledger import PostgresLedger
from db.nodes import PostgresDomainNodes, PostgresNodeRegistry, PostgresNodeRepo
from db.pool import Pool
from db.reachability import PostgresReachabilityRepo
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
from server.authz.checker import SpiceDbChecker
from server.authz.outbox_relay import SpiceDbOutboxRelay
from server.moved_time import moved_time
from server.settings import Settings
from server.telemetry.metrics import Metrics
from server.telemetry.recorders import PeerDropRecorder


@dataclass(frozen=True, slots=True)
class Shared:
    """What several operations stand on. ``mint`` exists only where there is a signing key.

    ``heartbeats`` are a pool apart, so that no agent queues behind those who wait for a Domain.
    """

    settings: Settings
    metrics: Metrics
    reads: Pool[ReadSession]
    writes: Pool[WriteSession]
    heartbeats: Pool[WriteSession]
    relations: SpiceDbChecker
    audit: AuditSink
    outbox: OutboxRelay
    mint: TokenMint | None = None


# Port -> the adapter it is wired to where the ledger is; the order of the receipt.
ADAPTERS: Mapping[str, type] = {
    "SnapshotProvider": SnapshotComposer,
    "RelationChecker": SpiceDbChecker,
    "NodeRepo": PostgresNodeRepo,
    "HeartbeatSink": PostgresHeartbeats,
    "ReachabilityRepo": PostgresReachabilityRepo,
    "EntryStore": PostgresEntries,
    "DomainRepo": PostgresDomainRepo,
    "DomainReader": PostgresDomainReader,
    "DomainNodes": PostgresDomainNodes,
    "DomainRegistry": PostgresDomainRegistry,
    "NodeRegistry": PostgresNodeRegistry,
    "OutboxRelay": SpiceDbOutboxRelay,
    "DomainAuditReader": PostgresDomainAuditReader,
}


def operation_ports(shared: Shared) -> dict[type, object]:
    """By the type that a handler names."""
    relations, reads, audit = shared.relations, shared.reads, shared.audit
    nodes = PostgresNodeRepo(reads)
    domains = PostgresDomainRepo(reads)
    reader = PostgresDomainReader(reads)
    settings = shared.settings
    entries = PostgresEntries(shared.writes, settings.report_quota, settings.entry_quota)
    ledger = PostgresLedger(reads, held_rows=shared.settings.held_peers)
    snapshots = SnapshotComposer(ledger, PeerDropRecorder(shared.metrics))
    ahead = moved_time(shared.settings.test_clock)
    heartbeats = PostgresHeartbeats(shared.heartbeats, ahead)
    domain_registry = PostgresDomainRegistry(shared.writes, ahead)
    hold_off = timedelta(seconds=shared.settings.address_hold_off)
    registry = PostgresNodeRegistry(shared.writes, hold_off, ahead)
    outbox = shared.outbox
    pull = PullPorts(relations, nodes, snapshots, audit)
    ports = (
        pull,
        HeartbeatPorts(relations, heartbeats, audit),
        ReachabilityPorts(relations, nodes, domains, PostgresReachabilityRepo(reads), audit),
        DomainPorts(relations, domains, reader, audit),
        DomainNodesPorts(relations, domains, PostgresDomainNodes(reads), audit),
        DomainRegistryPorts(relations, domains, domain_registry, outbox, reader, audit),
        NodeRegistryPorts(relations, nodes, domains, registry, outbox, audit),
        DomainAuditPorts(relations, domains, PostgresDomainAuditReader(reads), audit),
        ReportPorts(relations, nodes, entries, audit),
        EntryPorts(relations, nodes, domains, entries, audit),
    )
    minting: tuple[object, ...] = ()
    if shared.mint is not None:  # what gives tokens out exists only where there is a signing key
        registration = RegistrationPorts(
            *(relations, domains, registry, outbox, snapshots, shared.mint, pull.wire, audit)
        )
        minting = (NodeTokenPorts(relations, nodes, shared.mint, audit), registration)
    return {type(one): one for one in (*ports, *minting)}
