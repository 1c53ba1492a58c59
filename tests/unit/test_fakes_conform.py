"""The fakes keep what the ports promise: the same suites run on the real adapters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

import pytest
import structlog

from composer.audit import AuditRow, NoAudit
from composer.errors import AuthzUnavailable, DatastoreUnavailable
from composer.identity import AddressedDomain, AddressedNode, Principal, node_object
from composer.peers import PeerTable
from composer.snapshot_composer import SnapshotComposer
from server.telemetry.metrics import Metrics
from server.telemetry.recorders import PeerDropRecorder
from tests.domain_fakes import FakeDomainRepo
from tests.factories import ALLOW_HTTPS, DOMAIN, bridge_rows, entry, node_id, peer_row, rule_set
from tests.fakes import (
    FakeAuditSink,
    FakeBodyHistory,
    FakeDropReporter,
    FakeLedger,
    FakeNodeRepo,
    FakeRelationChecker,
    FakeSnapshotProvider,
    FakeView,
)
from tests.ports.audit_sink import GRANTED, AuditSinkSuite
from tests.ports.body_history import BodyHistorySuite
from tests.ports.deadlines import in_time
from tests.ports.domain_repo import DomainRepoSuite
from tests.ports.drop_reporter import DropReporterSuite
from tests.ports.ledger import Contents, LedgerSuite
from tests.ports.node_repo import NodeRepoSuite
from tests.ports.relation_checker import AGENT, RelationCheckerSuite
from tests.ports.snapshot_provider import SnapshotProviderSuite


class RelationsInASet:
    def __init__(self) -> None:
        self.checker = FakeRelationChecker()

    def grant(self, principal: Principal, node: UUID) -> str:
        self.checker.grants.add((principal.subject, AGENT, node_object(node)))
        return "granted"

    def revoke(self, principal: Principal, node: UUID) -> str:
        self.checker.revoked_at_least.add((principal.subject, AGENT, node_object(node)))
        return "revoked"

    def go_away(self) -> None:
        self.checker.fails = AuthzUnavailable("away")


class TestFakeRelationChecker(RelationCheckerSuite):
    @pytest.fixture
    def facts(self) -> RelationsInASet:
        return RelationsInASet()


class NodesInADict:
    def __init__(self) -> None:
        self.repo = FakeNodeRepo()

    def put(self, node: AddressedNode) -> None:
        self.repo.nodes[node.id] = node

    def remove(self, node: UUID) -> None:
        del self.repo.nodes[node]

    def go_away(self) -> None:
        self.repo.fails = DatastoreUnavailable("away")


class TestFakeNodeRepo(NodeRepoSuite):
    @pytest.fixture
    def facts(self) -> NodesInADict:
        return NodesInADict()


class DomainsInADict:
    def __init__(self) -> None:
        self.repo = FakeDomainRepo()

    def put(self, domain: AddressedDomain) -> None:
        self.repo.domains[domain.id] = domain

    def remove(self, domain: UUID) -> None:
        del self.repo.domains[domain]

    def go_away(self) -> None:
        self.repo.fails = DatastoreUnavailable("away")


class TestFakeDomainRepo(DomainRepoSuite):
    @pytest.fixture
    def facts(self) -> DomainsInADict:
        return DomainsInADict()


class RowsInAView:
    def __init__(self) -> None:
        self.ledger = FakeLedger.of(DOMAIN, [])

    def hold(self, contents: Contents) -> None:
        self.ledger.shown = FakeView(
            PeerTable(DOMAIN, uuid4(), tuple(contents.rows())),
            contents.reachability,
            contents.rule_sets,
            contents.bridge,
            contents.entries,
        )

    def heartbeat(self, at: datetime) -> None:
        shown = self.ledger.shown
        self.ledger.shown = replace(shown, reach=replace(shown.reach, last_heartbeat_at=at))

    def rekey(self, node: UUID, public_key: bytes) -> None:
        rows = (
            replace(row, public_key=public_key) if row.node_id == node else row
            for row in self.ledger.shown.table.rows
        )
        table = PeerTable(DOMAIN, uuid4(), tuple(rows))
        self.ledger.shown = replace(self.ledger.shown, table=table)

    def go_away(self) -> None:
        self.ledger.fails = DatastoreUnavailable("away")


class TestFakeLedger(LedgerSuite):
    @pytest.fixture
    def facts(self) -> RowsInAView:
        return RowsInAView()


class RowsInAList:
    def __init__(self) -> None:
        self.sink = FakeAuditSink()

    def kept(self) -> Sequence[AuditRow]:
        return self.sink.rows

    def go_away(self) -> None:
        self.sink.away = True


class TestFakeAuditSink(AuditSinkSuite):
    @pytest.fixture
    def facts(self) -> RowsInAList:
        return RowsInAList()


class BodiesInAList:
    node = f"node:{node_id(1)}"

    def __init__(self) -> None:
        self.history = FakeBodyHistory()

    def kept(self) -> Sequence[tuple[str, bytes]]:
        return [(digest, body) for node, digest, body in self.history.bodies if node == self.node]

    def go_away(self) -> None:
        self.history.away = True


class TestFakeBodyHistory(BodyHistorySuite):
    @pytest.fixture
    def facts(self) -> BodiesInAList:
        return BodiesInAList()


def test_the_nil_sink_takes_a_row_without_a_word() -> None:
    assert NoAudit().record(GRANTED) is None  # type: ignore[func-returns-value]


class DropsInAList:
    def __init__(self) -> None:
        self.reporter = FakeDropReporter()

    def warnings(self) -> Sequence[dict[str, str]]:
        names = ("outcome", "domain_id", "addressed_node_id", "peer_node_id")
        return [dict(zip(names, map(str, drop), strict=True)) for drop in self.reporter.drops]


class TestFakeDropReporter(DropReporterSuite):
    @pytest.fixture
    def facts(self) -> DropsInAList:
        return DropsInAList()


class LinesOfTheLog:
    def __init__(self, lines: list[dict[str, str]]) -> None:
        self.reporter = PeerDropRecorder(Metrics())
        self._lines = lines

    def warnings(self) -> Sequence[dict[str, str]]:
        own = ("event", "log_level")
        return [
            {name: value for name, value in line.items() if name not in own}
            for line in self._lines
            if line["log_level"] == "warning"
        ]


class TestDropObserver(DropReporterSuite):
    @pytest.fixture
    def facts(self):
        with structlog.testing.capture_logs() as lines:
            yield LinesOfTheLog(lines)


class SnapshotsInADict:
    def __init__(self) -> None:
        self.provider = FakeSnapshotProvider(
            {
                (node_id(number), DOMAIN): SnapshotComposer(
                    full_ledger(), FakeDropReporter()
                ).snapshot_for_node(node_id(number), DOMAIN, in_time())
                for number in (1, 2, 3)
            }
        )

    def go_away(self) -> None:
        self.provider.fails = DatastoreUnavailable("away")


class TestFakeSnapshotProvider(SnapshotProviderSuite):
    @pytest.fixture
    def facts(self) -> SnapshotsInADict:
        return SnapshotsInADict()


class Composed:
    def __init__(self) -> None:
        self._ledger = full_ledger()
        self.provider = SnapshotComposer(self._ledger, FakeDropReporter())

    def go_away(self) -> None:
        self._ledger.fails = DatastoreUnavailable("away")


class TestSnapshotComposer(SnapshotProviderSuite):
    @pytest.fixture
    def facts(self) -> Composed:
        return Composed()


def full_ledger() -> FakeLedger:
    return FakeLedger.of(
        DOMAIN,
        [peer_row(3), peer_row(1), peer_row(2)],
        rule_sets=(rule_set(1, ALLOW_HTTPS),),
        bridge_rows=bridge_rows(),
        entry_rows=(entry("metadata", "a"), entry("data", "b"), entry("report", "c")),
    )
