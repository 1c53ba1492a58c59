"""Answers may only become narrower; more keys of open objects break no client.

Every row is an edit of the real file.
"""

import pytest

from deploy.breaking.findings import Severity
from tests.contract.breaking_edits import (
    PROPERTIES,
    STATE,
    Row,
    assert_breaks,
    assert_harmless,
    both,
    component,
    drop,
    findings,
    gain,
    lose,
    put,
    rename,
    reorder,
    schema,
)

PEER = schema("NodeStatePeer", PROPERTIES)
RULE = schema("NodeStateCompiledRule", PROPERTIES)
HEALTH = schema("HealthStatus", PROPERTIES)
PROVIDER = schema("BridgeUserAccessProviderResponse", PROPERTIES)
ANSWER = (*STATE, "responses", "200")
NEW_PROPERTY = {"type": "string"}

BREAKING = [
    Row("a key of the snapshot is gone", drop(schema("NodeStateSnapshot", PROPERTIES, "bridge")),
        "bridge"),
    Row("an optional key is gone", drop((*PEER, "fallback_endpoint")), "fallback_endpoint"),
    Row("a key has another name", rename((*PEER, "mesh_ip"), "address"), "mesh_ip"),
    Row("a key may be missing", lose(schema("NodeStatePeer", "required"), "mesh_ip"),
        "no longer required"),
    Row("no key has to be there", drop(schema("NodeStateReports", "required")),
        "no longer required"),
    Row("a key more in a closed object", put((*PEER, "endpoint"), NEW_PROPERTY),
        "property endpoint is new",
        given=put(schema("NodeStatePeer", "additionalProperties"), False)),
    Row("another type", put((*HEALTH, "status"), {"type": "boolean"}), "type string -> boolean"),
    Row("an integer may be any number", put(schema("Port", "type"), "number"), "integer -> number"),
    Row("no type any more", drop((*RULE, "action", "type")), "type string -> any"),
    Row("a block may be null", put(schema("Reachability", "nullable"), True), "null is now"),
    Row("a list may be null", put((*HEALTH, "checks", "nullable"), True), "null is now"),
    Row("a value more in an enum", gain((*RULE, "action", "enum"), "queue"), 'gains "queue"'),
    Row("a value less in an enum", lose((*RULE, "action", "enum"), "log"), 'loses "log"'),
    Row("an enum opened", drop((*RULE, "protocol", "enum")), "no longer only"),
    Row("no format any more", drop(schema("Timestamp", "format")), "format date-time -> none"),
    Row("another format", put((*PEER, "public_key", "format"), "uri"),
        "format byte -> uri"),
    Row("a wider integer", put(schema("Port", "format"), "int64"), "format int32 -> int64"),
    Row("no pattern any more", drop(schema("Slug", "pattern")), "pattern"),
    Row("another pattern", put(schema("Slug", "pattern"), "^[a-z]+$"), "pattern"),
    Row("a lower minLength", put((*PEER, "public_key", "minLength"), 40), "minLength 44 -> 40"),
    Row("no minLength", drop((*PEER, "mesh_ip", "minLength")), "minLength 1 -> 0"),
    Row("a higher maxLength", put((*PEER, "mesh_ip", "maxLength"), 64), "maxLength 45 -> 64"),
    Row("no maxLength", drop((*PEER, "mesh_ip", "maxLength")), "maxLength 45 -> none"),
    Row("a lower minimum", put(schema("Port", "minimum"), 0), "minimum 1 -> 0"),
    Row("a higher maximum", put(schema("Port", "maximum"), 70000), "maximum 65535 -> 70000"),
    Row("minItems gone", drop((*HEALTH, "checks", "minItems")), "minItems 1 -> 0",
        given=put((*HEALTH, "checks", "minItems"), 1)),
    Row("maxItems raised", put((*HEALTH, "checks", "maxItems"), 9), "maxItems 8 -> 9",
        given=put((*HEALTH, "checks", "maxItems"), 8)),
    Row("items repeat", drop((*HEALTH, "checks", "uniqueItems")), "uniqueItems",
        given=put((*HEALTH, "checks", "uniqueItems"), True)),
    Row("items of another kind", put((*HEALTH, "checks", "items"), {"type": "string"}),
        "type object -> string"),
    Row("a bound is no longer left out", drop(schema("Port", "exclusiveMinimum")),
        "minimum 1 (exclusive) -> 1",
        given=put(schema("Port", "exclusiveMinimum"), True)),
    Row("a value that was ruled out", drop(schema("NodeUuid", "not")), "not"),
    Row("free keys are no longer sent", put((*PROVIDER, "routing_policy", "additionalProperties"),
        False),
        "unlisted keys"),
    Row("a free key is now a number", put((*PROVIDER, "routing_policy", "additionalProperties"),
        {"type": "integer"}), "type string -> integer",
        given=put((*PROVIDER, "routing_policy", "additionalProperties"), {"type": "string"})),
    Row("an alternative more", gain((*PEER, "mesh_ip", "oneOf"), {"type": "boolean"}),
        "alternative",
        given=put((*PEER, "mesh_ip"), {"oneOf": [{"type": "string"}]})),
    Row("an edit behind allOf", put(schema("Port", "maximum"), 70000), "maximum",
        given=put((*PEER, "port"), {"allOf": [{"$ref": "#/components/schemas/Port"},
        {"minimum": 9}]})),
    Row("an edit in a schema that contains itself", drop(schema("HealthCheck", PROPERTIES,
        "name")), "name",
        given=put(schema("HealthCheck", PROPERTIES, "parts"),
                  {"type": "array", "items": {"$ref": "#/components/schemas/HealthCheck"}})),
    Row("a key that is only written", put((*PEER, "public_key", "writeOnly"), True), "public_key"),
    Row("a header is gone", drop((*ANSWER, "headers", "ETag")), "header ETag"),
    Row("a header may be missing", put(component("headers", "RetryAfter", "required"), False),
        "Retry-After"),
    Row("a header may hold more", drop(component("headers", "CacheControl", "schema", "enum")),
        "no longer only"),
    Row("the media type is gone", drop((*ANSWER, "content", "application/json")),
        "application/json"),
    Row("another media type", rename((*ANSWER, "content", "application/json"), "application/cbor"),
        "media type application/json is gone"),
    Row("a Problem is plain JSON", rename(component("responses", "NodeNotFound", "content",
        "application/problem+json"), "application/json"), "application/problem+json is gone"),
    Row("a Problem without a detail", lose(schema("Problem", "required"), "detail"),
        "detail is no longer"),
]  # fmt: skip

