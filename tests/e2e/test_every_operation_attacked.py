"""For each operation: no credential, a malformed, an expired, another's; real and unreal objects.

Walks the contract and `tests/contract/attacked.py`, so that a new operation is attacked on the day
it is declared. The privileged request stands in every test, so nothing passes in emptiness.
"""

from __future__ import annotations

import base64

import pytest

from server.contract.document import METHODS as DECLARABLE
from server.contract.document import Contract
from server.dev.stack import Stack
from tests.attacks import OPERATIONS, filled, permitted, send
from tests.client import Reply, ask, bearer
from tests.contract.attacked import ATTACKED, NEVER_GRANTED, Object
from tests.contract.tables import AUTHN, AUTHZ
from tests.tokens import ed25519_key, token

CONTRACT = Contract.packaged()
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW")
STRANGERS = ("user:stranger", "service:stranger")


def assert_granted(stack: Stack, name: str, there: Object) -> Reply:
    """The privileged request. It comes last: it may take its object away."""
    reply = send(stack, name, there, permitted(stack, name, there))
    assert reply.status == ATTACKED[name].granted
    assert reply.status // 100 == 2 or name in NEVER_GRANTED
    return reply


def no_principals(stack: Stack) -> dict[str, dict[str, str]]:
    """Ways to be nobody."""
    known = base64.b64encode(f"{stack.node_id}:".encode()).decode()
    return {
        "none": {},
        "bare": {"Authorization": "Bearer"},
        "empty": {"Authorization": "Bearer "},
        "another scheme": {"Authorization": f"Basic {known}"},
        "malformed": bearer("not.a.token"),
        "expired": bearer(stack.token(exp=1_000_000_000)),
        "of another audience": bearer(stack.token(aud="someone-else")),
        "of another's key": bearer(token(ed25519_key(), f"node:{stack.node_id}")),
        "of no kind": bearer(stack.token("robot:7")),
    }


def others(stack: Stack, name: str, there: Object) -> list[str]:
    """Known Principals without the relation, another Node of the same Domain among them."""
    own = ATTACKED[name].caller.format_map(there)
    node = next(
        one for number in (1, 3) if (one := f"node:{stack.sample.node_id(number)}") != own
    )  # fmt: skip
    return [*STRANGERS, node]


def objects(stack: Stack, name: str, there: Object) -> list[Object]:
    """The existing one first. A path with parameters has one that is not there as well."""
    found = [there, *(parameters for parameters, _ in ATTACKED[name].missing(there))]
    assert len(found) >= 2 or "{" not in OPERATIONS[name].path
    return found


@pytest.mark.parametrize("name", OPERATIONS)
def test_nobody_learns_anything_about_any_object(stack: Stack, name: str) -> None:
    there = ATTACKED[name].existing(stack)
    replies = [
        send(stack, name, parameters, credential)
        for parameters in objects(stack, name, there)
        for credential in no_principals(stack).values()
    ]
    assert {reply.status for reply in replies} == {AUTHN[name]}
    granted = assert_granted(stack, name, there)
    if AUTHN[name] >= 400:
        assert all(reply.alike() == replies[0].alike() for reply in replies)
    elif not ATTACKED[name].varies:
        assert {reply.body for reply in replies} == {granted.body}


@pytest.mark.parametrize("name", [name for name, relation in AUTHZ.items() if relation])
def test_a_stranger_cannot_tell_a_real_object_from_an_unreal_one(stack: Stack, name: str) -> None:
    there = ATTACKED[name].existing(stack)
    replies = [
        send(stack, name, parameters, bearer(stack.token(other)))
        for parameters in objects(stack, name, there)
        for other in others(stack, name, there)
    ]
    assert {reply.status for reply in replies} == {403}
    assert all(reply.alike() == replies[0].alike() for reply in replies)
    for parameters, expected in ATTACKED[name].missing(there):
        caller = permitted(stack, name, there)
        assert send(stack, name, parameters, caller).status == expected
    assert_granted(stack, name, there)


@pytest.mark.parametrize("name", [name for name, relation in AUTHZ.items() if relation is None])
def test_an_operation_without_a_relation_is_the_same_for_everyone(stack: Stack, name: str) -> None:
    there = ATTACKED[name].existing(stack)
    granted = assert_granted(stack, name, there)
    for other in others(stack, name, there):
        reply = send(stack, name, there, bearer(stack.token(other)))
        assert reply.status == granted.status
        if granted.status >= 400:
            assert reply.alike() == granted.alike()
        elif not ATTACKED[name].varies:
            assert reply.body == granted.body


@pytest.mark.parametrize("name", [name for name, one in OPERATIONS.items() if one.method == "GET"])
def test_head_tells_anyone_what_get_does_of_any_object_and_shows_nothing(
    stack: Stack, name: str
) -> None:
    """So that what holds of the reads above holds of HEAD, which no contract declares."""
    there = ATTACKED[name].existing(stack)
    known = [bearer(stack.token(other)) for other in others(stack, name, there)]
    credentials = [*no_principals(stack).values(), *known, permitted(stack, name, there)]
    for parameters in objects(stack, name, there):
        for credential in credentials:
            head = send(stack, name, parameters, credential, method="HEAD")
            get = send(stack, name, parameters, credential)
            assert (head.body, head.outline()) == (b"", get.outline())


@pytest.mark.parametrize("path", CONTRACT.document["paths"])
def test_every_undeclared_method_is_405_and_allow_names_the_declared_ones(
    stack: Stack, path: str
) -> None:
    """Whoever asks and whatever for: routing comes before every gate."""
    declared = CONTRACT.methods_of(path)
    undeclared = [method for method in METHODS if method not in declared]
    assert len(undeclared) >= 2
    names = [name for name, operation in OPERATIONS.items() if operation.path == path]
    there = ATTACKED[names[0]].existing(stack)
    for parameters in objects(stack, names[0], there):
        for credential in ({}, permitted(stack, names[0], there)):
            for method in undeclared:
                reply = ask(stack.url, filled(path, parameters), credential, method=method)
                assert (reply.status, reply.headers["allow"]) == (405, ", ".join(declared)), method
    for name in names:
        assert_granted(stack, name, ATTACKED[name].existing(stack))


def test_every_method_that_a_contract_can_declare_is_tried() -> None:
    assert {method.upper() for method in DECLARABLE} <= set(METHODS)


def test_only_what_is_known_to_answer_no_2xx_is_excused() -> None:
    assert {name for name, row in ATTACKED.items() if row.granted // 100 != 2} == NEVER_GRANTED


def test_the_served_contract_is_the_file_byte_for_byte(stack: Stack) -> None:
    assert ask(stack.url, "/v1/openapi.yaml").body == CONTRACT.raw
