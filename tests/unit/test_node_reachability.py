"""GetNodeReachability: the pull's gates, and the pull's own block."""

from __future__ import annotations

import json

import pytest

from composer.audit import AuditRow
from composer.errors import AuthzUnavailable, CorruptLedger, DatastoreUnavailable, NodeNotFound
from composer.identity import AddressedDomain, Principal, PrincipalKind
from composer.reachability import STATES, ZERO_TIME, ReachabilityRow
from handlers.answers import Answer
from handlers.node_state import PullPorts, get_node_state
from handlers.reachability import (
    ReachabilityPorts,
    get_node_reachability,
    refuse_reachability,
)
from handlers.refusals import (
    AUTHZ_UNAVAILABLE,
    DATASTORE_UNAVAILABLE,
    INSUFFICIENT_RELATION,
    INTERNAL,
    INVALID_NODE_ID,
    NODE_NOT_FOUND,
    REACHABILITY_NOT_PROVISIONED,
    UNAUTHORIZED,
    RefusalKind,
    Refused,
)
from handlers.wire import SnapshotBody, json_bytes
from tests.factories import (
    CORRELATION,
    DOMAIN,
    EPOCH,
    addressed,
    agent_of,
    call,
    node_id,
    reachability,
    snapshot,
)
from tests.fakes import (
    FakeAuditSink,
    FakeDomainRepo,
    FakeNodeRepo,
    FakeReachabilityRepo,
    FakeRelationChecker,
    FakeSnapshotProvider,
)

NODE = node_id(1)
TRIPLE = (f"node:{NODE}", "node-view", f"node:{NODE}")
ROW = ReachabilityRow("stale", EPOCH.replace(microsecond=250_000), EPOCH)


class Arranged:
    def __init__(self, row: ReachabilityRow = ROW) -> None:
        self.relations = FakeRelationChecker({TRIPLE})
        self.nodes = FakeNodeRepo({NODE: addressed(1, "token")})
        self.domains = FakeDomainRepo({DOMAIN: AddressedDomain(DOMAIN, "of the Domain")})
        self.verdicts = FakeReachabilityRepo({NODE: row})
        self.audit = FakeAuditSink()

    def read(self, who: Principal | None, node: str = str(NODE)) -> Answer | RefusalKind:
        ports = ReachabilityPorts(
            self.relations, self.nodes, self.domains, self.verdicts, self.audit
        )
        try:
            return get_node_reachability(ports, call(who), node)
        except Refused as refused:
            return refused.kind


@pytest.mark.parametrize("heard", [None, EPOCH], ids=["never", "once"])
@pytest.mark.parametrize("state", STATES)
def test_the_answer_is_the_block_of_the_pull_byte_for_byte(state: str, heard: object) -> None:
    row = ReachabilityRow(state, heard, EPOCH)  # type: ignore[arg-type]
    answer = Arranged(row).read(agent_of(1))
    assert isinstance(answer, Answer) and isinstance(answer.body, dict)
    shown = snapshot(reachability=reachability(state=state, last_heartbeat_at=heard or ZERO_TIME))
    ports = PullPorts(
        FakeRelationChecker({(TRIPLE[0], "node-agent", TRIPLE[2])}),
        FakeNodeRepo({NODE: addressed(1)}),
        FakeSnapshotProvider({(NODE, DOMAIN): shown}),
    )
    pulled = get_node_state(ports, call(agent_of(1)), str(NODE)).body
    assert isinstance(pulled, SnapshotBody)
    block = json.loads(pulled.to_bytes())["reachability"]
    assert json_bytes(answer.body) == json_bytes(block)


def test_the_answer_may_be_kept_by_the_caller_alone() -> None:
    answer = Arranged().read(agent_of(1))
    assert isinstance(answer, Answer)
    assert answer.headers == {
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Accept-Encoding",
    }


