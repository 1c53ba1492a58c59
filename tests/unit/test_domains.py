"""CreateDomain, GetDomain, DeleteDomain and ListDomainNodes: their bodies and pages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from composer.errors import AuthzUnavailable
from composer.identity import AddressedDomain, Principal, PrincipalKind, domain_object
from composer.registry import Domain
from handlers import OPERATIONS
from handlers.operation import perform
from tests.bodies import JSON
from tests.domain_fakes import FakeDomainReader, FakeDomainRepo
from tests.factories import DOMAIN, EPOCH, call, node_id
from tests.fakes import FakeRelationChecker
from tests.ports.in_process import FakeService
from tests.ports.wired import fake_ports

GOOD = {"name": "South", "slug": "south", "mesh_cidr": "10.43.0.0/16"}

NO_CHILDREN = {"nodes": 0, "projects": 0, "groups": 0, "identities": 0, "idp_bindings": 0}


def create(service: FakeService, who: int | None = 1, key: str = "", **changes: Any):
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    sent = {**JSON, **({"Idempotency-Key": key} if key else {})}
    return service.ask("/v1/domains", who, method="POST", data=json.dumps(body), headers=sent)


def rows(service: FakeService) -> list[tuple[str, str, str]]:
    return [(row.relation, row.outcome, row.object) for row in service.audit.rows]


def test_a_created_domain_is_shown_as_the_read_shows_it_and_says_where() -> None:
    service = FakeService()
    policy = {"heartbeat_interval": "10s", "stale_after": "1m", "unreachable_after": "1h"}
    answer = create(service, reachability=policy, description="", region="eu")
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/domains/{answer.json['id']}"
    assert {**answer.json, "id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        **GOOD,
        "description": "",
        "region": "eu",
        "reachability": {
            "heartbeat_interval": "10s",
            "stale_after": "1m0s",
            "unreachable_after": "1h0m0s",
        },
        "created_at": "",
        "updated_at": "",
        "child_counts": NO_CHILDREN,
    }
    assert service.outbox.calls == [f"domain:{answer.json['id']}"]
    assert rows(service) == [("domain.create", "granted", f"domain:{answer.json['id']}")]


def test_a_domains_durations_are_read_as_go_reads_them_and_shown_as_it_prints_them() -> None:
    values = {
        "heartbeat_interval": "+10000000\u00b5s",
        "stale_after": "60000000\u03bcs",
        "unreachable_after": ".5h30.m",
    }
    shown = create(FakeService(), reachability=values).json["reachability"]
    assert list(shown.values()) == ["10s", "1m0s", "1h0m0s"]


def test_spicedb_away_is_a_503_and_the_same_request_finds_the_domain() -> None:
    service = FakeService()
    service.outbox.fails = AuthzUnavailable("away")
    assert create(service, key="k").json["code"] == "authz_unavailable"
    service.outbox.fails = None
    found = create(service, key="k")
    assert (found.status_code, service.domain_registry.made) == (200, 1)
    about = f"domain:{found.json['id']}"
    assert rows(service) == [
        ("domain.create", "granted", about),
        ("domain.create_again", "granted", about),
    ]
    assert create(service, key="k", name="other").json["code"] == "idempotency_key_conflict"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"undeclared": 1}, "invalid_body"),
        *(({name: ...}, "invalid_domain") for name in GOOD),
        *(({name: 5}, "invalid_domain") for name in (*GOOD, "description", "region")),
        ({"name": ""}, "invalid_domain"),
        ({"name": "x" * 256}, "invalid_domain"),
        ({"name": "a\nb"}, "invalid_domain"),
        *(({"slug": slug}, "invalid_domain") for slug in ("", "A", "a_b", "-a", "a-", "a--b")),
        ({"slug": "x" * 65}, "invalid_domain"),
        *(
            ({"mesh_cidr": cidr}, "invalid_domain")
            for cidr in ("", "10.0.0.1/8", "10.0.0.0", "10.0.0.0/31", "127.0.0.0/8", "FD00::/64")
        ),
        ({"description": "x" * 1025}, "invalid_domain"),
        ({"description": "\x00"}, "invalid_domain"),
        ({"region": "x" * 65}, "invalid_domain"),
        *(
            ({"reachability": policy}, "invalid_reachability_policy")
            for policy in (
                5,
                None,
                {"undeclared": "1s"},
                {"stale_after": 90},
                {"stale_after": "90s"},
                {"heartbeat_interval": "1s", "stale_after": "3s", "unreachable_after": "6s"},
                {"heartbeat_interval": "30s", "stale_after": "89s", "unreachable_after": "5m"},
                {"heartbeat_interval": "30s", "stale_after": "-90s", "unreachable_after": "5m"},
            )
        ),
    ],
    ids=str,
)
def test_a_body_that_is_no_domain_is_told_why(changes: dict[str, Any], code: str) -> None:
    service = FakeService()
    answer = create(service, **changes)
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert service.relations.calls_now == []


def test_a_viewer_gets_the_row_without_the_keys_it_lacks() -> None:
    row = Domain(DOMAIN, "Plant North", "plant-north", None, "eu", "10.42.0.0/16", EPOCH, EPOCH)
    ports = fake_ports(
        relations=FakeRelationChecker({("user:ann", "domain-view", domain_object(DOMAIN))}),
        domains=FakeDomainRepo({DOMAIN: AddressedDomain(DOMAIN, None)}),
        domain_reader=FakeDomainReader({DOMAIN: row}),
    )
    ann = Principal(PrincipalKind.USER, "ann")
    answer = perform(OPERATIONS["GetDomain"], ports, call(ann), {"domain_id": str(DOMAIN)})
    assert (answer.status, answer.body) == (
        200,
        {
            "id": str(DOMAIN),
            "name": "Plant North",
            "slug": "plant-north",
            "region": "eu",
            "mesh_cidr": "10.42.0.0/16",
            "created_at": "2026-11-23T07:00:00Z",
            "updated_at": "2026-11-23T07:00:00Z",
            "reachability": {
                "heartbeat_interval": "30s",
                "stale_after": "1m30s",
                "unreachable_after": "5m0s",
            },
            "child_counts": NO_CHILDREN,
        },
    )


def test_a_domain_is_deleted_and_settled_but_not_while_it_has_nodes() -> None:
    service = FakeService()
    service.domain_registry.occupied.add(DOMAIN)
    refused = service.ask(f"/v1/domains/{DOMAIN}", 1, method="DELETE")
    assert (refused.status_code, refused.json["code"]) == (409, "domain_not_empty")
    assert refused.json["child_counts"] == NO_CHILDREN | {"nodes": 1}
    service.domain_registry.occupied.clear()
    assert service.ask(f"/v1/domains/{DOMAIN}", 1, method="DELETE").status_code == 204
    assert service.outbox.calls == [domain_object(DOMAIN)]
    assert DOMAIN not in service.domain_reader.rows


def listed(service: FakeService, query: str = "", domain_id: object = DOMAIN):
    return service.ask(f"/v1/domains/{domain_id}/nodes", 1, query_string=query)


def test_pages_follow_each_other_and_nothing_repeats_while_nodes_come_and_go() -> None:
    service = FakeService()
    for number in (1, 3, 5, 7):
        service.domain_nodes.put(DOMAIN, node_id(number), f"10.42.0.{number}")
    first = listed(service, "limit=2").json
    service.domain_nodes.put(DOMAIN, node_id(2), "10.42.0.2")
    service.domain_nodes.given[DOMAIN] = [
        node for node in service.domain_nodes.given[DOMAIN] if node.id != node_id(3)
    ]
    service.domain_nodes.put(DOMAIN, node_id(6), "10.42.0.6")
    second = listed(service, f"limit=9&cursor={first['next_cursor']}").json
    ids = [item["id"] for item in (*first["items"], *second["items"])]
    assert ids == [str(node_id(number)) for number in (1, 3, 5, 6, 7)]
    assert "next_cursor" not in second


def test_a_page_that_is_exactly_full_is_the_last() -> None:
    service = FakeService()
    for number in (1, 2):
        service.domain_nodes.put(DOMAIN, node_id(number), f"10.42.0.{number}")
    assert "next_cursor" not in listed(service, "limit=2").json


@pytest.mark.parametrize("text", ["0", "201", "-1", "x", "", "1.0"])
def test_a_limit_is_from_1_to_200(text: str) -> None:
    answer = listed(FakeService(), f"limit={text}")
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_limit")


@pytest.mark.parametrize("text", ["", "x", "%00", "A" * 43, "A" * 129, "x&cursor=y"])
def test_a_cursor_is_one_that_was_given(text: str) -> None:
    answer = listed(FakeService(), f"cursor={text}")
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_cursor")
