"""RenewNodeToken: the pull's gates, a token of the Node, and nothing of it anywhere else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from composer.audit import AuditRow
from composer.errors import (
    AuthzUnavailable,
    DatastoreUnavailable,
    NodeNotFound,
    SigningUnavailable,
)
from composer.identity import Principal, PrincipalKind
from handlers.answers import Answer
from handlers.node_token import NodeTokenPorts, refuse_node_token, renew_node_token
from handlers.refusals import (
    AUTHZ_UNAVAILABLE,
    DATASTORE_UNAVAILABLE,
    INSUFFICIENT_RELATION,
    INTERNAL,
    INVALID_NODE_ID,
    NODE_NOT_FOUND,
    TOKEN_SIGNING_NOT_PROVISIONED,
    UNAUTHORIZED,
    RefusalKind,
    Refused,
)
from handlers.wire_values import instant
from tests.factories import CORRELATION, EPOCH, addressed, agent_of, call, node_id
from tests.fakes import FakeAuditSink, FakeNodeRepo, FakeRelationChecker, FakeTokenMint
from tests.ports.in_process import FakeService

NODE = node_id(1)
TRIPLE = (f"node:{NODE}", "node-agent", f"node:{NODE}")


class Arranged:
    def __init__(self) -> None:
        self.relations = FakeRelationChecker({TRIPLE})
        self.nodes = FakeNodeRepo({NODE: addressed(1, "token")})
        self.mint = FakeTokenMint()
        self.audit = FakeAuditSink()

    def renew(self, who: Principal | None, node: str = str(NODE)) -> Answer | RefusalKind:
        ports = NodeTokenPorts(self.relations, self.nodes, self.mint, self.audit)
        try:
            return renew_node_token(ports, call(who), node)
        except Refused as refused:
            return refused.kind


def test_an_agent_gets_a_token_of_its_node_and_the_moment_it_expires() -> None:
    arranged = Arranged()
    answer = arranged.renew(agent_of(1))
    assert isinstance(answer, Answer)
    assert answer.status == 200
    assert answer.body == {
        "token": "fake.token.0",
        "expires_at": instant(EPOCH + timedelta(hours=24)),
    }
    assert arranged.mint.minted["fake.token.0"][0] == NODE


def test_nothing_on_the_way_may_store_the_answer() -> None:
    answer = Arranged().renew(agent_of(1))
    assert isinstance(answer, Answer) and answer.headers == {"Cache-Control": "no-store"}


def test_who_stands_in_for_a_node_gets_no_token_of_it() -> None:
    """It would outlive the role, and renew itself."""
    arranged = Arranged()
    service = Principal(PrincipalKind.SERVICE, "installer")
    arranged.relations.grants.add((service.subject, "node-agent", f"node:{NODE}"))
    assert arranged.renew(service) is INSUFFICIENT_RELATION
    assert arranged.mint.minted == {}
    assert [row.outcome for row in arranged.audit.rows] == ["insufficient_relation"]


@pytest.mark.parametrize(
    ("who", "outcome"), [(1, "granted"), (2, "insufficient_relation")], ids=["own", "stranger"]
)
def test_both_outcomes_of_the_relation_are_audited_without_the_token(
    who: int, outcome: str
) -> None:
    arranged = Arranged()
    arranged.renew(agent_of(who))
    assert arranged.audit.rows == [
        AuditRow(
            relation="node.token",
            outcome=outcome,
            subject=f"node:{node_id(who)}",
            object=f"node:{NODE}",
            correlation_id=CORRELATION,
        )
    ]


def test_a_stranger_asks_nothing_further_in() -> None:
    arranged = Arranged()
    assert arranged.renew(agent_of(2)) is INSUFFICIENT_RELATION
    assert (arranged.nodes.calls, arranged.mint.minted) == ([], {})


def test_a_revoked_agent_gets_no_token() -> None:
    arranged = Arranged()
    arranged.relations.revoked_at_least.add(TRIPLE)
    assert arranged.renew(agent_of(1)) is INSUFFICIENT_RELATION
    assert arranged.mint.minted == {}


def test_a_deregistered_node_gets_no_token() -> None:
    arranged = Arranged()
    arranged.nodes.nodes.clear()
    assert arranged.renew(agent_of(1)) is NODE_NOT_FOUND
    assert arranged.mint.minted == {}


@pytest.mark.parametrize(
    ("who", "node", "kind"),
    [(None, str(NODE), UNAUTHORIZED), (agent_of(1), str(NODE).upper(), INVALID_NODE_ID)],
    ids=["nobody", "misspelt"],
)
def test_the_first_gates_cost_nothing(who: Principal | None, node: str, kind: RefusalKind) -> None:
    arranged = Arranged()
    assert arranged.renew(who, node) is kind
    assert (arranged.relations.calls, arranged.audit.rows) == ([], [])


@pytest.mark.parametrize(
    ("port", "error", "kind"),
    [
        ("relations", AuthzUnavailable("away"), AUTHZ_UNAVAILABLE),
        ("nodes", NodeNotFound("gone"), NODE_NOT_FOUND),
        ("nodes", DatastoreUnavailable("away"), DATASTORE_UNAVAILABLE),
        ("mint", SigningUnavailable("lost"), INTERNAL),
    ],
)
def test_a_port_that_fails_is_refused_by_its_name_without_an_audit_row(
    port: str, error: Exception, kind: RefusalKind
) -> None:
    arranged = Arranged()
    getattr(arranged, port).fails = error
    assert arranged.renew(agent_of(1)) is kind
    assert arranged.audit.rows == []


def test_an_unprovisioned_renewal_refuses_whoever_asks() -> None:
    with pytest.raises(Refused) as refused:
        refuse_node_token()
    assert refused.value.kind is TOKEN_SIGNING_NOT_PROVISIONED


@pytest.mark.parametrize("missing", ["relations", "nodes", "mint"])
def test_ports_cannot_be_built_without_a_load_bearing_one(missing: str) -> None:
    given = {
        "relations": FakeRelationChecker(),
        "nodes": FakeNodeRepo(),
        "mint": FakeTokenMint(),
    }
    del given[missing]
    with pytest.raises(TypeError, match=missing):
        NodeTokenPorts(**given)


@pytest.mark.parametrize("body", [b"", b"{}", b"not json", b"x" * 1000])
def test_a_body_means_nothing(body: bytes) -> None:
    answer = FakeService().ask(f"/v1/nodes/{NODE}/token", who=1, method="POST", data=body)
    assert answer.status_code == 200
