"""ListDomainAudit: its filters, pages and cursors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from composer.audit import AuditQuery
from composer.errors import DatastoreUnavailable
from composer.identity import AddressedDomain, Principal, PrincipalKind, domain_object
from handlers import OPERATIONS
from handlers.answers import Answer
from handlers.audit import cursor_of, seq_of
from handlers.operation import perform
from handlers.refusals import INVALID_CURSOR, INVALID_FILTER, RefusalKind, Refused
from tests.domain_fakes import FakeDomainAuditReader, FakeDomainRepo
from tests.factories import DOMAIN, call
from tests.fakes import FakeRelationChecker
from tests.ports.domain_audit_reader import DomainAuditReaderSuite, record
from tests.ports.in_process import FakeService
from tests.ports.wired import fake_ports

ANN = Principal(PrincipalKind.USER, "ann")
PATH = f"/v1/domains/{DOMAIN}/audit"


class FakeTrailFacts:
    def __init__(self) -> None:
        self.reader = FakeDomainAuditReader()

    def put(self, domain: Any, *rows: Any) -> None:
        self.reader.rows.setdefault(domain, []).extend(rows)

    def go_away(self) -> None:
        self.reader.fails = DatastoreUnavailable("away")


class TestFakeDomainAuditReader(DomainAuditReaderSuite):
    @pytest.fixture
    def facts(self) -> FakeTrailFacts:
        return FakeTrailFacts()


class Arranged:
    """An auditor of a Domain that has rows."""

    def __init__(self, rows: int = 3) -> None:
        self.relations = FakeRelationChecker({("user:ann", "auditor", domain_object(DOMAIN))})
        self.domain_audit = FakeDomainAuditReader(
            {DOMAIN: [record(10 * n) for n in range(1, rows + 1)]}
        )
        self.ports = fake_ports(
            relations=self.relations,
            domains=FakeDomainRepo({DOMAIN: AddressedDomain(DOMAIN, None)}),
            domain_audit=self.domain_audit,
        )

    def ask(self, **query: Any) -> Answer:
        values = {"domain_id": str(DOMAIN), "limit": 50} | query
        return perform(OPERATIONS["ListDomainAudit"], self.ports, call(ANN), values)

    def page(self, **query: Any) -> tuple[list[int], str | None]:
        body: Any = self.ask(**query).body
        return [item["seq"] for item in body["items"]], body.get("next_cursor")

    def refusal(self, **query: Any) -> RefusalKind:
        with pytest.raises(Refused) as caught:
            self.ask(**query)
        return caught.value.kind


def test_a_row_is_shown_as_it_was_written() -> None:
    arranged = Arranged(0)
    arranged.domain_audit.rows[DOMAIN] = [
        record(7, outcome="insufficient_relation", correlation_id="", digest=None),
        record(8),
    ]
    body: Any = arranged.ask().body
    assert body["items"][0] == {
        "seq": 7,
        "occurred_at": "2026-11-23T07:07:00Z",
        "relation": "node_state.pull",
        "outcome": "insufficient_relation",
        "subject": "node:x",
        "object": "node:x",
        "correlation_id": "",
    }
    assert body["items"][1]["digest"] == "ab" * 32
    assert body.keys() == {"items"}


def test_pages_follow_each_other_until_the_last_which_has_no_cursor() -> None:
    arranged = Arranged(5)
    first, cursor = arranged.page(limit=2)
    second, further = arranged.page(limit=2, cursor=cursor)
    third, end = arranged.page(limit=2, cursor=further)
    assert (first, second, third, end) == ([10, 20], [30, 40], [50], None)


def test_a_page_that_just_fits_is_the_last() -> None:
    assert Arranged(3).page(limit=3) == ([10, 20, 30], None)


def test_filters_reach_the_reader() -> None:
    arranged = Arranged()
    arranged.ask(
        relation="r",
        outcome="o",
        subject="s",
        object="b",
        correlation_id="c",
        from_="2026-11-23T08:00:00+02:00",
        to="2026-11-24T00:00:00.123456789Z",
    )
    since, until = (
        datetime(2026, 11, 23, 6, tzinfo=UTC),
        datetime(2026, 11, 24, 0, 0, 0, 123456, tzinfo=UTC),
    )
    asked = AuditQuery("r", "o", "s", "b", "c", since, until)
    assert arranged.domain_audit.calls == [(DOMAIN, asked, 0, 51)]


@pytest.mark.parametrize(
    "text",
    ["2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "2026-11-23T08:00:60Z", "nonsense"],
)
def test_a_moment_that_no_calendar_has_is_refused(text: str) -> None:
    assert Arranged().refusal(from_=text) is INVALID_FILTER
    assert Arranged().refusal(to=text) is INVALID_FILTER


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_the_edges_of_the_calendar_are_moments(text: str) -> None:
    assert Arranged().ask(from_=text, to=text).status == 200


@pytest.mark.parametrize("seq", [0, 1, 418, 2**32, 2**63 - 1])
def test_a_cursor_leads_back_to_its_row(seq: int) -> None:
    assert seq_of(cursor_of(seq)) == seq
    assert len(cursor_of(seq)) == 11


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "A",
        "nonsense",
        "é" * 11,
        cursor_of(5)[:-1],
        cursor_of(5)[:-1] + "B",
        cursor_of(5) + "=",
        cursor_of(5) + "A",
        cursor_of(5) + "\n",
        "g" + cursor_of(5)[1:],
        "_" + cursor_of(5)[1:],
    ],
)
def test_what_is_no_cursor_of_ours_is_refused_before_anything_is_asked(cursor: str) -> None:
    arranged = Arranged()
    assert arranged.refusal(cursor=cursor) is INVALID_CURSOR
    assert (arranged.relations.calls, arranged.domain_audit.calls) == ([], [])


class TestOverTheContract:
    @pytest.fixture
    def service(self) -> FakeService:
        made = FakeService()
        made.domain_audit.rows[DOMAIN] = [record(n) for n in range(1, 61)]
        return made

    def test_a_page_and_the_next(self, service: FakeService) -> None:
        first = service.ask(PATH, who=1, query_string={"limit": "7"})
        assert (first.status_code, len(first.json["items"])) == (200, 7)
        following = {"limit": "200", "cursor": first.json["next_cursor"]}
        second = service.ask(PATH, who=1, query_string=following)
        assert [item["seq"] for item in second.json["items"]] == list(range(8, 61))

    def test_a_page_has_fifty_rows_unless_asked_otherwise(self, service: FakeService) -> None:
        assert len(service.ask(PATH, who=1).json["items"]) == 50

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("limit=0", "invalid_limit"),
            ("limit=201", "invalid_limit"),
            ("limit=ten", "invalid_limit"),
            ("limit=", "invalid_limit"),
            ("limit=1.0", "invalid_limit"),
            ("cursor=", "invalid_cursor"),
            ("cursor=nonsense", "invalid_cursor"),
            ("cursor=a%20b", "invalid_cursor"),
            ("relation=", "invalid_filter"),
            ("subject=%00", "invalid_filter"),
            ("object=" + "x" * 256, "invalid_filter"),
            ("outcome=a%0Ab", "invalid_filter"),
            ("correlation_id=%7F", "invalid_filter"),
            ("from=yesterday", "invalid_filter"),
            ("to=2026-02-30T00:00:00Z", "invalid_filter"),
            ("from=2026-11-23", "invalid_filter"),
            ("reason=x", "unknown_query_parameter"),
            ("limit=1&limit=2", "invalid_limit"),
            ("to=2026-11-23T00:00:00Z&to=2026-11-23T00:00:00Z", "invalid_filter"),
        ],
    )
    def test_a_query_that_is_not_as_declared_is_refused(
        self, service: FakeService, query: str, code: str
    ) -> None:
        reply = service.ask(PATH, who=1, query_string=query)
        assert (reply.status_code, reply.json["code"]) == (400, code)
        assert service.relations.calls == []

    def test_a_filter_named_from_is_understood(self, service: FakeService) -> None:
        query = {"from": "2026-11-23T07:59:00Z", "to": "2026-11-23T08:00:00Z"}
        reply = service.ask(PATH, who=1, query_string=query)
        assert [item["seq"] for item in reply.json["items"]] == [59]