HARMLESS = [
    Row("a key more", put((*PEER, "endpoint"), NEW_PROPERTY), "property endpoint is new"),
    Row("a required key more", both(put((*PEER, "endpoint"), NEW_PROPERTY),
        gain(schema("NodeStatePeer", "required"), "endpoint")), "property endpoint is new"),
    Row("a block more", put(schema("NodeStateSnapshot", PROPERTIES, "executions"),
        {"type": "array", "items": {}}), "property executions is new"),
    Row("an optional key is always there", gain(schema("StateEntry", "required"), "workload_tag"),
        "now required"),
    Row("a block is never null", drop(schema("NodeStatePolicy", "nullable")), "null is no longer"),
    Row("a closed set", put((*PROVIDER, "interface_name", "enum"), ["wg0"]), "only"),
    Row("a format more", put((*PEER, "mesh_ip", "format"), "ip"), "format none -> ip"),
    Row("a narrower integer", put(schema("Port", "format"), "int32"), "format int64 -> int32",
        given=put(schema("Port", "format"), "int64")),
    Row("a number is always an integer", put(schema("Port", "type"), "integer"),
        "number -> integer",
        given=put(schema("Port", "type"), "number")),
    Row("a pattern more", put((*PEER, "mesh_ip", "pattern"), "^[0-9.]+$"), "pattern none ->"),
    Row("a higher minLength", put((*PEER, "mesh_ip", "minLength"), 2), "minLength 1 -> 2"),
    Row("a minLength of 0 says nothing", put(schema("StateEntry", PROPERTIES, "value",
        "minLength"), 0), ""),
    Row("a lower maxLength", put((*PEER, "mesh_ip", "maxLength"), 39), "maxLength 45 -> 39"),
    Row("a higher minimum", put(schema("Port", "minimum"), 1024), "minimum 1 -> 1024"),
    Row("a lower maximum", put(schema("Port", "maximum"), 49151), "maximum 65535 -> 49151"),
    Row("maxItems", put((*HEALTH, "checks", "maxItems"), 8), "maxItems none -> 8"),
    Row("minItems", put((*HEALTH, "checks", "minItems"), 1), "minItems 0 -> 1"),
    Row("items are unique", put((*HEALTH, "checks", "uniqueItems"), True), "uniqueItems"),
    Row("multiples only", put(schema("Port", "multipleOf"), 2), "multipleOf none -> 2"),
    Row("a value more is ruled out", gain(schema("Slug", "not", "enum"), "b"), "not",
        given=put(schema("Slug", "not"), {"enum": ["a"]})),
    Row("an object opened", drop(schema("NodeStatePeer", "additionalProperties")),
        "unlisted keys", given=put(schema("NodeStatePeer", "additionalProperties"), False)),
    Row("an object that said nothing is closed", put(schema("NodeStatePeer",
        "additionalProperties"), False), "unlisted keys",
        given=drop(schema("NodeStatePeer", "additionalProperties"))),
    Row("an alternative less", drop((*PEER, "mesh_ip", "oneOf", 1)), "alternative",
        given=put((*PEER, "mesh_ip"), {"oneOf": [{"type": "string"}, {"type": "boolean"}]})),
    Row("a header more", put((*ANSWER, "headers", "X-Served-By"), {"schema": NEW_PROPERTY}),
        "X-Served-By"),
    Row("a header is always there", put(component("headers", "Vary", "required"), True),
        "Vary is now required",
        given=put(component("headers", "Vary", "required"), False)),
    Row("a header's name in capitals", rename((*ANSWER, "headers", "ETag"), "ETAG"), ""),
    Row("a media type more", put((*ANSWER, "content", "application/cbor"), {"schema": {}}),
        "application/cbor"),
    Row("a reference instead of the same words", put((*RULE, "source_cidr"), {"allOf": [
        {"$ref": "#/components/schemas/Cidr"}]}), ""),
    Row("a schema with another name", both(rename(schema("Slug"), "Handle"), *(
        put(schema(name, PROPERTIES, "slug"), {"$ref": "#/components/schemas/Handle"})
        for name in ("BridgeUserAccessProviderResponse", "BridgeIngressRuleResponse",
                     "BridgeSiteToSiteTunnelResponse"))), ""),
    Row("a default of an answer", put((*RULE, "action", "default"), "deny"), ""),
]  # fmt: skip


@pytest.mark.parametrize("row", BREAKING, ids=str)
def test_a_client_of_the_answer_breaks(row: Row) -> None:
    assert_breaks(row)


@pytest.mark.parametrize("row", HARMLESS, ids=str)
def test_a_client_of_the_answer_sees_nothing_it_cannot_take(row: Row) -> None:
    assert_harmless(row)


def test_the_order_of_keys_changes_bytes_and_breaks_nobody() -> None:
    row = Row("another order", reorder(schema("NodeStatePeer", PROPERTIES)), "")
    assert [finding.severity for finding in findings(row)] == [Severity.BYTES]


def test_an_edit_behind_an_alternative_is_told_as_itself() -> None:
    """As events show a rule."""
    rule = {"$ref": "#/components/schemas/NodeStateCompiledRule"}
    behind = put((*PEER, "mesh_ip"), {"oneOf": [{"type": "string"}, rule]})
    found = findings(Row("a lost word", lose((*RULE, "action", "enum"), "log"), "", given=behind))
    assert found and {finding.severity for finding in found} == {Severity.BREAKING}
    assert not [finding for finding in found if "alternative" in finding.change]
