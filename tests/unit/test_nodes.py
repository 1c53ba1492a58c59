"""RegisterNode, DeleteNode and RotateNodeKey: what is written, and what stays of it."""

from __future__ import annotations

import base64
import json

import pytest

from composer.credentials import SecretKey
from composer.errors import AuthzUnavailable
from composer.identity import node_object
from composer.node_token import NodeToken
from composer.registry import RegisteredNode
from handlers.peers import EncodedPeers
from handlers.wire_registry import registration_body
from tests.bodies import JSON
from tests.factories import DOMAIN, EPOCH, key_bytes, node_id
from tests.ports.in_process import FakeService

NODES = f"/v1/domains/{DOMAIN}/nodes"
NODE = f"/v1/nodes/{node_id(1)}"


def key(number: int) -> str:
    return base64.b64encode(key_bytes(number)).decode()


def register(service: FakeService, number: int = 50, who: int | str | None = 1, **headers: str):
    body = json.dumps({"public_key": key(number)})
    sent = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return service.ask(NODES, who, method="POST", data=body, headers=sent)


def rotate(service: FakeService, number: int, who: int | None = 1):
    body = json.dumps({"public_key": key(number)})
    return service.ask(f"{NODE}/public-key", who, method="PUT", data=body, headers=JSON)


def rows(service: FakeService) -> list[tuple[str, str, str]]:
    return [(row.relation, row.outcome, row.object) for row in service.audit.rows]


def test_a_registration_is_settled_before_it_is_answered_and_carries_a_token() -> None:
    service = FakeService()
    answer = register(service)
    assert answer.status_code == 201
    node = answer.json["node_id"]
    assert service.outbox.calls == [f"node:{node}"]
    assert str(service.mint.minted[answer.json["token"]][0]) == node
    assert list(answer.json) == [
        *("node_id", "mesh_ip", "domain_mesh_cidr", "peers", "token", "expires_at"),
        *("nsk", "signing_key_id", "signing_public_key"),
    ]
    assert answer.headers["Cache-Control"] == "no-store"
    assert rows(service) == [("node.register", "granted", f"node:{node}")]


def test_of_a_registration_only_the_peers_are_worth_remembering() -> None:
    """The validator keeps what it has found valid: a credential is not to stay there."""
    node = RegisteredNode(node_id(9), "10.42.0.9", "10.42.0.0/16", is_new=True)
    token = NodeToken("a.b.c", EPOCH)
    body = registration_body(node, EncodedPeers(b"[]", b""), token, SecretKey(b"s" * 32), None)
    assert [block.name for block in body.blocks if block.is_cacheable] == ["peers"]
    assert json.loads(body.to_bytes())["token"] == "a.b.c"


def test_a_node_that_was_there_already_is_on_record_as_such() -> None:
    """Its caller gets other credentials of it, and those before have ended."""
    service = FakeService()
    first = register(service, Idempotency_Key="k").json
    again = register(service, Idempotency_Key="k")
    assert (again.status_code, again.json["node_id"]) == (200, first["node_id"])
    assert {again.json[name] == first[name] for name in ("token", "nsk")} == {False}
    assert rows(service)[1:] == [("node.register_again", "granted", f"node:{first['node_id']}")]


@pytest.mark.parametrize("headers", [{}, {"Idempotency_Key": "other"}], ids=["no key", "a new key"])
def test_a_public_key_that_the_domain_has_gives_no_credential(headers: dict[str, str]) -> None:
    service = FakeService()
    assert register(service, Idempotency_Key="k").status_code == 201
    refused = register(service, **headers)
    assert (refused.status_code, refused.json["code"]) == (409, "public_key_registered")
    assert not {"token", "nsk"} & refused.json.keys()
    assert (service.node_registry.made, len(service.mint.minted)) == (1, 1)


def test_another_subject_gets_no_credential_for_the_key_of_an_editor() -> None:
    service = FakeService()
    assert register(service, Idempotency_Key="k").status_code == 201
    service.relations.grants.add(("user:eve", "domain-edit", f"domain:{DOMAIN}"))
    refused = register(service, who="user:eve", Idempotency_Key="k")
    assert (refused.status_code, refused.json["code"]) == (409, "idempotency_key_conflict")


def test_spicedb_away_is_a_503_and_the_same_request_finds_the_node() -> None:
    service = FakeService()
    service.outbox.fails = AuthzUnavailable("away")
    refused = register(service, Idempotency_Key="k")
    assert (refused.status_code, refused.json["code"]) == (503, "authz_unavailable")
    assert "Retry-After" in refused.headers
    made = rows(service)  # the ledger has the Node, whatever answer left
    service.outbox.fails = None
    found = register(service, Idempotency_Key="k")
    assert made == [("node.register", "granted", f"node:{found.json['node_id']}")]
    assert (found.status_code, service.node_registry.made) == (200, 1)
    assert service.outbox.calls == [f"node:{found.json['node_id']}"] * 2


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "invalid_body"),
        (b"[]", "invalid_body"),
        (b'{"public_key": 1, "x": 1}', "invalid_body"),
        (json.dumps({"public_key": key(1), "name": ""}), "invalid_body"),
        (json.dumps({"public_key": key(1), "name": "a\x00b"}), "invalid_body"),
        (json.dumps({"public_key": key(1), "name": "x" * 256}), "invalid_body"),
        (b"{}", "public_key_invalid"),
        (b'{"public_key": null}', "public_key_invalid"),
        (b'{"public_key": ""}', "public_key_invalid"),
        (json.dumps({"public_key": "A" * 43 + "="}), "public_key_invalid"),
        (json.dumps({"public_key": "A" * 42 + "B="}), "public_key_invalid"),
    ],
)
def test_a_body_that_is_no_node_is_told_why(value: bytes | str, code: str) -> None:
    service = FakeService()
    answer = service.ask(NODES, 1, method="POST", data=value, headers=JSON)
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert service.relations.calls == []


@pytest.mark.parametrize("value", ["", "a b", "é", "x" * 256])
def test_an_idempotency_key_is_visible_ascii(value: str) -> None:
    answer = register(FakeService(), Idempotency_Key=value)
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_idempotency_key")


def test_a_deleted_node_is_gone_and_its_tuples_are_settled() -> None:
    service = FakeService()
    answer = service.ask(NODE, 1, method="DELETE")
    assert (answer.status_code, answer.data) == (204, b"")
    assert node_id(1) not in service.node_registry.nodes
    assert service.outbox.calls == [node_object(node_id(1))]
    assert rows(service) == [("node.deregister", "granted", node_object(node_id(1)))]


def test_a_node_rotates_its_own_key_and_nobody_elses() -> None:
    service = FakeService()
    answers = [rotate(service, 60), rotate(service, 60)]
    assert [(answer.status_code, answer.json) for answer in answers] == [
        (200, {"node_id": str(node_id(1)), "public_key": key(60)})
    ] * 2
    assert rotate(service, 61, who=2).status_code == 403
    assert service.node_registry.nodes[node_id(1)][1] == key_bytes(60)
    assert service.outbox.calls == []
