"""Refusals and their Problems: one catalogue, and the contract says the same of each."""

from __future__ import annotations

from typing import Any

import pytest

from composer import errors
from composer.errors import ComposerError
from handlers.refusals import CATALOGUE, INTERNAL, RefusalKind, Refused, refusal_for
from server.contract.document import Contract
from server.http.problems import (
    FRAMEWORK,
    INSTANCE_MAX,
    TITLES,
    instance_of,
    problem_answer,
    problem_type,
)
from tests.factories import CORRELATION

CONTRACT = Contract.packaged()
SPEC = CONTRACT.document
EXAMPLES = {
    shown["value"]["type"]: shown["value"]
    for shown in SPEC["components"]["examples"].values()
    if "status" in shown["value"] and "type" in shown["value"]
}
# Codes of requests that are no operations; only their Problem declares them.
UNSERVED = {request.code for request in CONTRACT.unserved}
DECLARED = {
    (status, code)
    for operation in CONTRACT.operations.values()
    for status, response in operation.responses.items()
    for code in response.problem_codes
}
OF_OPERATIONS = [
    kind for kind in CATALOGUE if kind.code not in UNSERVED or (kind.status, kind.code) in DECLARED
]
BY_NAME = pytest.mark.parametrize("kind", OF_OPERATIONS, ids=lambda kind: kind.code or "internal")
PATH = "/v1/nodes/x/state"


def body(kind: RefusalKind, path: str = PATH, **values: Any) -> dict[str, Any]:
    answer = problem_answer(kind, path, CORRELATION, **values)
    assert isinstance(answer.body, dict)
    return answer.body


def headers(kind: RefusalKind, **values: Any) -> dict[str, str]:
    return dict(problem_answer(kind, PATH, CORRELATION, **values).headers)


def test_the_codes_of_the_catalogue_are_the_codes_of_the_contract() -> None:
    declared = SPEC["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert sorted(kind.code for kind in CATALOGUE if kind.code) == sorted(declared)


def test_every_refusal_is_declared_under_its_status_and_no_other() -> None:
    unserved = {(501, code) for code in UNSERVED}
    assert DECLARED | unserved == {(kind.status, kind.code) for kind in CATALOGUE if kind.code}


def test_the_examples_of_the_contract_are_the_problems_of_the_catalogue() -> None:
    assert set(EXAMPLES) == {problem_type(kind) for kind in OF_OPERATIONS}


@BY_NAME
def test_a_problem_is_the_example_of_the_contract_but_for_where_and_which(
    kind: RefusalKind,
) -> None:
    example = EXAMPLES[problem_type(kind)]
    varying = {"instance": PATH, "correlation_id": CORRELATION}
    assert body(kind, child_counts=example.get("child_counts")) == example | varying


def test_only_a_domain_that_keeps_its_nodes_counts_them() -> None:
    assert [example["code"] for example in EXAMPLES.values() if "child_counts" in example] == [
        "domain_not_empty"
    ]
    refused = refusal_for(errors.DomainNotEmpty("inside", 7))
    assert (refused.kind.code, refused.child_counts["nodes"]) == ("domain_not_empty", 7)


@BY_NAME
def test_the_keys_of_a_problem_are_in_the_order_of_the_contract(kind: RefusalKind) -> None:
    order = list(SPEC["components"]["schemas"]["Problem"]["properties"])
    assert list(body(kind)) == [key for key in order if key in body(kind)]


@pytest.mark.parametrize("kind", FRAMEWORK.values(), ids=lambda kind: str(kind.status))
def test_a_framework_problem_is_one_the_schema_allows(kind: RefusalKind) -> None:
    assert CONTRACT.problem.fault(body(kind)) is None


@pytest.mark.parametrize("kind", FRAMEWORK.values(), ids=lambda kind: str(kind.status))
def test_a_framework_problem_is_found_under_its_own_status(kind: RefusalKind) -> None:
    assert FRAMEWORK[kind.status] is kind


@pytest.mark.parametrize(
    ("status", "last_part"),
    [(404, "not-found"), (405, "method-not-allowed"), (400, "bad-request"),
     (415, "unsupported-media-type"), (413, "payload-too-large")],
)  # fmt: skip
def test_what_belongs_to_no_operation_has_a_type_of_its_own(status: int, last_part: str) -> None:
    assert problem_type(FRAMEWORK[status]) == f"https://plexsphere.com/errors/{last_part}"


def test_the_three_answers_of_no_operation_are_worded_as_the_contract_says() -> None:
    prose = SPEC["components"]["schemas"]["Problem"]["description"]
    wrong = [
        kind
        for kind in (FRAMEWORK[404], FRAMEWORK[405], INTERNAL)
        if f"| `{problem_type(kind)}` | {kind.detail} |" not in prose
    ]
    assert wrong == []


def test_every_status_of_a_refusal_has_a_title() -> None:
    statuses = {kind.status for kind in (*CATALOGUE, *FRAMEWORK.values())}
    assert statuses - set(TITLES) == set()


def test_titles_are_the_reason_phrases_of_the_sibling_surfaces() -> None:
    assert TITLES == {
        400: "Bad Request",
        401: "Unauthorized",
        403: "Forbidden",
        404: "Not Found",
        405: "Method Not Allowed",
        406: "Not Acceptable",
        409: "Conflict",
        413: "Payload Too Large",
        415: "Unsupported Media Type",
        422: "Unprocessable Content",
        429: "Too Many Requests",
        500: "Internal Server Error",
        501: "Not Implemented",
        503: "Service Unavailable",
    }


def test_a_500_has_no_code() -> None:
    assert "code" not in body(INTERNAL)


@BY_NAME
def test_a_problem_is_never_stored(kind: RefusalKind) -> None:
    assert headers(kind)["Cache-Control"] == "no-store"


def test_only_a_401_asks_for_a_credential() -> None:
    asking = {kind.status: headers(kind).get("WWW-Authenticate") for kind in CATALOGUE}
    assert {status: value for status, value in asking.items() if value} == {401: "Bearer"}


def test_only_a_429_and_a_503_say_when_to_come_back() -> None:
    waits = {kind.code: headers(kind).get("Retry-After") for kind in CATALOGUE}
    assert {code: wait for code, wait in waits.items() if wait} == {
        "pool_exhausted": "60",
        "rate_limited": "1",
        "keys_unavailable": "5",
        "overloaded": "5",
        "event_stream_unavailable": "5",
        "datastore_unavailable": "5",
        "ledger_behind": "5",
        "authz_unavailable": "5",
    }


def test_allowed_methods_stand_in_the_order_given() -> None:
    assert headers(FRAMEWORK[405], allow=("GET", "HEAD", "PUT"))["Allow"] == "GET, HEAD, PUT"


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("/v1/nodes/x/state", "/v1/nodes/x/state"),
        ("/a b", "/a%20b"),
        ("/é", "/%C3%A9"),
        ("/\n\x00\x7f", "/%0A%00%7F"),
        ("/100%", "/100%25"),
        ("/%2F", "/%252F"),
        ('/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("/?#", "/%3F%23"),
        ("/[::1]", "/%5B::1%5D"),
        ("//a", "//a"),
        ("/\U0001f600", "/%F0%9F%98%80"),
    ],
)
def test_an_instance_is_the_path_percent_encoded(path: str, instance: str) -> None:
    assert instance_of(path) == instance


