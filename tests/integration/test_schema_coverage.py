"""Bodies against the contract, formats asserted, and a table of what of the contract they show.

The bodies must show every optional key present and absent, every nullable value null and not null,
every member of an enum, and both values of a boolean. They are the golden bodies, which the service
sends byte for byte (test_golden.py). Bodies of generated ledgers are validated where they are read.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from server.contract.document import Contract
from server.contract.schemas import Validator
from tests.golden.pull import kept

BODIES = {name: json.loads(body) for name, body in kept().items()}
RICHEST = "everything/full.body.json"

Schema = Mapping[str, Any]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract.packaged()


@pytest.fixture(scope="module")
def validator(contract: Contract) -> Validator:
    answer = contract.operations["GetNodeState"].responses[200]
    return answer.media["application/json"].validator


class Table:
    """The facets of one schema: those it has, and those that a value shows."""

    def __init__(self, contract: Contract, name: str) -> None:
        self._schemas = contract.document["components"]["schemas"]
        self._root: Schema = self._schemas[name]

    def facets(self) -> set[str]:
        return set(self._facets(self._root, ""))

    def seen_in(self, value: Any) -> set[str]:
        return set(self._seen(self._root, value, ""))

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def _facets(self, schema: Schema, path: str) -> Iterator[str]:
        schema = self._resolved(schema)
        if schema.get("nullable"):
            yield from (f"{path} null", f"{path} not null")
        for member in _members(schema):
            yield f"{path} = {member!r}"
        for name, subschema in schema.get("properties", {}).items():
            if name not in schema.get("required", ()):
                yield from (f"{path}/{name} present", f"{path}/{name} absent")
            yield from self._facets(subschema, f"{path}/{name}")
        if "items" in schema:
            yield from self._facets(schema["items"], f"{path}[]")

    def _seen(self, schema: Schema, value: Any, path: str) -> Iterator[str]:
        schema = self._resolved(schema)
        if schema.get("nullable"):
            yield f"{path} null" if value is None else f"{path} not null"
        if value is None:
            return
        if _members(schema):
            yield f"{path} = {value!r}"
        for name, subschema in schema.get("properties", {}).items():
            if name not in schema.get("required", ()):
                yield f"{path}/{name} {'present' if name in value else 'absent'}"
            if name in value:
                yield from self._seen(subschema, value[name], f"{path}/{name}")
        for element in value if "items" in schema else ():
            yield from self._seen(schema["items"], element, f"{path}[]")


def _members(schema: Schema) -> list[Any]:
    return [True, False] if schema.get("type") == "boolean" else schema.get("enum", [])


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_what_the_contract_declares(validator: Validator, name: str) -> None:
    assert validator.fault(BODIES[name]) is None


def test_everything_the_contract_leaves_open_is_seen_both_ways(contract: Contract) -> None:
    table = Table(contract, "NodeStateSnapshot")
    facets = table.facets()
    seen = set().union(*map(table.seen_in, BODIES.values()))
    assert sorted(facets - seen) == []
    assert len(facets) > 50


def test_the_table_names_what_it_never_saw(contract: Contract) -> None:
    table = Table(contract, "NodeStateSnapshot")
    missing = table.facets() - table.seen_in(BODIES[RICHEST])
    assert {"/policy null", "/reachability/state = ''", "/bridge/relay absent"} <= missing
    assert "/policy not null" not in missing


# ---- the contract asserts -----------------------------------------------------------------------
# Else a body could be anything and still valid.


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every leaf, but for what is free-form."""
    if path and path[-1] == "routing_policy" and isinstance(value, dict):
        return
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in pairs:
            yield from leaves(part, (*path, key))
    else:
        yield path


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every object, but for what is free-form."""
    if isinstance(value, dict) and path[-1:] != ("routing_policy",):
        yield path
        for key, member in value.items():
            yield from objects(member, (*path, key))
    elif isinstance(value, list):
        for key, item in enumerate(value):
            yield from objects(item, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def test_no_leaf_may_be_of_another_type(validator: Validator) -> None:
    body = BODIES[RICHEST]
    paths = list(leaves(body))
    for path in paths:
        changed = copy.deepcopy(body)
        at(changed, path[:-1])[path[-1]] = [at(body, path)]
        assert not validator.is_valid(changed), path
    assert len(paths) > 100


# Texts that may be anything: what a person or a program wrote.
FREE = {"key", "value", "workload_tag", "interface_name", "acme_account_ref", "remote_host"}
FREE |= {"mesh_ip", "fallback_endpoint", "allowed_subnets"}
# Keys whose absence means something.
OPTIONAL = {"fallback_endpoint", "workload_tag", "acme_account_ref", "ports"}
OPTIONAL |= {"relay", "user_access", "ingress", "site_to_site"}


def test_every_text_with_a_form_keeps_it(validator: Validator) -> None:
    body = BODIES[RICHEST]
    formed = [
        path
        for path in leaves(body)
        if isinstance(at(body, path), str) and not FREE.intersection(path)
    ]
    for path in formed:
        # The last part of a secret's reference may be anything.
        more = [] if path[-1] == "auth_secret_ref" else [" ", "\n"]
        for wrong in ("\u2603", *(f"{at(body, path)}{suffix}" for suffix in more)):
            changed = copy.deepcopy(body)
            at(changed, path[:-1])[path[-1]] = wrong
            assert not validator.is_valid(changed), (*path, wrong)
    assert len(formed) > 40


def test_no_object_may_lack_or_have_a_key_beyond_the_contract(validator: Validator) -> None:
    body = BODIES[RICHEST]
    found = list(objects(body))
    for path in found:
        more = copy.deepcopy(body)
        at(more, path)["undeclared"] = 1
        assert not validator.is_valid(more), path
        for key in at(body, path):
            less = copy.deepcopy(body)
            del at(less, path)[key]
            is_free = key in OPTIONAL and "assignments" not in path
            assert validator.is_valid(less) == is_free, (*path, key)
    assert len(found) > 20
