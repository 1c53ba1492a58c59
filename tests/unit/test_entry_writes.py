"""The operations on a Node's entries: who may, what is written, and what each fault becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from composer.audit import AuditRow
from composer.entries import DATA, KINDS, METADATA, REPORT, EntryRow
from composer.errors import (
    AuthzUnavailable,
    ComposerError,
    DatastoreUnavailable,
    DomainNotFound,
    NodeNotFound,
)
from composer.identity import AddressedDomain, Principal, PrincipalKind
from handlers import entries
from handlers.answers import Answer
from handlers.entries import EntryPorts, ReportPorts, refuse_entries, refuse_reports
from handlers.refusals import (
    AUTHZ_UNAVAILABLE,
    DATASTORE_UNAVAILABLE,
    ENTRIES_NOT_PROVISIONED,
    ENTRY_NOT_FOUND,
    ENTRY_QUOTA_EXCEEDED,
    INSUFFICIENT_RELATION,
    INTERNAL,
    INVALID_NODE_ID,
    NODE_NOT_FOUND,
    REPORT_NOT_FOUND,
    REPORT_QUOTA_EXCEEDED,
    REPORTS_NOT_PROVISIONED,
    UNAUTHORIZED,
    RefusalKind,
    Refused,
)
from tests.factories import CORRELATION, DOMAIN, addressed, agent_of, call, node_id
from tests.fakes import (
    FakeAuditSink,
    FakeDomainRepo,
    FakeEntryStore,
    FakeNodeRepo,
    FakeRelationChecker,
)

NODE = node_id(1)
EDITOR = Principal(PrincipalKind.USER, "ed")
BODY = {"value": "1", "workload_tag": "agent"}
PUT: Mapping[str, Callable[..., Answer]] = {
    REPORT: entries.put_node_state_report,
    METADATA: entries.put_node_metadata,
    DATA: entries.put_node_data,
}
DELETE: Mapping[str, Callable[..., Answer]] = {
    REPORT: entries.delete_node_state_report,
    METADATA: entries.delete_node_metadata,
    DATA: entries.delete_node_data,
}
WAYS = [(way, kind) for way in ("put", "delete") for kind in KINDS]
EDITED = [(way, kind) for way, kind in WAYS if kind != REPORT]


@dataclass
class Arranged:
    """One Node of one Domain, its agent and an editor of the Domain; an entry `a` of each kind."""

    relations: FakeRelationChecker = field(
        default_factory=lambda: FakeRelationChecker(
            {
                (f"node:{NODE}", "node-agent", f"node:{NODE}"),
                ("user:ed", "domain-edit", f"node:{NODE}"),
                ("user:ed", "domain-edit", f"domain:{DOMAIN}"),
            }
        )
    )
    nodes: FakeNodeRepo = field(default_factory=lambda: FakeNodeRepo({NODE: addressed(1, "n")}))
    domains: FakeDomainRepo = field(
        default_factory=lambda: FakeDomainRepo({DOMAIN: AddressedDomain(DOMAIN, "d")})
    )
    store: FakeEntryStore = field(
        default_factory=lambda: FakeEntryStore(
            {NODE: DOMAIN}, rows={(NODE, kind, "a"): EntryRow(kind, "a", "0") for kind in KINDS}
        )
    )
    audit: FakeAuditSink = field(default_factory=FakeAuditSink)

    def ask(
        self, way: str, kind: str, who: Principal | None = None, key: str = "a", **given: object
    ) -> Answer | RefusalKind:
        shared = (self.relations, self.nodes)
        ports: ReportPorts | EntryPorts = (
            ReportPorts(*shared, self.store, self.audit)
            if kind == REPORT
            else EntryPorts(*shared, self.domains, self.store, self.audit)
        )
        asked = call(None if given.get("nobody") else who or rightful(kind))
        node = str(given.get("node", NODE))
        try:
            if way == "put":
                return PUT[kind](ports, asked, node, key, given.get("body", BODY))
            return DELETE[kind](ports, asked, node, key)
        except Refused as refused:
            return refused.kind


def rightful(kind: str) -> Principal:
    return agent_of(1) if kind == REPORT else EDITOR


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_put_is_told_with_its_key_and_moment(kind: str) -> None:
    arranged = Arranged()
    answer = arranged.ask("put", kind)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (
        200,
        {"accepted_at": "2026-11-23T07:00:00Z", "key": "a"},
    )
    assert arranged.store.rows[NODE, kind, "a"] == EntryRow(kind, "a", "1", "agent")


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_tag_is_none(kind: str) -> None:
    arranged = Arranged()
    arranged.ask("put", kind, body={"value": "", "workload_tag": ""})
    assert arranged.store.rows[NODE, kind, "a"] == EntryRow(kind, "a", "", None)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_removed_is_answered_without_a_body(kind: str) -> None:
    arranged = Arranged()
    answer = arranged.ask("delete", kind)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.media_type) == (204, None, None)
    assert (NODE, kind, "a") not in arranged.store.rows


@pytest.mark.parametrize(("way", "kind"), WAYS)
def test_a_grant_leaves_one_row_about_the_node(way: str, kind: str) -> None:
    arranged = Arranged()
    arranged.ask(way, kind)
    relation = f"node_{kind}.{way}"
    subject = rightful(kind).subject
    assert arranged.audit.rows == [
        AuditRow(relation, "granted", subject, f"node:{NODE}", CORRELATION)
    ]


@pytest.mark.parametrize(("way", "kind"), WAYS)
def test_gate_1_no_principal(way: str, kind: str) -> None:
    arranged = Arranged()
    assert arranged.ask(way, kind, nobody=True) is UNAUTHORIZED
    assert (arranged.relations.calls, arranged.store.calls) == ([], [])


@pytest.mark.parametrize(("way", "kind"), WAYS)
def test_gate_1a_no_canonical_id(way: str, kind: str) -> None:
    arranged = Arranged()
    assert arranged.ask(way, kind, node=str(NODE).upper()) is INVALID_NODE_ID
    assert arranged.relations.calls == []


@pytest.mark.parametrize(("way", "kind"), WAYS)
def test_gate_2_neither_an_agent_nor_an_editor_does_the_others_work(way: str, kind: str) -> None:
    arranged = Arranged()
    other = EDITOR if kind == REPORT else agent_of(1)
    assert arranged.ask(way, kind, other) is INSUFFICIENT_RELATION
    assert (arranged.nodes.calls, arranged.store.calls) == ([], [])
    assert [row.outcome for row in arranged.audit.rows] == ["insufficient_relation"]


@pytest.mark.parametrize(("way", "kind"), WAYS)
def test_the_relation_is_asked_again_at_the_tokens(way: str, kind: str) -> None:
    arranged = Arranged()
    arranged.ask(way, kind)
    subject, relation = rightful(kind).subject, "node-agent" if kind == REPORT else "domain-edit"
    of_node = (subject, relation, f"node:{NODE}", "n")
    of_domain = (subject, relation, f"domain:{DOMAIN}", "d")
    expected = [of_node] if kind == REPORT else [of_node, of_domain]
    assert arranged.relations.calls_at_least == expected


@pytest.mark.parametrize(("way", "kind"), EDITED)
def test_an_editor_whose_role_was_revoked_in_the_domain_writes_nothing(way: str, kind: str) -> None:
    """The role is the Domain's: on the Node it may still show."""
    arranged = Arranged()
    arranged.relations.revoked_at_least.add(("user:ed", "domain-edit", f"domain:{DOMAIN}"))
    assert arranged.ask(way, kind) is INSUFFICIENT_RELATION
    assert arranged.store.calls == []


