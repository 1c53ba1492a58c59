"""Every example in the contract is an answer the contract allows, and the refusals are complete.

The schemas are compiled as the runtime compiles them.
"""

import copy
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.contract.schemas import Direction, SchemaCompiler, Validator

CONTRACT = Path(__file__).resolve().parents[2] / "api" / "plexsphere-v1.yaml"
SPEC: dict[str, Any] = yaml.load(CONTRACT.read_bytes(), yaml.CSafeLoader)
COMPILER = SchemaCompiler(SPEC)
# RFC 9110 renamed this one, the sibling surfaces did not, and Python changed its table since.
TITLES = {413: "Payload Too Large"}


def deref(node: Any) -> Any:
    """Follow local references until something else is met."""
    while isinstance(node, dict) and "$ref" in node:
        target: Any = SPEC
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def validator_for(schema: dict[str, Any], direction: Direction = Direction.ANSWER) -> Validator:
    return COMPILER.compile(schema, direction)


def examples_of(holder: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The examples of a media type, a parameter or a header, by name."""
    if "example" in holder:
        yield "example", holder["example"]
    for name, example in holder.get("examples", {}).items():
        yield name, deref(example)["value"]


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for item in SPEC["paths"].values():
        for operation in item.values():
            yield operation["operationId"], operation


def holders() -> Iterator[tuple[str, dict[str, Any], Direction]]:
    """Everything in the file that has a schema and must therefore have an example."""
    for name, operation in operations():
        for parameter in map(deref, operation.get("parameters", [])):
            yield f"{name} parameter {parameter['name']}", parameter, Direction.REQUEST
        for media_type, definition in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} request {media_type}", definition, Direction.REQUEST
        for status, response in operation["responses"].items():
            response = deref(response)
            for header, definition in response.get("headers", {}).items():
                yield f"{name} {status} header {header}", deref(definition), Direction.ANSWER
            for media_type, definition in response.get("content", {}).items():
                yield f"{name} {status} {media_type}", definition, Direction.ANSWER


def refusals() -> Iterator[tuple[str, int, dict[str, Any]]]:
    for name, operation in operations():
        for status, response in operation["responses"].items():
            response = deref(response)
            if "application/problem+json" in response.get("content", {}):
                yield name, int(status), response


def keys_in_wire_order(value: Any, schema: dict[str, Any], at: str = "") -> None:
    schema = deref(schema)
    if isinstance(value, list):
        for index, item in enumerate(value):
            keys_in_wire_order(item, schema["items"], f"{at}/{index}")
    elif isinstance(value, dict) and "properties" in schema:
        assert list(value) == [key for key in schema["properties"] if key in value], at
        for key, item in value.items():
            keys_in_wire_order(item, schema["properties"][key], f"{at}/{key}")


# A component that many operations use is looked at once, under the name of its last user.
HOLDERS = list({id(row[1]): row for row in holders()}.values())
REFUSALS = list({id(row[2]): row for row in refusals()}.values())
SNAPSHOT = SPEC["components"]["examples"]["SnapshotOfABridgeNode"]["value"]


@pytest.mark.parametrize(
    ("holder", "direction"), [row[1:] for row in HOLDERS], ids=[row[0] for row in HOLDERS]
)
def test_everything_with_a_schema_has_examples_and_each_fits_it(
    holder: dict[str, Any], direction: Direction
) -> None:
    validator = validator_for(holder["schema"], direction)
    examples = list(examples_of(holder))
    assert examples, "no example"
    for name, value in examples:
        assert validator.faults(value) == [], name
        keys_in_wire_order(value, holder["schema"])


def test_no_example_lies_unused() -> None:
    used = CONTRACT.read_text(encoding="utf-8")
    for name in SPEC["components"]["examples"]:
        assert f"'#/components/examples/{name}'" in used, name


def test_the_example_of_a_bridge_node_shows_every_property_of_the_snapshot() -> None:
    """At least once each: not every peer has a fallback endpoint."""
    shown: dict[str, set[str]] = {}

    def walk(value: Any, schema: dict[str, Any]) -> None:
        if isinstance(value, list):
            for item in value:
                walk(item, schema["items"])
        elif isinstance(value, dict) and "$ref" in schema:
            shown.setdefault(schema["$ref"].rsplit("/", 1)[1], set()).update(value)
            for key, inner in value.items():
                walk(inner, deref(schema)["properties"][key])

    walk(SNAPSHOT, {"$ref": "#/components/schemas/NodeStateSnapshot"})
    assert len(shown) == 17
    for name, keys in shown.items():
        assert keys == set(SPEC["components"]["schemas"][name]["properties"]), name


def test_the_arrays_of_the_example_are_sorted_as_the_pull_sorts_them() -> None:
    bridge = SNAPSHOT["bridge"]
    sorted_by = [
        (SNAPSHOT["peers"], "node_id"),
        (bridge["relay"]["assignments"], "peer_node_id"),
        (bridge["user_access"]["providers"], "slug"),
        (bridge["ingress"]["rules"], "slug"),
        (bridge["site_to_site"]["tunnels"], "slug"),
        *((bucket, "key") for bucket in SNAPSHOT["state"].values()),
    ]
    for rows, key in sorted_by:
        assert rows, key
        assert [row[key] for row in rows] == sorted(row[key] for row in rows)
    assert SNAPSHOT["state"] == SNAPSHOT["reports"]


@pytest.mark.parametrize(
    "pointer, value",
    [
        ("peers", None),
        ("peers/0/node_id", "0190B2C4-8D5E-7A10-9C3F-5B6E7F8091A3"),
        ("peers/0/node_id", "00000000-0000-0000-0000-000000000000"),
        ("peers/0/node_id", "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a3\n"),
        ("peers/0/mesh_ip", ""),
        ("peers/0/public_key", "c2hvcnQ="),
        ("peers/0/endpoint", "192.0.2.1:51820"),
        ("reachability", None),
        ("reachability/state", "never_reported"),
        ("reachability/changed_at", "2026-11-23T07:00:00+00:00"),
        ("reachability/changed_at", "2026-11-23T07:00:00.500Z"),
        ("reachability/changed_at", "2026-13-23T07:00:00Z"),
        ("policy/fingerprint", ""),
        ("policy/rules/0/ports/from", 0),
        ("policy/rules/0/ports/to", 443.0),
        ("policy/rules/0/source_cidr", "10.0.0.1"),
        ("bridge/relay/listen_port", 65536),
        ("bridge/user_access/providers/0/slug", "Staff"),
        ("bridge/site_to_site/tunnels/0/routing_policy", {}),
        ("state/metadata", None),
        ("reports", None),
        ("executions", []),
    ],
)
def test_a_snapshot_with_one_thing_wrong_is_refused(pointer: str, value: Any) -> None:
    broken = copy.deepcopy(SNAPSHOT)
    *path, last = pointer.split("/")
    target = broken
    for part in path:
        target = target[int(part)] if isinstance(target, list) else target[part]
    target[last] = value
    validator = validator_for({"$ref": "#/components/schemas/NodeStateSnapshot"})
    assert validator.is_valid(SNAPSHOT)
    assert not validator.is_valid(broken)


@pytest.mark.parametrize("key", list(SNAPSHOT))
def test_a_snapshot_without_one_of_its_six_keys_is_refused(key: str) -> None:
    validator = validator_for({"$ref": "#/components/schemas/NodeStateSnapshot"})
    assert not validator.is_valid({k: v for k, v in SNAPSHOT.items() if k != key})


@pytest.mark.parametrize(
    "status, response",
    [(s, r) for _, s, r in REFUSALS],
    ids=[f"{name} {status}" for name, status, _ in REFUSALS],
)
def test_a_refusal_has_one_whole_example_for_each_code_it_can_carry(
    status: int, response: dict[str, Any]
) -> None:
    problems = dict(examples_of(response["content"]["application/problem+json"]))
    codes = response["x-problem-codes"]
    assert [p["code"] for p in problems.values() if "code" in p] == codes
    assert [name for name in problems if name != "internal"] == codes
    for problem in problems.values():
        slug = problem.get("code", "internal").replace("_", "-")
        assert problem["type"] == f"https://plexsphere.com/errors/{slug}"
        assert problem["status"] == status
        assert problem["title"] == TITLES.get(status) or HTTPStatus(status).phrase
        assert ("code" in problem) == (status != 500)


def test_the_codes_of_all_refusals_are_the_codes_of_the_problem_schema() -> None:
    declared = SPEC["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    used = {code for _, _, response in REFUSALS for code in response["x-problem-codes"]}
    used |= {entry["code"] for entry in SPEC["x-unserved"]}
    assert len(declared) == len(set(declared))
    assert set(declared) == used
