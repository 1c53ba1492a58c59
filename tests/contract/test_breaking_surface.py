"""Paths, operations, statuses, problem codes, credentials, servers: edits of the real file."""

from typing import Any

import pytest

from tests.contract.breaking_edits import (
    PROPERTIES,
    REAL,
    STATE,
    Row,
    assert_breaks,
    assert_harmless,
    both,
    component,
    drop,
    gain,
    lose,
    put,
    rename,
    reorder,
    schema,
    spot,
)

PATHS = ("paths",)
LIVEZ = ("paths", "/livez", "get")
EVENTS = ("paths", "/v1/nodes/{id}/events", "get")
RESPONSES = (*STATE, "responses")
UNAVAILABLE = component("responses", "DependencyUnavailable")
NOT_FOUND = component("responses", "NodeNotFound")
CODES = schema("Problem", PROPERTIES, "code", "enum")
SCHEME = component("securitySchemes", "nodeAgentJWT")
PLAIN = {"description": "Done."}
REFUSAL = {"$ref": "#/components/responses/NodeNotFound"}
TEXT = {"summary": "Other words", "description": "Other words", "tags": ["meta"]}


def node_paths(document: dict[str, Any]) -> None:
    """Every path that names a Node, with the parameter's new name."""
    paths = document["paths"]
    renamed = {path.replace("{id}", "{node_id}"): item for path, item in paths.items()}
    paths.clear()
    paths.update(renamed)


def rename_scheme(document: dict[str, Any]) -> None:
    """Every use of the first credential, with its new name."""
    operations = [
        operation
        for item in document["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and "security" in operation
    ]
    for place in (document, *operations):
        place["security"] = [
            {"bearer" if name == SCHEME[-1] else name: scopes for name, scopes in scheme.items()}
            for scheme in place["security"]
        ]


BREAKING = [
    Row("a path is gone", drop((*PATHS, "/metrics")), "the path is gone"),
    Row("a path has moved", rename((*PATHS, "/v1/version"), "/v2/version"), "the path is gone"),
    Row("an operation is gone", drop(LIVEZ), "the operation is gone"),
    Row("another method", rename(LIVEZ, "post"), "the operation is gone"),
    Row("another operationId", put((*STATE, "operationId"), "PullNodeState"), "operationId"),
    Row("a path parameter has another name", both(
        put(component("parameters", "NodeId", "name"), "node_id"),
        node_paths),
        "now called node_id"),
    Row("the success is gone", drop((*RESPONSES, "200")), "status 200 is gone"),
    Row("a refusal is gone", drop((*RESPONSES, "404")), "status 404 is gone"),
    Row("the success has another status", rename((*RESPONSES, "200"), "203"), "status 20"),
    Row("another success", put((*RESPONSES, "202"), PLAIN), "status 202 is new"),
    Row("a redirect", put((*RESPONSES, "307"), PLAIN), "status 307 is new"),
    Row("a code is gone", lose((*UNAVAILABLE, "x-problem-codes"), "authz_unavailable"),
        "code authz_unavailable is gone"),
    Row("a code has another name", both(
        put((*NOT_FOUND, "x-problem-codes"), ["no_such_node"]), gain(CODES, "no_such_node"),
        lose(CODES, "node_not_found")), "problem code"),
    Row("a code more for a status", both(gain((*UNAVAILABLE, "x-problem-codes"), "asleep"),
        gain(CODES, "asleep")), "code asleep is new"),
    Row("no codes any more", drop((*NOT_FOUND, "x-problem-codes")), "problem code"),
    Row("a credential is asked for", drop((*LIVEZ, "security")), "a credential is now asked for"),
    Row("another credential", put((*SCHEME, "scheme"), "basic"), "no longer enough"),
    Row("a bearer less", lose((*STATE, "security"), {"nodeSecretKey": []}), "no longer enough"),
    Row("a request is unserved in silence", drop(("x-unserved", 0)), "no longer answered 501"),
    Row("an unserved request has another code", put(("x-unserved", 0, "code"), "gone"), "-> gone"),
    Row("two credentials", both(
        put(component("securitySchemes", "key"), {"type": "apiKey", "in": "header", "name": "K"}),
        put(("security",), [{"nodeAgentJWT": [], "key": []}])), "no longer enough"),
    Row("a scope", put(("security",), [{"nodeAgentJWT": ["nodes"]}]), "no longer enough"),
    Row("undeclared query parameters are refused", put((*LIVEZ, "x-strict-query"), True),
        "undeclared query parameters are refused"),
    Row("another server", put(("servers", 0, "url"), "/api"), "server / is gone"),
]  # fmt: skip

HARMLESS = [
    Row("a path more", put((*PATHS, "/v2/version"), spot(REAL, (*PATHS, "/v1/version"))), "path"),
    Row("an unserved request in other letters", both(put(("x-unserved", 0, "method"), "PUT"),
        put(("x-unserved", 0, "path"), "/v1/nodes/{node_id}/endpoint")), ""),
    Row("an operation more", put((*LIVEZ[:2], "post"), spot(REAL, LIVEZ)), "operation is new"),
    Row("a refusal more", put((*RESPONSES, "409"), REFUSAL), "status 409 is new"),
    Row("a refusal more with a code of its own", both(
        put((*RESPONSES, "423"), {"$ref": "#/components/responses/TooMany"}),
        put(component("responses", "TooMany"), {**spot(REAL, NOT_FOUND),
        "x-problem-codes": ["slow"]}),
        gain(CODES, "slow")), "status 423 is new"),
    Row("an answer that is not modified", put((*LIVEZ, "responses", "304"), PLAIN), "304 is new"),
    Row("the first success", put((*EVENTS, "responses", "200"), PLAIN), "status 200 is new"),
    Row("undeclared query parameters are passed over", drop((*STATE, "x-strict-query")),
        "undeclared query parameters are passed over"),
    Row("no credential is asked for", put((*STATE, "security"), []), "no credential"),
    Row("another credential too", both(
        put(component("securitySchemes", "key"), {"type": "apiKey", "in": "header", "name": "K"}),
        gain(("security",), {"key": []})), "now enough"),
    Row("a credential with another name", both(rename(SCHEME, "bearer"), rename_scheme), ""),
    Row("a server more", gain(("servers",), {"url": "https://api.example.com"}), "server"),
    Row("other words about an operation", lambda document: spot(document, STATE).update(TEXT), ""),
    Row("other words about a schema", put(schema("Port", "description"), "Other words"), ""),
    Row("other words about an answer", put((*NOT_FOUND, "description"), "Other words"), ""),
    Row("another example", put(component("examples", "HealthOk", "value", "status"), "degraded"),
        ""),
    Row("no links", drop((*RESPONSES, "200", "links")), ""),
    Row("an operation to be given up", put((*LIVEZ, "deprecated"), True), ""),
    Row("another version", put(("info", "version"), "1.1.0"), ""),
    Row("another order of operations", reorder(PATHS), ""),
]  # fmt: skip


@pytest.mark.parametrize("row", BREAKING, ids=str)
def test_a_caller_breaks(row: Row) -> None:
    assert_breaks(row)


@pytest.mark.parametrize("row", HARMLESS, ids=str)
def test_a_caller_goes_on(row: Row) -> None:
    assert_harmless(row)
