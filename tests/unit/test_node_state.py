"""GetNodeState past the gates: what a 200, a 304 and their audit rows carry."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import pytest

from composer.audit import AuditRow, AuditSink, SilentAudit
from composer.identity import Principal, PrincipalKind
from composer.snapshot import NodeStateSnapshot
from handlers.answers import Answer
from handlers.gates import GatePorts
from handlers.node_state import PullPorts, get_node_state, refuse_pull
from handlers.refusals import NOT_PROVISIONED, Refused
from handlers.wire import SnapshotBody
from tests.factories import CORRELATION, DOMAIN, addressed, agent_of, call, node_id, snapshot
from tests.fakes import FakeAuditSink, FakeNodeRepo, FakeRelationChecker, FakeSnapshotProvider

NODE = node_id(1)
SERVICE = Principal(PrincipalKind.SERVICE, "stand-in")


def ports(audit: AuditSink, shown: NodeStateSnapshot | None = None) -> PullPorts:
    grants = {(who.subject, "node-agent", f"node:{NODE}") for who in (agent_of(1), SERVICE)}
    return PullPorts(
        FakeRelationChecker(grants),
        FakeNodeRepo({NODE: addressed(1)}),
        FakeSnapshotProvider({(NODE, DOMAIN): shown or snapshot()}),
        audit,
    )


def pull(
    audit: AuditSink | None = None, holds: str | None = None, who: Principal | None = None
) -> Answer:
    return get_node_state(
        ports(audit or FakeAuditSink()), call(who or agent_of(1), holds), str(NODE)
    )


def digest_of(answer: Answer) -> str:
    found = re.fullmatch(r'W/"([0-9a-f]{64})"', answer.headers["ETag"])
    assert found
    return found[1]


def test_a_pull_through_all_gates_is_a_200_with_the_snapshot() -> None:
    answer = pull()
    assert isinstance(answer.body, SnapshotBody)
    assert (answer.status, answer.media_type) == (200, "application/json")


def test_a_200_may_be_kept_by_the_caller_alone_and_is_revalidated() -> None:
    headers = dict(pull().headers)
    headers.pop("ETag")
    assert headers == {
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Accept-Encoding",
    }


def test_the_etag_is_the_weak_digest_of_the_body() -> None:
    answer = pull()
    assert isinstance(answer.body, SnapshotBody)
    assert answer.headers["ETag"] == f'W/"{answer.body.digest}"'


@pytest.mark.parametrize("who", [agent_of(1), SERVICE], ids=["node", "service"])
def test_a_200_is_audited_with_the_digest_that_was_served(who: Principal) -> None:
    audit = FakeAuditSink()
    answer = pull(audit, who=who)
    assert audit.rows == [
        AuditRow(
            relation="node_state.pull",
            outcome="granted",
            subject=who.subject,
            object=f"node:{NODE}",
            correlation_id=CORRELATION,
            digest=digest_of(answer),
        )
    ]


def test_who_holds_the_desired_state_gets_a_304_without_a_body() -> None:
    answer = pull(holds=digest_of(pull()))
    assert (answer.status, answer.body, answer.media_type) == (304, None, None)


def test_a_304_carries_the_headers_of_the_200() -> None:
    first = pull()
    assert pull(holds=digest_of(first)).headers == first.headers


def test_a_304_is_audited_as_a_200_is() -> None:
    served, revalidated = FakeAuditSink(), FakeAuditSink()
    digest = digest_of(pull(served))
    pull(revalidated, holds=digest)
    assert revalidated.rows == served.rows


def test_who_holds_another_digest_gets_a_200() -> None:
    assert pull(holds="0" * 64).status == 200


def test_a_sink_that_raises_does_not_fail_a_pull() -> None:
    assert pull(FakeAuditSink(fails=RuntimeError("disk full"))).status == 200


def test_a_sink_that_raises_does_not_turn_a_refusal_into_a_fault() -> None:
    broken = ports(FakeAuditSink(fails=RuntimeError("disk full")))
    with pytest.raises(Refused) as refused:
        get_node_state(broken, call(agent_of(2)), str(NODE))
    assert refused.value.kind.code == "insufficient_relation"


def test_a_row_the_sink_did_not_take_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        pull(FakeAuditSink(fails=RuntimeError("disk full")))
    assert [record.message for record in caplog.records] == ["audit_row_lost"]


def test_without_a_sink_a_pull_is_served() -> None:
    wired = ports(SilentAudit())
    nil = PullPorts(wired.relations, wired.nodes, wired.snapshots)
    assert get_node_state(nil, call(agent_of(1)), str(NODE)).status == 200


def test_the_sink_left_out_is_the_nil_sink() -> None:
    wired = ports(SilentAudit())
    assert isinstance(PullPorts(wired.relations, wired.nodes, wired.snapshots).audit, SilentAudit)


@pytest.mark.parametrize("missing", ["relations", "nodes", "snapshots"])
def test_ports_cannot_be_built_without_a_load_bearing_one(missing: str) -> None:
    wired = ports(SilentAudit())
    given = {name: getattr(wired, name) for name in ("relations", "nodes", "snapshots")}
    del given[missing]
    with pytest.raises(TypeError, match=missing):
        GatePorts(**given)


def test_an_unprovisioned_pull_refuses_whoever_asks() -> None:
    with pytest.raises(Refused) as refused:
        refuse_pull()
    assert refused.value.kind is NOT_PROVISIONED


def test_a_fault_that_is_no_composer_error_is_not_swallowed() -> None:
    broken = replace(ports(FakeAuditSink()), nodes=FakeNodeRepo(fails=KeyError("a bug")))
    with pytest.raises(KeyError):
        get_node_state(broken, call(agent_of(1)), str(NODE))


def test_a_refusal_says_inside_what_the_port_said() -> None:
    broken = replace(ports(FakeAuditSink()), nodes=FakeNodeRepo(fails=ValueError("x")))
    broken = replace(broken, relations=FakeRelationChecker())
    with pytest.raises(Refused) as refused:
        get_node_state(broken, call(agent_of(1)), str(NODE))
    assert refused.value.inside == f"node:{NODE} lacks node-agent on node:{NODE}"
