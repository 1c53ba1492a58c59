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
    given = body_now("RegisterNode") if body is None else body
    return ask(stack.url, path, sent, method="POST", body=given)


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
    without = value(register(stack, domain_id, body), 200)
    assert first["node_id"] == again["node_id"] == without["node_id"]
    refused = register(stack, domain_id, Idempotency_Key=key)
    assert value(refused, 409)["code"] == "idempotency_key_conflict"
