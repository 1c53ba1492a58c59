"""The outermost port: the real application over HTTP semantics, in this process, on fakes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from werkzeug.test import TestResponse

from composer.deadline import Deadline
from composer.enrolment import NewBootstrapToken
from composer.entries import KINDS
from composer.identity import PLATFORM, AddressedDomain, Principal, PrincipalKind
from composer.reachability import ReachabilityRow
from composer.registry import Domain
from composer.snapshot_composer import SnapshotComposer
from handlers import OPERATIONS
from handlers.operation import AnyOperation, Operation
from handlers.ports import Ports
from handlers.service import Asset, DocsPage, ServicePorts
from server.contract.document import Contract
from server.http.app import build_app
from server.http.operations import BoundOperations
from server.http.request_audit import RequestAudit
from server.telemetry.metrics import Exposition, Metrics
from tests.credential_fakes import (
    FakeEventKeys,
    FakeKeys,
    FakeNodeCredentials,
    FakePublishedKeys,
    FakeSecretKeys,
    FakeTokenMint,
)
from tests.domain_fakes import FakeDomainAuditReader, FakeDomainReader, FakeDomainRepo
from tests.enrolment_fakes import (
    DOCUMENTED_DIGEST,
    DOCUMENTED_PROJECT,
    DOCUMENTED_TOKEN,
    FakeBootstrapTokens,
)
from tests.event_fakes import FakeEventStreams
from tests.factories import DOMAIN, EPOCH, addressed, agent_of, entry, node_id, peer_row
from tests.fakes import (
    FakeAuditSink,
    FakeDropReporter,
    FakeHealthProbe,
    FakeLastAnswers,
    FakeLedger,
    FakeNodeRepo,
    FakeRelationChecker,
    FakeRequestLimits,
)
from tests.node_fakes import (
    FakeEntryStore,
    FakeHeartbeatSink,
    FakeOutboxRelay,
    FakeReachabilityRepo,
)
from tests.ports.wired import ledger_ports
from tests.registry_fakes import FakeDomainNodes, FakeDomainRegistry, FakeNodeRegistry

if not structlog.is_configured():
    # the library's own default prints, and takes seconds to draw an exception with its locals
    structlog.configure(
        processors=[structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.ReturnLoggerFactory(),
    )


# What the first Node has an entry of each kind under: the example that the contract has of a key.
ENTRY_KEY = "disk.root"
DOMAIN_ROW = Domain(DOMAIN, "Plant North", "plant-north", None, None, "10.42.0.0/16", EPOCH, EPOCH)


def _asset(media_type: str) -> Asset:
    return Asset(b"/**/", media_type, "a" * 43)


def gated_operation(name: str) -> Operation:
    """An operation of the service that has gates."""
    operation = OPERATIONS[name]
    assert isinstance(operation, Operation)
    return operation


class FakeService:
    """The real application in this process, on fakes: a Domain of three Nodes, each its own agent.

    ``Authorization: Bearer <n>`` is the agent of the ``n``-th Node, ``Bearer user:<id>`` a person;
    any other header is nobody. The first Node's agent may do with the Domain whatever can be done,
    and has issued the bootstrap token of the contract's example.
    Without ``has_signing_key`` there is no mint, without ``has_event_keys`` no event key.
    ``operations`` takes the place of some operations, ``ports`` of some of the ledger's ports; an
    ``audit`` among them is the sink behind the rows that a request holds, a ``history`` where the
    bodies go that left.
    """

    contract = Contract.packaged()

    def __init__(
        self,
        provisioned: bool = True,
        has_signing_key: bool = True,
        has_event_keys: bool = True,
        operations: Mapping[str, AnyOperation] | None = None,
        contract: Contract | None = None,
        large_body_bytes: int = 2**30,
        **ports: Any,
    ) -> None:
        rows = [peer_row(number) for number in (3, 1, 2)]
        agents = {
            (agent_of(n).subject, relation, f"node:{node_id(n)}")
            for n in (1, 2, 3)
            for relation in ("node-agent", "node-view")
        }
        first = agent_of(1).subject
        roles = {
            (first, relation, f"domain:{DOMAIN}") for relation in ("domain-view", "domain-edit")
        }
        roles |= {(first, "domain-edit", f"node:{node_id(n)}") for n in (1, 2, 3)}
        roles |= {(first, "manage", PLATFORM), (first, "auditor", f"domain:{DOMAIN}")}
        self.relations = FakeRelationChecker(agents | roles)
        self.domain_audit = FakeDomainAuditReader()
        self.domains = FakeDomainRepo({DOMAIN: AddressedDomain(DOMAIN, None)})
        self.domain_reader = FakeDomainReader({DOMAIN: DOMAIN_ROW})
        self.nodes = FakeNodeRepo({node_id(n): addressed(n) for n in (1, 2, 3)})
        self.ledger = FakeLedger.of(DOMAIN, rows)
        self.drops = FakeDropReporter()
        self.audit = FakeAuditSink()
        self.limits = FakeRequestLimits()
        self.keys = FakeKeys()
        self.last_answers = FakeLastAnswers()
        self.heartbeats = FakeHeartbeatSink({node_id(n) for n in (1, 2, 3)}, datetime.now(UTC))
        self.reachability = FakeReachabilityRepo(
            {node_id(n): ReachabilityRow("healthy", EPOCH, EPOCH) for n in (1, 2, 3)}
        )
        held = {(node_id(1), kind, ENTRY_KEY): entry(kind, ENTRY_KEY) for kind in KINDS}
        self.entries = FakeEntryStore(
            {node_id(n): DOMAIN for n in (1, 2, 3)}, rows=held, audit=self.audit
        )
        self.health = FakeHealthProbe()
        self.published = FakePublishedKeys()
        self.mint = FakeTokenMint() if has_signing_key else None
        self.events = FakeEventStreams()
        self.event_keys = FakeEventKeys({DOMAIN}) if has_event_keys else None
        self.credentials = FakeNodeCredentials(
            {node_id(n): () for n in (1, 2, 3)}, audit=self.audit
        )
        self.secret_keys = FakeSecretKeys()
        self.outbox = FakeOutboxRelay()
        self.domain_nodes = FakeDomainNodes()
        self.domain_registry = FakeDomainRegistry(self.domain_reader, audit=self.audit)
        self.node_registry = FakeNodeRegistry(
            {DOMAIN: "10.42.0.0/16"},
            nodes={row.node_id: (DOMAIN, row.public_key or b"", row.mesh_ip or "") for row in rows},
            told=self.ledger.add,
            audit=self.audit,
        )
        self.bootstrap_tokens = FakeBootstrapTokens(self.node_registry)
        of_first = NewBootstrapToken(
            digest=DOCUMENTED_DIGEST,
            project_id=DOCUMENTED_PROJECT,
            resource_handle=None,
            lifetime=timedelta(hours=1),
            issuer=first,
        )
        self.bootstrap_tokens.put(DOCUMENTED_TOKEN, DOMAIN, of_first)
        self.metrics = Metrics()
        self.seen: list[list[str]] = []
        contract = contract or self.contract
        sink, history = ports.pop("audit", self.audit), ports.pop("history", None)
        page = DocsPage(b"<p>", _asset("text/javascript"), _asset("text/css"))
        meta = ServicePorts(
            health=self.health,
            metrics=Exposition(self.metrics),
            contract=contract.raw,
            contract_document={"openapi": "3.0.3", "info": {}, "paths": {}},
            docs_page=page,
            version="0.1.0",
            contract_version=contract.version,
            commit="unknown",
            date="unknown",
            keys=self.published,
        )
        snapshots = SnapshotComposer(self.ledger, self.drops)
        ledger = ledger_ports(self, **{"snapshots": snapshots, "audit": RequestAudit(sink)} | ports)
        bound = BoundOperations(
            {**OPERATIONS, **(operations or {})},
            Ports(meta, ledger if provisioned else None),
            self._principal,
        )
        self.app = build_app(
            contract,
            bound,
            self.metrics,
            deadline_s=3.0,
            audit=sink,
            large_body_bytes=large_body_bytes,
            history=history,
        )

    def _principal(self, headers: list[str], deadline: Deadline) -> Principal | None:
        self.seen.append(headers)
        if headers and self.keys.fails is not None:
            raise self.keys.fails
        scheme, _, credential = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
        if scheme == "Bearer" and credential.startswith("user:"):
            return Principal(PrincipalKind.USER, credential.removeprefix("user:"))
        return agent_of(int(credential)) if scheme == "Bearer" and credential.isdigit() else None

    def ask(
        self, path: str, who: int | str | None = None, method: str = "GET", **values: Any
    ) -> TestResponse:
        """One request; ``path`` is what the HTTP server hands on, percent-decoded."""
        headers = {**values.pop("headers", {})}
        if who is not None:
            headers["Authorization"] = f"Bearer {who}"
        environ = {"PATH_INFO": path.encode().decode("latin-1")} | values.pop("environ", {})
        return self.app.test_client(use_cookies=False).open(
            "/", method=method, headers=headers, environ_overrides=environ, **values
        )

    def pull(self, number: int = 1, who: int | None = 1, **values: Any) -> TestResponse:
        """The reconciliation pull of the ``number``-th Node."""
        return self.ask(f"/v1/nodes/{node_id(number)}/state", who, **values)

    def asked(self) -> int:
        """The number of calls of the ports behind gate 1."""
        calls = (self.relations.calls, self.relations.calls_at_least, self.nodes.calls)
        return sum(map(len, calls)) + len(self.ledger.calls)