@pytest.mark.parametrize(
    "path", ["/" + "x" * 255, "/" + "x" * 256, "/" + "é" * 5000, "/" + "\0" * 300]
)
def test_an_instance_is_cut_after_256_characters_and_stays_one_the_schema_allows(
    path: str,
) -> None:
    problem = body(INTERNAL, path)
    assert (len(problem["instance"]), CONTRACT.problem.fault(problem)) == (INSTANCE_MAX, None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NodeNotFound, "node_not_found"),
        (errors.DomainNotFound, "domain_not_found"),
        (errors.ReportNotFound, "report_not_found"),
        (errors.EntryNotFound, "entry_not_found"),
        (errors.ReportQuotaExceeded, "report_quota_exceeded"),
        (errors.EntryQuotaExceeded, "entry_quota_exceeded"),
        (errors.ClockSkew, "clock_skew"),
        (errors.DatastoreUnavailable, "datastore_unavailable"),
        (errors.AuthzUnavailable, "authz_unavailable"),
        (errors.EventStreamUnavailable, "event_stream_unavailable"),
        (errors.BootstrapTokenInvalid, "bootstrap_token_invalid"),
        (errors.ProjectMismatch, "project_mismatch"),
        (errors.TokenConsumed, "token_consumed"),
        (errors.TokenExpired, "token_expired"),
        (errors.NonceCollision, "nonce_collision"),
        (errors.ResourceNotFound, "resource_not_found"),
        (errors.CorruptLedger, None),
        (errors.SigningUnavailable, None),
        (errors.InvalidReachabilityPolicy, None),
        (errors.ZeroNodeId, None),
        (errors.ZeroDomainId, None),
        (ComposerError, None),
    ],
)
def test_an_error_of_the_composer_becomes_its_refusal(
    error: type[ComposerError], code: str | None
) -> None:
    assert refusal_for(error("inside")).kind.code == code


def test_every_error_of_the_composer_has_been_thought_of() -> None:
    defined = {name for name, value in vars(errors).items()
               if isinstance(value, type) and issubclass(value, ComposerError)}  # fmt: skip
    assert defined == {
        "ComposerError", "ZeroNodeId", "ZeroDomainId", "CorruptLedger", "NodeNotFound",
        "DomainNotFound", "ClockSkew", "DatastoreBusy", "DatastoreUnavailable", "AuthzUnavailable",
        "SigningUnavailable", "InvalidReachabilityPolicy", "DomainSlugConflict", "RateLimited",
        "KeysUnavailable", "EventKeyInTransition", "LedgerBehind",
        "MeshCidrOverlap", "DomainNotEmpty", "IdempotencyKeyConflict", "PublicKeyInUse",
        "PoolExhausted", "PublicKeyRegistered", "CredentialEnded", "EventStreamUnavailable",
        "BootstrapTokenInvalid", "ProjectMismatch", "TokenConsumed", "TokenExpired",
        "NonceCollision", "ResourceNotFound", "NodeQuotaExceeded",
        "ReportNotFound", "EntryNotFound", "ReportQuotaExceeded", "EntryQuotaExceeded",
    }  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [errors.CorruptLedger("hunter2"), errors.DatastoreUnavailable("hunter2"), KeyError("hunter2")],
)
def test_the_inside_of_an_error_stays_inside(error: Exception) -> None:
    refused = refusal_for(error)
    assert ("hunter2" in refused.inside, "hunter2" in str(body(refused.kind))) == (True, False)


def test_an_unnamed_error_names_its_kind_inside() -> None:
    assert refusal_for(errors.CorruptLedger("x")).inside == "CorruptLedger: x"


def test_a_refusal_is_raised_with_both_sides() -> None:
    refused = Refused(INTERNAL, "the cause")
    assert (refused.kind, refused.inside, str(refused)) == (INTERNAL, "the cause", "the cause")
