"""Routes, and the order of decisions (docs/design.md, Order of refusals)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.contract.document import Contract
from tests.factories import node_id
from tests.ports.in_process import FakeService

CONTRACT = Contract.packaged()
STATE = f"/v1/nodes/{node_id(1)}/state"
EVENTS = f"/v1/nodes/{node_id(1)}/events"
PATHS = list(CONTRACT.document["paths"])
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO"]
LARGE = {"data": b"x" * 65_537}
NO_JSON = {"Accept": "text/html"}
CREDENTIALS = [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer x", "bearer 1", "1", "\xff"]


@pytest.fixture(scope="module")
def service() -> FakeService:
    return FakeService()


@pytest.fixture(scope="module")
def unprovisioned() -> FakeService:
    return FakeService(provisioned=False)


def code(answer: Any) -> str | None:
    return json.loads(answer.data).get("code")


@pytest.mark.parametrize(
    "path",
    ["/", "/nowhere", "/static", "/static/x", "/v1", "/v1/", "/v1/node", "/v1/nodes//state",
     "/v1//health", "/livez/", "/LIVEZ", "/v1/nodes/a/b/state", "/v1/nodes/a/state/", "/ui",
     "/swagger.json", "/openapi.json", "/openapi.yaml", "/v1/ui/", "/favicon.ico", "/.", "/é",
     "/\n", "/v1/health//", STATE + "//", "/v1/nodes/\x00/state\x00", "/" + "x" * 10_000],
    ids=lambda path: ascii(path)[:40],
)  # fmt: skip
def test_an_unknown_path_is_a_404_problem_whoever_asks(service: FakeService, path: str) -> None:
    answer = service.ask(path)
    problem = json.loads(answer.data)
    assert (answer.status_code, answer.mimetype, problem["type"], "code" in problem) == (
        404,
        "application/problem+json",
        "https://plexsphere.com/errors/not-found",
        False,
    )


@pytest.mark.parametrize("path", PATHS)
def test_an_undeclared_method_is_a_405_that_names_the_declared_ones(
    service: FakeService, path: str
) -> None:
    declared = CONTRACT.methods_of(path)
    undeclared = [method for method in METHODS if method not in declared]
    assert undeclared
    for method in undeclared:
        answer = service.ask(path.replace("{id}", str(node_id(1))), method=method)
        assert (answer.status_code, answer.headers["Allow"]) == (405, ", ".join(declared))


def test_a_405_comes_before_the_501(unprovisioned: FakeService) -> None:
    assert unprovisioned.ask(STATE, method="POST", data=b"{}").status_code == 405


def test_a_404_comes_before_the_501(unprovisioned: FakeService) -> None:
    assert unprovisioned.ask("/v1/node").status_code == 404


FORMS: dict[str, dict[str, Any]] = {
    "no credential": {},
    "agent": {"who": 1},
    "stranger": {"who": 2},
    **{f"credential {text!a}": {"headers": {"Authorization": text}} for text in CREDENTIALS[1:]},
    "malformed id": {"path": "/v1/nodes/x/state"},
    "upper-case id": {"path": f"/v1/nodes/{str(node_id(1)).upper()}/state"},
    "nil id": {"path": "/v1/nodes/00000000-0000-0000-0000-000000000000/state"},
    "not acceptable": {"headers": NO_JSON, "who": 1},
    "large body": {**LARGE, "who": 1},
    "chunked body": {"environ": {"HTTP_TRANSFER_ENCODING": "chunked"}, "who": 1},
    "query": {"query_string": "a=1&id=2", "who": 1},
    "HEAD": {"method": "HEAD", "who": 1},
    "events": {"path": EVENTS},
    "events of an agent": {"path": EVENTS, "who": 1},
    "events of a malformed id": {"path": "/v1/nodes/x/events"},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_an_unprovisioned_pull_is_a_501_for_every_form_of_request(
    unprovisioned: FakeService, form: str
) -> None:
    answer = unprovisioned.ask(**{"path": STATE, **FORMS[form]})
    assert answer.status_code == 501
    assert form == "HEAD" or code(answer) == "signed_event_bus_not_provisioned"


def test_an_unprovisioned_service_looks_at_no_credential_for_a_pull() -> None:
    service = FakeService(provisioned=False)
    service.pull(who=1)
    assert service.seen == []


@pytest.mark.parametrize("who", [None, 1])
def test_events_are_a_501_without_an_event_bus(who: int | None) -> None:
    assert FakeService(events=None).ask(EVENTS, who).status_code == 501


@pytest.mark.parametrize("text", CREDENTIALS, ids=ascii)
def test_who_is_nobody_is_refused_with_the_same_bytes(text: str | None) -> None:
    service = FakeService()
    values = {"X-Correlation-Id": "same"} | ({} if text is None else {"Authorization": text})
    answer = service.pull(who=None, headers=values)
    plain = service.pull(who=None, headers={"X-Correlation-Id": "same"})
    assert (answer.status_code, answer.data, answer.headers["WWW-Authenticate"]) == (
        401,
        plain.data,
        "Bearer",
    )


@pytest.mark.parametrize(
    "later",
    [{"path": "/v1/nodes/x/state"}, {"path": STATE, "headers": NO_JSON}, {"path": STATE, **LARGE}],
    ids=["400", "406", "413"],
)
def test_a_401_comes_before_what_is_wrong_with_the_request(
    service: FakeService, later: dict[str, Any]
) -> None:
    assert service.ask(**later).status_code == 401


@pytest.mark.parametrize(
    ("wrong", "status", "name"),
    [
        ({"path": "/v1/nodes/x/state"}, 400, "invalid_node_id"),
        ({"path": STATE, "headers": NO_JSON}, 406, "not_acceptable"),
        ({"path": STATE, **LARGE}, 413, "payload_too_large"),
    ],
    ids=["400", "406", "413"],
)
def test_what_is_wrong_with_a_request_is_said_to_a_stranger_before_any_port_is_asked(
    wrong: dict[str, Any], status: int, name: str
) -> None:
    service = FakeService()
    answer = service.ask(who=7, **wrong)
    assert (answer.status_code, code(answer), service.asked()) == (status, name, 0)


IDS = [
    "x", "0", "-", "a" * 36, "0" * 10_000, str(node_id(1)).upper(), f"{{{node_id(1)}}}",
    node_id(1).urn, node_id(1).hex, f"{node_id(1)}\n", f"{node_id(1)}\0", f" {node_id(1)}",
    "00000000-0000-0000-0000-000000000000", str(node_id(1)).replace("0", "\u0660"), "..", "é",
    f"{node_id(1)};x", "%00",
]  # fmt: skip


@pytest.mark.parametrize("text", IDS, ids=lambda text: ascii(text)[:40])
def test_an_id_that_is_no_canonical_uuid_is_a_400(service: FakeService, text: str) -> None:
    answer = service.ask(f"/v1/nodes/{text}/state", 1)
    assert (answer.status_code, code(answer)) == (400, "invalid_node_id")


ACCEPTED = [None, "", "*/*", "application/*", "application/json", "text/html, */*;q=0.1",
            "application/json;q=0.001", "application/json; charset=utf-8", "APPLICATION/JSON",
            "text/html, application/json;charset=utf-8;q=0.5"]  # fmt: skip
REFUSED = ["text/html", "application/problem+json", "application/xml, text/*",
           "application/json;q=0", "*/*;q=0", "application/json;q=0, */*",
           "application/*;q=0, */*", "application/jsonp"]  # fmt: skip


@pytest.mark.parametrize("accept", ACCEPTED, ids=str)
def test_who_takes_json_is_given_it(service: FakeService, accept: str | None) -> None:
    headers = {} if accept is None else {"Accept": accept}
    assert service.ask(STATE, 1, headers=headers).status_code == 200


@pytest.mark.parametrize("accept", REFUSED)
def test_who_rules_json_out_is_given_a_406_problem(service: FakeService, accept: str) -> None:
    answer = service.ask(STATE, 1, headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (406, "application/problem+json")


@pytest.mark.parametrize("path", ["/metrics", "/v1/openapi.yaml"])
def test_an_operation_with_one_form_does_not_negotiate(service: FakeService, path: str) -> None:
    assert service.ask(path, headers={"Accept": "image/png"}).status_code == 200


@pytest.mark.parametrize("size", [0, 1, 65_536])
def test_a_body_nobody_asked_for_is_read_past(service: FakeService, size: int) -> None:
    assert service.ask(STATE, 1, data=b"{" * size).status_code == 200


class Unreadable:
    def read(self, *args: object) -> bytes:
        raise AssertionError("a body was read")

    readline = readlines = __iter__ = read


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "multipart/form-data"])
@pytest.mark.parametrize(("who", "status"), [(None, 401), (2, 403), (1, 200)])
def test_a_body_is_never_read(
    service: FakeService, who: int | None, status: int, media_type: str
) -> None:
    environ = {"wsgi.input": Unreadable(), "CONTENT_LENGTH": "9", "CONTENT_TYPE": media_type}
    assert service.ask(STATE, who, environ=environ).status_code == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("path", ["//livez", "///livez", "//v1/version", "//" + STATE, "livez"])
def test_what_does_not_begin_with_one_slash_is_no_path_of_the_file(
    service: FakeService, path: str, method: str
) -> None:
    """Werkzeug would route it, and answer 200, 401 or 405."""
    same = {"X-Correlation-Id": "same"}
    answer = service.ask(path, method=method, headers=same)
    unknown = service.ask("/nowhere", method=method, headers=same)
    assert (answer.status_code, "Allow" in answer.headers) == (404, False)
    assert answer.data.replace(b"/" + path.lstrip("/").encode(), b"/nowhere") == unknown.data


def test_such_a_path_is_counted_as_no_operation() -> None:
    service = FakeService()
    service.ask("//livez")
    assert b'requests_total{operation="none",status="404"} 1.0' in service.ask("/metrics").data