@pytest.mark.parametrize(
    ("who", "outcome"), [(1, "granted"), (2, "insufficient_relation")], ids=["own", "stranger"]
)
def test_both_outcomes_of_the_relation_are_audited(who: int, outcome: str) -> None:
    arranged = Arranged()
    arranged.read(agent_of(who))
    assert arranged.audit.rows == [
        AuditRow(
            relation="node_reachability.read",
            outcome=outcome,
            subject=f"node:{node_id(who)}",
            object=f"node:{NODE}",
            correlation_id=CORRELATION,
        )
    ]


def test_a_stranger_asks_nothing_further_in() -> None:
    arranged = Arranged()
    assert arranged.read(agent_of(2)) is INSUFFICIENT_RELATION
    assert (arranged.nodes.calls, arranged.verdicts.calls) == ([], [])


def test_a_revoked_agent_reads_nothing() -> None:
    arranged = Arranged()
    arranged.relations.revoked_at_least.add(TRIPLE)
    assert arranged.read(agent_of(1)) is INSUFFICIENT_RELATION
    assert arranged.verdicts.calls == []


@pytest.mark.parametrize(
    ("who", "node", "kind"),
    [(None, str(NODE), UNAUTHORIZED), (agent_of(1), str(NODE).upper(), INVALID_NODE_ID)],
    ids=["nobody", "misspelt"],
)
def test_the_first_gates_cost_nothing(who: Principal | None, node: str, kind: RefusalKind) -> None:
    arranged = Arranged()
    assert arranged.read(who, node) is kind
    assert (arranged.relations.calls, arranged.audit.rows) == ([], [])


@pytest.mark.parametrize(
    ("port", "error", "kind"),
    [
        ("relations", AuthzUnavailable("away"), AUTHZ_UNAVAILABLE),
        ("nodes", NodeNotFound("gone"), NODE_NOT_FOUND),
        ("nodes", DatastoreUnavailable("away"), DATASTORE_UNAVAILABLE),
        ("verdicts", NodeNotFound("gone meanwhile"), NODE_NOT_FOUND),
        ("verdicts", DatastoreUnavailable("away"), DATASTORE_UNAVAILABLE),
        ("verdicts", CorruptLedger("odd row"), INTERNAL),
    ],
)
def test_a_port_that_fails_is_refused_by_its_name_without_an_audit_row(
    port: str, error: Exception, kind: RefusalKind
) -> None:
    arranged = Arranged()
    getattr(arranged, port).fails = error
    assert arranged.read(agent_of(1)) is kind
    assert arranged.audit.rows == []


def test_a_state_that_is_none_is_a_fault() -> None:
    assert Arranged(ReachabilityRow("offline", EPOCH, EPOCH)).read(agent_of(1)) is INTERNAL


def test_an_unprovisioned_read_refuses_whoever_asks() -> None:
    with pytest.raises(Refused) as refused:
        refuse_reachability()
    assert refused.value.kind is REACHABILITY_NOT_PROVISIONED


def test_a_role_that_was_revoked_by_the_domains_token_is_a_no() -> None:
    arranged, ann = Arranged(), Principal(PrincipalKind.USER, "ann")
    asked = (ann.subject, "node-view", f"node:{NODE}")
    arranged.relations.grants.add(asked)
    assert isinstance(arranged.read(ann), Answer)
    assert arranged.relations.calls_at_least == [(*asked, "token"), (*asked, "of the Domain")]
    arranged.relations.revoked_at_least.add(asked)
    assert arranged.read(ann) is INSUFFICIENT_RELATION


def test_the_node_itself_is_asked_about_at_its_own_token_alone() -> None:
    arranged = Arranged()
    assert isinstance(arranged.read(agent_of(1)), Answer)
    assert (len(arranged.relations.calls_at_least), arranged.domains.calls) == (1, [])


@pytest.mark.parametrize("missing", ["relations", "nodes", "domains", "verdicts"])
def test_ports_cannot_be_built_without_a_load_bearing_one(missing: str) -> None:
    given = {
        "relations": FakeRelationChecker(),
        "nodes": FakeNodeRepo(),
        "domains": FakeDomainRepo(),
        "verdicts": FakeReachabilityRepo(),
    }
    del given[missing]
    with pytest.raises(TypeError, match=missing):
        ReachabilityPorts(**given)
