"""GetDomain: the gates of a Domain, and its row."""

from __future__ import annotations

import pytest

from composer.audit import AuditRow
from composer.errors import AuthzUnavailable, DatastoreUnavailable, DomainNotFound
from composer.identity import AddressedDomain, Principal, PrincipalKind
from composer.registry import Domain
from handlers.answers import Answer
from handlers.domains import DomainPorts, get_domain, refuse_domains
from handlers.refusals import (
    AUTHZ_UNAVAILABLE,
    DATASTORE_UNAVAILABLE,
    DOMAIN_NOT_FOUND,
    DOMAINS_NOT_PROVISIONED,
    INSUFFICIENT_RELATION,
    INVALID_DOMAIN_ID,
    UNAUTHORIZED,
    RefusalKind,
    Refused,
)
from tests.factories import CORRELATION, DOMAIN, EPOCH, agent_of, call
from tests.fakes import (
    FakeAuditSink,
    FakeDomainReader,
    FakeDomainRepo,
    FakeRelationChecker,
)

ANN = Principal(PrincipalKind.USER, "ann")
TRIPLE = ("user:ann", "domain-view", f"domain:{DOMAIN}")
ROW = Domain(DOMAIN, "Plant North", "plant-north", None, "eu", "10.42.0.0/16", EPOCH)


class Arranged:
    def __init__(self) -> None:
        self.relations = FakeRelationChecker({TRIPLE})
        self.domains = FakeDomainRepo({DOMAIN: AddressedDomain(DOMAIN, "token")})
        self.reader = FakeDomainReader({DOMAIN: ROW})
        self.audit = FakeAuditSink()

    def ask(self, principal: Principal | None = ANN, domain_id: str = str(DOMAIN)) -> Answer:
        ports = DomainPorts(self.relations, self.domains, self.reader, self.audit)
        return get_domain(ports, call(principal), domain_id)

    def refusal(self, principal: Principal | None = ANN, domain_id: str = str(DOMAIN)):
        with pytest.raises(Refused) as caught:
            self.ask(principal, domain_id)
        return caught.value.kind


def test_a_viewer_gets_the_row_without_the_keys_it_lacks() -> None:
    answer = Arranged().ask()
    assert (answer.status, answer.body) == (
        200,
        {
            "id": str(DOMAIN),
            "name": "Plant North",
            "slug": "plant-north",
            "region": "eu",
            "mesh_cidr": "10.42.0.0/16",
            "created_at": "2026-11-23T07:00:00Z",
        },
    )


@pytest.mark.parametrize("principal", [None, ANN], ids=["nobody", "ann"])
def test_the_gates_are_asked_in_order(principal: Principal | None) -> None:
    arranged = Arranged()
    arranged.relations.grants.clear()
    expected = UNAUTHORIZED if principal is None else INVALID_DOMAIN_ID
    assert arranged.refusal(principal, "nonsense") is expected
    assert (arranged.relations.calls, arranged.domains.calls) == ([], [])


def test_a_stranger_is_refused_before_the_domain_is_looked_up_and_recorded() -> None:
    arranged = Arranged()
    assert arranged.refusal(agent_of(1)) is INSUFFICIENT_RELATION
    assert arranged.domains.calls == []
    assert arranged.audit.rows == [
        AuditRow(
            relation="domain.read",
            outcome="insufficient_relation",
            subject=agent_of(1).subject,
            object=f"domain:{DOMAIN}",
            correlation_id=CORRELATION,
        )
    ]


def test_a_role_that_was_revoked_by_the_domains_token_is_a_no() -> None:
    arranged = Arranged()
    arranged.relations.revoked_at_least.add(TRIPLE)
    assert arranged.refusal() is INSUFFICIENT_RELATION
    assert arranged.relations.calls_at_least == [(*TRIPLE, "token")]
    assert arranged.reader.calls == []


@pytest.mark.parametrize(
    ("port", "error", "expected"),
    [
        ("relations", AuthzUnavailable("away"), AUTHZ_UNAVAILABLE),
        ("domains", DomainNotFound("gone"), DOMAIN_NOT_FOUND),
        ("domains", DatastoreUnavailable("away"), DATASTORE_UNAVAILABLE),
        ("reader", DomainNotFound("gone"), DOMAIN_NOT_FOUND),
        ("reader", DatastoreUnavailable("away"), DATASTORE_UNAVAILABLE),
    ],
)
def test_what_a_port_raises_is_refused_by_its_name_and_not_recorded(
    port: str, error: Exception, expected: RefusalKind
) -> None:
    arranged = Arranged()
    getattr(arranged, port).fails = error
    assert arranged.refusal() is expected
    assert arranged.audit.rows == []


def test_a_read_is_recorded_as_granted() -> None:
    arranged = Arranged()
    arranged.ask()
    assert [(row.relation, row.outcome) for row in arranged.audit.rows] == [
        ("domain.read", "granted")
    ]


def test_without_its_ports_the_operation_is_not_provisioned() -> None:
    with pytest.raises(Refused) as caught:
        refuse_domains()
    assert caught.value.kind is DOMAINS_NOT_PROVISIONED
