"""For each operation: no credential, a malformed, an expired, another's; real and unreal objects.

Iterates over the contract, so that a new operation is attacked on the day it is declared. The
privileged request stands in the same test, so nothing passes in emptiness.
"""

from __future__ import annotations

import pytest

from server.contract import Contract, OperationContract
from server.dev.stack import Stack
from tests.bodies import JSON, body_now
from tests.client import Reply, ask, bearer
from tests.contract.tables import AUTHN, AUTHZ

CONTRACT = Contract.packaged()
OPERATIONS = CONTRACT.operations
UNREAL = "0190ffff-0000-7000-8000-00000000ffff"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW")


def path_of(operation: OperationContract, node_id: object) -> str:
    return operation.path.replace("{id}", str(node_id))


def send(stack: Stack, operation: OperationContract, node_id: object, token: str | None) -> Reply:
    body = body_now(operation.operation_id)
    headers = ({} if token is None else bearer(token)) | (JSON if body else {})
    path = path_of(operation, node_id)
    return ask(stack.url, path, headers, method=operation.method, body=body)


@pytest.mark.parametrize("name", OPERATIONS)
def test_without_a_principal_an_operation_answers_as_its_table_says(
    stack: Stack, name: str
) -> None:
    operation = OPERATIONS[name]
    expired = stack.token(exp=1_000_000_000)
    bodies = set()
    for token in (None, "", "not.a.token", expired):
        reply = send(stack, operation, stack.node_id, token)
        assert reply.status == AUTHN[name]
        bodies.add(reply.blanked() if operation.secured else b"")
    assert len(bodies) == 1


@pytest.mark.parametrize("name", [name for name, relation in AUTHZ.items() if relation])
def test_a_stranger_cannot_tell_a_real_object_from_an_unreal_one(stack: Stack, name: str) -> None:
    operation = OPERATIONS[name]
    stranger = stack.token("user:operator")
    real = send(stack, operation, stack.node_id, stranger)
    unreal = send(stack, operation, UNREAL, stranger)
    assert (real.status, unreal.status) == (403, 403)
    assert real.blanked() == unreal.blanked()
    other = stack.token(f"node:{stack.sample.node_id(1)}")
    assert send(stack, operation, stack.node_id, other).blanked() == real.blanked()
    assert send(stack, operation, stack.node_id, stack.token()).status == 200


@pytest.mark.parametrize("name", [name for name, relation in AUTHZ.items() if relation is None])
def test_an_operation_without_a_relation_is_the_same_for_everyone(stack: Stack, name: str) -> None:
    operation = OPERATIONS[name]
    for token in (stack.token(), stack.token("user:operator")):
        assert send(stack, operation, stack.node_id, token).status == AUTHN[name]


@pytest.mark.parametrize("path", CONTRACT.document["paths"])
def test_every_undeclared_method_is_405_and_allow_names_the_declared_ones(
    stack: Stack, path: str
) -> None:
    declared = CONTRACT.methods_of(path)
    undeclared = [method for method in METHODS if method not in declared and method != "CONNECT"]
    assert len(undeclared) >= 5
    for method in undeclared:
        reply = ask(stack.url, path.replace("{id}", stack.node_id), stack.headers, method=method)
        assert (reply.status, reply.headers["allow"]) == (405, ", ".join(declared))


def test_the_served_contract_is_the_file_byte_for_byte(stack: Stack) -> None:
    assert ask(stack.url, "/v1/openapi.yaml").body == CONTRACT.raw
