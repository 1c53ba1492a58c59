"""The ports of the operations, in one value each: what needs the ledger, and what does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from composer.audit import AuditSink, DomainAuditReader
from composer.credentials import NodeCredentials, SecretKeySource
from composer.deadline import Deadline
from composer.enrolment import BootstrapTokens
from composer.entries import EntryStore
from composer.event_keys import EventKey, EventKeys
from composer.event_streams import EventStreams
from composer.heartbeat import HeartbeatSink
from composer.identity import DomainRepo, NodeRepo, RelationChecker
from composer.last_answers import LastAnswers
from composer.limits import RequestLimits
from composer.node_token import TokenMint
from composer.reachability import ReachabilityRepo
from composer.registry import DomainNodes, DomainReader, DomainRegistry, NodeRegistry, OutboxRelay
from composer.snapshot_composer import SnapshotProvider
from handlers.service import ServicePorts
from handlers.wire import SnapshotWire


class OptionalPort(Enum):
    """The name of a port in OptionalPorts."""

    MINT = "mint"
    EVENT_KEYS = "event_keys"
    EVENTS = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionalPorts:
    """The ports that a service may lack: without a signing key, without a key that encrypts event
    keys, without an event bus.

    An Operation declares the port that it needs. Without the port it is 501; else its handler gets
    the port.
    """

    mint: TokenMint | None = None
    event_keys: EventKeys | None = None
    events: EventStreams | None = None

    def find(self, port: OptionalPort) -> object | None:
        """The port of that name; None in a service that lacks it."""
        found: object | None = getattr(self, port.value)
        return found

    def event_key(self, domain_id: UUID, deadline: Deadline) -> EventKey | None:
        """The Domain's event key; None in a service that cannot encrypt event keys."""
        keys = self.event_keys
        return None if keys is None else keys.current(domain_id, deadline)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPorts:
    """Every port that needs the ledger. The value has all of them, or it does not exist (gate 0).

    ``wire`` is shared, so a registration has the same bytes of ``peers`` as the pull.
    """

    relations: RelationChecker
    nodes: NodeRepo
    domains: DomainRepo
    snapshots: SnapshotProvider
    heartbeats: HeartbeatSink
    reachability: ReachabilityRepo
    entries: EntryStore
    domain_reader: DomainReader
    domain_nodes: DomainNodes
    domain_registry: DomainRegistry
    node_registry: NodeRegistry
    outbox: OutboxRelay
    domain_audit: DomainAuditReader
    credentials: NodeCredentials
    secret_keys: SecretKeySource
    bootstrap_tokens: BootstrapTokens
    audit: AuditSink
    limits: RequestLimits
    last_answers: LastAnswers
    optional: OptionalPorts
    wire: SnapshotWire = field(default_factory=SnapshotWire)


@dataclass(frozen=True, slots=True)
class Ports:
    """All ports of the process; ``ledger`` is None where the service is not provisioned."""

    service: ServicePorts
    ledger: LedgerPorts | None = None
