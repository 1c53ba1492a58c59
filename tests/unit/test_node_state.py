"""GetNodeState past the gates: what a 200 and its audit row carry."""

from __future__ import annotations

import pytest

from composer.audit import AuditRow
from composer.identity import Principal, PrincipalKind
from handlers import OPERATIONS
from handlers.answers import Answer
from handlers.operation import perform
from handlers.wire import SnapshotBody
from tests.factories import CORRELATION, DOMAIN, addressed, agent_of, call, node_id, snapshot
from tests.fakes import FakeAuditSink, FakeNodeRepo, FakeRelationChecker, FakeSnapshotProvider
from tests.ports.wired import fake_ports

NODE = node_id(1)
SERVICE = Principal(PrincipalKind.SERVICE, "stand-in")


def pull(who: Principal, audit: FakeAuditSink | None = None) -> Answer:
    grants = {(agent.subject, "node-agent", f"node:{NODE}") for agent in (agent_of(1), SERVICE)}
    ports = fake_ports(
        relations=FakeRelationChecker(grants),
        nodes=FakeNodeRepo({NODE: addressed(1)}),
        snapshots=FakeSnapshotProvider({(NODE, DOMAIN): snapshot()}),
        audit=audit or FakeAuditSink(),
    )
    return perform(OPERATIONS["GetNodeState"], ports, call(who), {"id": str(NODE)})


def test_the_etag_is_the_weak_digest_of_the_body() -> None:
    answer = pull(agent_of(1))
    assert isinstance(answer.body, SnapshotBody)
    assert answer.headers["ETag"] == f'W/"{answer.body.digest}"'


@pytest.mark.parametrize("who", [agent_of(1), SERVICE], ids=["node", "service"])
def test_a_200_is_audited_with_the_digest_that_was_served(who: Principal) -> None:
    audit = FakeAuditSink()
    answer = pull(who, audit)
    assert isinstance(answer.body, SnapshotBody)
    assert audit.rows == [
        AuditRow(
            relation="node_state.pull",
            outcome="granted",
            subject=who.subject,
            object=f"node:{NODE}",
            correlation_id=CORRELATION,
            digest=answer.body.digest,
        )
    ]
