"""Nodes registered over sockets: their peers are the pull's byte for byte, their tokens work."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.bodies import JSON, body_now
from tests.client import Reply, ask, bearer, pull_path


def register(stack: Stack, domain_id: str, body: bytes | None = None, **headers: str) -> Reply:
    sent = {**JSON, **bearer(stack.token(OPERATOR))}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"/v1/domains/{domain_id}/nodes"
    content = body_now("RegisterNode") if body is None else body
    return ask(stack.url, path, sent, method="POST", body=content)


def value(reply: Reply, status: int) -> dict[str, Any]:
    assert reply.status == status, reply.body
    found: dict[str, Any] = json.loads(reply.body)
    return found


def peers_of(raw: bytes) -> bytes:
    """The very bytes of the array, from its bracket to the next member."""
    start = raw.index(b'"peers":') + len(b'"peers":')
    return raw[start : raw.index(b"]", start) + 1]


def test_each_registration_shows_the_peers_in_the_bytes_of_its_own_pull(stack: Stack) -> None:
    domain_id = scratch.domain(stack)
    for number in range(4):
        reply = register(stack, domain_id)
        node = value(reply, 201)
        pull = ask(stack.url, pull_path(node["node_id"]), bearer(node["token"]))
        assert pull.status == 200
        assert peers_of(reply.body) == peers_of(pull.body)
        assert len(node["peers"]) == number


def test_a_node_is_named_by_a_uuid_of_now_and_gets_the_lowest_address(stack: Stack) -> None:
    domain_id = scratch.domain(stack)
    first, second = (value(register(stack, domain_id), 201) for _ in range(2))
    assert first["mesh_ip"].endswith("::1") and second["mesh_ip"].endswith("::2")
    for node in (first, second):
        assert UUID(node["node_id"]).version == 7
        assert node["domain_mesh_cidr"] == first["mesh_ip"].removesuffix("1") + "/64"


def test_the_same_request_finds_its_node_and_another_body_is_a_conflict(stack: Stack) -> None:
    domain_id, key = scratch.domain(stack), uuid4().hex
    body = body_now("RegisterNode")
    first = value(register(stack, domain_id, body, Idempotency_Key=key), 201)
    again = value(register(stack, domain_id, body, Idempotency_Key=key), 200)
    assert first["node_id"] == again["node_id"]
    assert first["token"] != again["token"] and first["nsk"] != again["nsk"]
    without = register(stack, domain_id, body)
    assert value(without, 409)["code"] == "public_key_registered"
    refused = register(stack, domain_id, Idempotency_Key=key)
    assert value(refused, 409)["code"] == "idempotency_key_conflict"


def test_a_deregistered_nodes_token_is_good_for_nothing_and_its_peers_see_it_go(
    stack: Stack,
) -> None:
    domain_id = scratch.domain(stack)
    gone, stays = (value(register(stack, domain_id), 201) for _ in range(2))
    operator = bearer(stack.token(OPERATOR))
    path = f"/v1/nodes/{gone['node_id']}"
    assert ask(stack.url, path, operator, method="DELETE").status == 204
    pull = ask(stack.url, pull_path(gone["node_id"]), bearer(gone["token"]))
    # 404 where SpiceDB's own pace still shows the relation: the row is gone
    assert pull.status in (403, 404)
    left = ask(stack.url, pull_path(stays["node_id"]), bearer(stays["token"]))
    assert value(left, 200)["peers"] == []
    refused = ask(stack.url, f"/v1/domains/{domain_id}", operator, method="DELETE")
    assert value(refused, 409)["code"] == "domain_not_empty"
    assert refused.json["child_counts"]["nodes"] == 1
    # No 403: who manages the platform may know that it is gone.
    again = ask(stack.url, path, operator, method="DELETE")
    assert (again.status, again.code) == (404, "node_not_found")


def test_a_rotated_key_is_in_the_next_pull_of_every_peer(stack: Stack) -> None:
    domain_id = scratch.domain(stack)
    first, second = (value(register(stack, domain_id), 201) for _ in range(2))
    body = body_now("RotateNodeKey") or b""
    path = f"/v1/nodes/{first['node_id']}/public-key"
    sent = {**JSON, **bearer(first["token"])}
    assert ask(stack.url, path, sent, method="PUT", body=body).status == 200
    pull = ask(stack.url, pull_path(second["node_id"]), bearer(second["token"]))
    shown = value(pull, 200)["peers"]
    assert [peer["public_key"] for peer in shown] == [json.loads(body)["public_key"]]


def test_who_may_read_the_domain_may_read_its_nodes_reachability(stack: Stack) -> None:
    node_id = scratch.node(stack)
    path = f"/v1/nodes/{node_id}/reachability"
    assert ask(stack.url, path, bearer(stack.token(OPERATOR))).status == 200
    assert ask(stack.url, path, bearer(stack.token("user:stranger"))).status == 403


def test_a_domains_nodes_are_listed_page_by_page(stack: Stack) -> None:
    domain_id = scratch.domain(stack)
    made = {value(register(stack, domain_id), 201)["node_id"] for _ in range(5)}
    operator, path = bearer(stack.token(OPERATOR)), f"/v1/domains/{domain_id}/nodes?limit=2"
    found: list[str] = []
    page = value(ask(stack.url, path, operator), 200)
    while True:
        found += [item["id"] for item in page["items"]]
        if "next_cursor" not in page:
            break
        page = value(ask(stack.url, f"{path}&cursor={page['next_cursor']}", operator), 200)
    assert found == sorted(made)
    elsewhere = f"/v1/domains/{scratch.domain(stack)}/nodes?cursor="
    cursor = value(ask(stack.url, path, operator), 200)["next_cursor"]
    assert value(ask(stack.url, elsewhere + cursor, operator), 400)["code"] == "invalid_cursor"
