"""Problems and other answers that are no snapshot, held against the contract before they leave."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.refusals import CATALOGUE
from handlers.wire import Block, SnapshotBody, json_bytes
from server.contract.document import Contract
from server.http.problems import FRAMEWORK, problem_answer
from server.http.response_validation import Breach, Outgoing, ResponseValidator
from tests.factories import CORRELATION, node_id

CONTRACT = Contract.packaged()
PROBLEM = "application/problem+json"
PATH = f"/v1/nodes/{node_id(1)}/state"
BY_CODE = {kind.code: kind for kind in CATALOGUE}
NOT_FOUND = problem_answer(BY_CODE["node_not_found"], PATH, CORRELATION)
HEADERS = {"x-correlation-id": CORRELATION, "allow": "GET, HEAD"}
REQUIRED = ("type", "title", "status", "detail", "instance", "correlation_id")


def breach(outgoing: Outgoing) -> Breach | None:
    return ResponseValidator(CONTRACT).breach(outgoing)


def refused(edits: dict[str, Any] | None = None, **changes: Any) -> Outgoing:
    """A sound 404 of the pull, its Problem edited; ``...`` takes a key out."""
    body = {**NOT_FOUND.body, **(edits or {})}  # type: ignore[dict-item]
    values: dict[str, Any] = {
        "operation_id": "GetNodeState",
        "status": 404,
        "media_type": PROBLEM,
        "headers": {"x-correlation-id": CORRELATION},
        "body": json_bytes({key: value for key, value in body.items() if value is not ...}),
    }
    return Outgoing(**(values | changes))


def declaring(kind: Any) -> list[str]:
    """The operations whose contract has this refusal."""
    return [
        name
        for name, operation in CONTRACT.operations.items()
        if (declared := operation.responses.get(kind.status)) is not None
        and (kind.code in declared.problem_codes or not (kind.code or declared.problem_codes))
    ]


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.code or "internal")
def test_every_refusal_of_the_catalogue_may_leave_the_operations_that_declare_it(
    kind: Any,
) -> None:
    answer = problem_answer(kind, PATH, CORRELATION)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    operations = declaring(kind)
    assert operations or kind.code in {request.code for request in CONTRACT.unserved}
    for operation_id in operations:
        outgoing = Outgoing(
            operation_id=operation_id,
            status=answer.status,
            media_type=answer.media_type,
            headers=headers | {"x-correlation-id": CORRELATION},
            body=json_bytes(answer.body),
        )
        assert breach(outgoing) is None


@pytest.mark.parametrize(
    "edits",
    [
        *({key: ...} for key in REQUIRED),
        {"type": "about:blank"},
        {"type": "https://plexsphere.com/errors/Not_Found"},
        {"title": ""},
        {"status": "404"},
        {"status": 200},
        {"detail": "x" * 257},
        {"detail": None},
        {"instance": ""},
        {"instance": "v1/nodes"},
        {"instance": "/v1/nodes/é"},
        {"instance": "/" + "x" * 256},
        {"code": "no_such_code"},
        {"code": None},
        {"correlation_id": "a b"},
        {"stack": "Traceback"},
    ],
    ids=str,
)  # fmt: skip
def test_a_problem_with_one_thing_wrong_may_not_leave(edits: dict[str, Any]) -> None:
    found = breach(refused(edits))
    assert found is not None and found.part == "body"


def test_a_problem_of_another_status_than_its_answer_may_not_leave() -> None:
    assert breach(refused({"status": 403})) == Breach("body", "/status", "unlike the HTTP status")


@pytest.mark.parametrize("code", ["unauthorized", "insufficient_relation", ...], ids=str)
def test_a_code_that_is_not_declared_for_its_status_may_not_leave(code: object) -> None:
    found = breach(refused({"code": code}))
    assert found == Breach("body", "/code", "not declared for this status")


def test_a_500_with_a_code_may_not_leave() -> None:
    found = breach(refused({"status": 500, "code": "node_not_found"}, status=500))
    assert found == Breach("body", "/code", "not declared for this status")


def with_header(code: str, name: str, value: str | None) -> Breach | None:
    """A sound refusal but for one header; None leaves it out."""
    answer = problem_answer(BY_CODE[code], PATH, CORRELATION)
    headers = {"x-correlation-id": CORRELATION} | ({} if value is None else {name: value})
    return breach(refused(status=answer.status, headers=headers, body=json_bytes(answer.body)))


NO_SECONDS = ["", "soon", "0", "-1", "5.0", "3601", "5s", "\u0665", None]


@pytest.mark.parametrize("value", NO_SECONDS, ids=ascii)
def test_a_503_without_a_sound_retry_after_may_not_leave(value: str | None) -> None:
    found = with_header("authz_unavailable", "retry-after", value)
    assert found is not None and "Retry-After" in found.part + found.pointer


@pytest.mark.parametrize("value", [None, "Basic", 'Bearer error="invalid_token"'], ids=str)
def test_a_401_that_asks_for_anything_but_bearer_may_not_leave(value: str | None) -> None:
    found = with_header("unauthorized", "www-authenticate", value)
    assert found is not None and "WWW-Authenticate" in found.part + found.pointer


def test_a_problem_under_the_media_type_of_another_answer_may_not_leave() -> None:
    found = breach(refused(media_type="application/json"))
    assert found == Breach("media type", "", "not declared for this status")


@pytest.mark.parametrize("kind", FRAMEWORK.values(), ids=lambda kind: str(kind.status))
def test_a_problem_of_no_operation_may_leave(kind: Any) -> None:
    body = json_bytes(problem_answer(kind, "/nowhere", CORRELATION).body)
    arguments = {"status": kind.status, "headers": HEADERS, "body": body}
    assert breach(refused(operation_id=None, **arguments)) is None


@pytest.mark.parametrize(
    ("status", "name", "refused_without"),
    [
        (404, "x-correlation-id", True),
        (405, "x-correlation-id", True),
        (405, "allow", True),
        (404, "allow", False),
    ],
)
@pytest.mark.parametrize("values", [None, ""])
def test_what_belongs_to_no_operation_needs_its_headers_too(
    status: int, name: str, refused_without: bool, values: str | None
) -> None:
    body = json_bytes(problem_answer(FRAMEWORK[status], "/nowhere", CORRELATION).body)
    headers = {**HEADERS, name: values}
    left = {key: value for key, value in headers.items() if value is not None}
    found = breach(refused(operation_id=None, status=status, headers=left, body=body))
    assert (found is not None and found.part == "header") is refused_without


@pytest.mark.parametrize(
    "changes",
    [
        {"media_type": "text/html", "body": b"<h1>Not Found</h1>"},
        {"media_type": None, "body": b""},
        {"body": b"{}"},
        {"body": b"not json"},
        {"status": 200},
        {"status": 405},
    ],
    ids=str,
)
def test_what_belongs_to_no_operation_and_is_no_problem_of_its_status_may_not_leave(
    changes: dict[str, Any],
) -> None:
    assert breach(refused(operation_id=None, **changes)) is not None


AMBIGUOUS = [
    b'{"status":"down","status":"ok","checks":[]}',
    b'{"status":"ok","checks":[{"name":"a","name":"b","status":"ok","detail":"x"}]}',
    b'{"status":"ok","checks":[{"name":"\\ud800","status":"ok","detail":"x"}]}',
    b'{"status":"ok","checks":NaN}',
    b'{"status":"ok","checks":[-Infinity]}',
    b'{"status":"ok","checks":[1e999]}',
    b'{"status":"ok","checks":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
]


@pytest.mark.parametrize("body", AMBIGUOUS, ids=lambda body: str(body)[:60])
def test_json_that_two_readers_would_read_differently_may_not_leave(body: bytes) -> None:
    found = breach(other("GetLivez", "application/json", body))
    assert found == Breach("body", "", "not JSON")


def other(operation_id: str, media_type: str, body: bytes) -> Outgoing:
    headers = {"x-correlation-id": CORRELATION, "vary": "Accept"}
    return Outgoing(operation_id, 200, media_type, headers, body)


@pytest.mark.parametrize(
    ("operation_id", "media_type", "body"),
    [
        ("GetLivez", "application/json", b'{"status":"ok","checks":[]}'),
        ("GetMetrics", "text/plain", b"# HELP x\n"),
        ("GetOpenapi", "application/yaml", CONTRACT.raw),
    ],
)
def test_a_sound_answer_of_another_operation_may_leave(
    operation_id: str, media_type: str, body: bytes
) -> None:
    assert breach(other(operation_id, media_type, body)) is None


@pytest.mark.parametrize(
    ("operation_id", "media_type", "body"),
    [
        ("GetLivez", "application/json", b'{"status":"fine","checks":[]}'),
        ("GetLivez", "application/json", b'{"status":"ok","checks":null}'),
        ("GetLivez", "application/json", b'{"status":"ok","checks":[],"pid":1}'),
        ("GetLivez", "text/plain", b"ok"),
        ("GetMetrics", "text/plain", b"\xff"),
        ("GetMetrics", "application/json", b"{}"),
    ],
)
def test_an_unsound_answer_of_another_operation_may_not_leave(
    operation_id: str, media_type: str, body: bytes
) -> None:
    assert breach(other(operation_id, media_type, body)) is not None


OUTGOING = st.builds(
    Outgoing,
    operation_id=st.sampled_from([None, "", "GetNodeState", "GetNothing", "GetMetrics"]),
    status=st.sampled_from([200, 304, 401, 404, 500, 503]),
    media_type=st.sampled_from([None, "", "application/json", PROBLEM, "text/plain"]),
    headers=st.dictionaries(
        st.sampled_from(["etag", "x-correlation-id", "retry-after"]), st.text(max_size=3)
    ),
    body=st.one_of(st.binary(max_size=20), st.just(json_bytes(NOT_FOUND.body))),
    snapshot=st.one_of(
        st.none(),
        st.builds(
            SnapshotBody,
            st.lists(
                st.builds(
                    Block,
                    st.sampled_from(["peers", "policy", "x"]),
                    st.binary(max_size=8),
                    st.one_of(st.none(), st.tuples(st.integers(-2, 9), st.integers(-2, 9))),
                ),
                max_size=3,
            ).map(tuple),
            st.text(max_size=2),
        ),
    ),
)


@given(OUTGOING)
@settings(deadline=None, database=None, max_examples=150)
def test_nothing_raises_whatever_is_about_to_leave(outgoing: Outgoing) -> None:
    found = breach(outgoing)
    assert found is None or isinstance(found, Breach)