@pytest.mark.parametrize(("way", "kind"), EDITED)
def test_a_domain_that_goes_meanwhile_took_the_node_along(way: str, kind: str) -> None:
    arranged = Arranged()
    arranged.domains.fails = DomainNotFound("gone")
    assert arranged.ask(way, kind) is NODE_NOT_FOUND


@pytest.mark.parametrize(("way", "kind"), WAYS)
@pytest.mark.parametrize(
    ("port", "error", "refusal"),
    [
        ("relations", AuthzUnavailable("away"), AUTHZ_UNAVAILABLE),
        ("nodes", NodeNotFound("gone"), NODE_NOT_FOUND),
        ("nodes", DatastoreUnavailable("away"), DATASTORE_UNAVAILABLE),
        ("store", NodeNotFound("gone meanwhile"), NODE_NOT_FOUND),
        ("store", DatastoreUnavailable("locked"), DATASTORE_UNAVAILABLE),
        ("store", ComposerError("odd"), INTERNAL),
    ],
)
def test_a_port_that_fails_is_refused_by_its_name_without_an_audit_row(
    way: str, kind: str, port: str, error: Exception, refusal: RefusalKind
) -> None:
    arranged = Arranged()
    getattr(arranged, port).fails = error
    assert arranged.ask(way, kind) is refusal
    assert arranged.audit.rows == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_and_what_does_not_fit_have_the_names_of_their_kind(kind: str) -> None:
    arranged = Arranged()
    gone = REPORT_NOT_FOUND if kind == REPORT else ENTRY_NOT_FOUND
    full = REPORT_QUOTA_EXCEEDED if kind == REPORT else ENTRY_QUOTA_EXCEEDED
    assert arranged.ask("delete", kind, key="b") is gone
    arranged.store.quota = 1
    assert arranged.ask("put", kind, key="b") is full
    assert isinstance(arranged.ask("put", kind, key="a"), Answer)


@pytest.mark.parametrize(
    ("refuse", "kind"),
    [(refuse_reports, REPORTS_NOT_PROVISIONED), (refuse_entries, ENTRIES_NOT_PROVISIONED)],
)
def test_unprovisioned_they_refuse_whoever_asks(
    refuse: Callable[[], Answer], kind: RefusalKind
) -> None:
    with pytest.raises(Refused) as refused:
        refuse()
    assert refused.value.kind is kind
