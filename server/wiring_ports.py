"""The ports of every operation that stands on the ledger, from the adapters they share.

One line an operation's ports: an operation whose ports are not among them is refused (gate 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from composer.ports import AuditSink, OutboxRelay, TokenMint
from composer.snapshot_composer import SnapshotComposer
from db.domains import PostgresDomainReader, PostgresDomainRepo
from db.heartbeats import PostgresHeartbeats
from db.ledger import PostgresLedger
from db.nodes import PostgresNodeRepo
from db.pool import ReadPool
from db.verdicts import PostgresReachabilityRepo
from db.write_pool import WritePool
from handlers.domains import DomainPorts
from handlers.heartbeat import HeartbeatPorts
from handlers.node_state import PullPorts
from handlers.node_token import NodeTokenPorts
from handlers.reachability import ReachabilityPorts
from server.authz.outbox_relay import SpiceDbOutboxRelay
from server.authz.spicedb import SpiceDbChecker
from server.metrics import Metrics
from server.moved_time import moved_time
from server.observers import DropObserver
from server.settings import Settings


@dataclass(frozen=True, slots=True)
class Shared:
    """What several operations stand on. ``mint`` exists only where there is a signing key."""

    settings: Settings
    metrics: Metrics
    reads: ReadPool
    writes: WritePool
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
    "DomainRepo": PostgresDomainRepo,
    "DomainReader": PostgresDomainReader,
    "OutboxRelay": SpiceDbOutboxRelay,
}


def operation_ports(shared: Shared) -> dict[type, object]:
    """By the type that a handler names."""
    relations, reads, audit = shared.relations, shared.reads, shared.audit
    nodes = PostgresNodeRepo(reads)
    domains = PostgresDomainRepo(reads)
    ledger = PostgresLedger(reads, held_rows=shared.settings.held_peers)
    snapshots = SnapshotComposer(ledger, DropObserver(shared.metrics))
    heartbeats = PostgresHeartbeats(shared.writes, moved_time(shared.settings.test_clock))
    ports = (
        PullPorts(relations, nodes, snapshots, audit),
        HeartbeatPorts(relations, nodes, heartbeats, audit),
        ReachabilityPorts(relations, nodes, PostgresReachabilityRepo(reads), audit),
        DomainPorts(relations, domains, PostgresDomainReader(reads), audit),
    )
    return {type(one): one for one in (*ports, *minting_ports(shared, nodes))}


def minting_ports(shared: Shared, nodes: PostgresNodeRepo) -> tuple[object, ...]:
    """Those of the operations that give tokens out: none where there is no signing key."""
    if shared.mint is None:
        return ()
    return (NodeTokenPorts(shared.relations, nodes, shared.mint, shared.audit),)
