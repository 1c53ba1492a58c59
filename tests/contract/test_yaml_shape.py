"""The contract keeps the rules its first comment states, and the tools that read it can."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import connexion
import pytest
import yaml
from connexion.resolver import Resolution, Resolver

CONTRACT = Path(__file__).resolve().parents[2] / "api" / "plexsphere-v1.yaml"
SPEC: dict[str, Any] = yaml.load(CONTRACT.read_bytes(), yaml.CSafeLoader)
SCHEMAS: dict[str, Any] = SPEC["components"]["schemas"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in SPEC["paths"].items()
    for method, operation in item.items()
}
# Objects whose keys are not ours to declare.
FREE_FORM = {
    "BridgeUserAccessProviderResponse/properties/routing_policy",
    "NodeHeartbeatRequest/properties/nat_summary",
    "OpenapiDocument",
    "OpenapiDocument/properties/info",
    "OpenapiDocument/properties/paths",
}


def schemas(node: Any, at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A schema and every schema inside it, with where it stands."""
    yield at, node
    for key, inner in node.get("properties", {}).items():
        yield from schemas(inner, f"{at}/properties/{key}")
    if "items" in node:
        yield from schemas(node["items"], f"{at}/items")


ALL_SCHEMAS = dict(pair for name, schema in SCHEMAS.items() for pair in schemas(schema, name))
ALL_SCHEMAS |= {
    f"{kind}/{name}": definition["schema"]
    for kind in ("parameters", "headers")
    for name, definition in SPEC["components"][kind].items()
}


def referred(node: Any) -> Iterator[str]:
    """The names of the schemas that a part of the file refers to, and of those inside them."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return
    kind, _, name = str(node.get("$ref")).rpartition("/")
    if kind.endswith("/schemas"):
        yield name
        yield from referred(SCHEMAS[name])
    for inner in node.values():
        yield from referred(inner)


IN_REQUESTS = {name for op in OPERATIONS.values() for name in referred(op.get("requestBody"))}


class _NoRepeatedKeys(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        repeated = {key for key in keys if keys.count(key) > 1}
        assert not repeated, f"line {node.start_mark.line + 1}: {repeated}"
        return super().construct_mapping(node, deep=deep)


def test_no_key_is_given_twice() -> None:
    assert yaml.load(CONTRACT.read_text(encoding="utf-8"), _NoRepeatedKeys) == SPEC


def test_the_keys_of_a_snapshot_are_in_the_order_of_the_wire() -> None:
    assert list(SCHEMAS["NodeStateSnapshot"]["properties"]) == [
        "peers",
        "reachability",
        "policy",
        "bridge",
        "state",
        "reports",
    ]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_says_what_it_is(operation: dict[str, Any]) -> None:
    verbs = "Get|Put|Post|Patch|Delete|Renew|Create|List|Register|Rotate|Revoke|Issue"
    assert re.fullmatch(rf"({verbs})([A-Z][a-z]+)+", operation["operationId"])
    assert operation["summary"] and operation["description"]
    assert len(operation["tags"]) == 1
    assert operation["tags"][0] in [tag["name"] for tag in SPEC["tags"]]
    # The order in which a reader, and a table made from the file, meets them.
    assert list(operation["responses"]) == sorted(operation["responses"])


def test_operation_ids_are_unique_and_no_code_path_appears() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))
    assert not re.search(r"x-openapi-router|x-\w+InfoFunc", CONTRACT.read_text(encoding="utf-8"))


def test_only_the_operations_about_the_service_and_the_enrolment_need_no_token() -> None:
    for label, operation in OPERATIONS.items():
        expected = operation["tags"] == ["meta"] or operation["operationId"] == "PostRegister"
        assert (operation.get("security") == []) == expected, label


def test_every_answer_carries_the_correlation_id() -> None:
    for label, operation in OPERATIONS.items():
        for status, response in operation["responses"].items():
            if "$ref" in response:
                response = SPEC["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
            assert "X-Correlation-Id" in response["headers"], f"{label} {status}"


def test_every_component_is_used() -> None:
    text = CONTRACT.read_text(encoding="utf-8")
    for kind in ("parameters", "headers", "responses", "schemas"):
        for name in SPEC["components"][kind]:
            assert f"'#/components/{kind}/{name}'" in text, f"{kind}/{name}"


@pytest.mark.parametrize("at", ALL_SCHEMAS)
def test_a_schema_keeps_the_rules_of_the_file(at: str) -> None:
    schema = ALL_SCHEMAS[at]
    if "pattern" in schema:
        # `$` lets a trailing newline through; a length does not.
        assert {"minLength", "maxLength"} <= schema.keys()
        assert schema["pattern"].startswith("^") and schema["pattern"].endswith("$")
        assert "(?" not in schema["pattern"], "not every engine has lookaround"
    assert schema.get("format") != "uuid", "generated clients make another type of it"
    if schema.get("format") in {"byte", "uri"}:
        assert "pattern" in schema, "Draft 4 validators do not check the format enough"
    if schema.get("format") == "date-time":
        assert not {"pattern", "minLength", "maxLength"} & schema.keys()
    if schema.get("type") == "integer":
        bits = {"int32": 31, "int64": 53}[
            schema["format"]
        ]  # past 53 a script's numbers are not exact
        assert -(2**bits) <= schema["minimum"] <= schema["maximum"] < 2**bits
    if schema.get("type") == "object" and at not in FREE_FORM:
        is_closed = at.partition("/")[0] in IN_REQUESTS
        assert schema["additionalProperties"] is not is_closed
        required = schema.get("required", [])
        assert required == [key for key in schema["properties"] if key in required]
    if "nullable" in schema:
        assert at in SCHEMAS and schema["type"] == "object"
    if "$ref" in schema:
        assert list(schema) == ["$ref"], "what stands beside a reference is ignored"


def test_connexion_loads_it_and_asks_for_every_operation_by_its_name() -> None:
    asked: list[str] = []

    class Recording(Resolver):
        def resolve(self, operation: Any) -> Resolution:
            asked.append(operation.operation_id)
            return Resolution(lambda **_: None, operation.operation_id)

    app = connexion.FlaskApp(__name__, specification_dir=str(CONTRACT.parent))
    app.add_api(CONTRACT.name, resolver=Recording(), options={"swagger_ui": False})
    assert sorted(asked) == sorted(op["operationId"] for op in OPERATIONS.values())
