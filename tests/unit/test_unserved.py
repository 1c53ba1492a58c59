"""Requests of agents that this release does not serve: a 501 with its code, whatever they hold."""

from __future__ import annotations

import re

import pytest

from handlers import OPERATIONS
from server.authoring.contract_check import contract_complaints
from server.contract.document import Contract
from server.contract.unserved import UnservedRequest
from tests.factories import node_id
from tests.ports.in_process import FakeService

CONTRACT = Contract.packaged()
NODE = f"/v1/nodes/{node_id(1)}"
TEXT = CONTRACT.raw.decode()
ENTRY = "  - { method: post, path: /v1/keys/rotate, code: keys_rotate_not_provisioned }\n"


def path_of(request: UnservedRequest, parameter: str = "a.b") -> str:
    path = request.path.replace("{id}", str(node_id(1)))
    return re.sub(r"\{\w+\}", parameter, path)


@pytest.fixture(scope="module")
def service() -> FakeService:
    return FakeService()


@pytest.mark.parametrize(
    "request_", CONTRACT.unserved, ids=lambda request: f"{request.method} {request.path}"
)
@pytest.mark.parametrize("who", [None, 1])
def test_a_request_of_the_table_is_a_501_with_its_code(
    service: FakeService, request_: UnservedRequest, who: int | None
) -> None:
    service.seen.clear()
    answer = service.ask(path_of(request_), who, method=request_.method)
    assert (answer.status_code, answer.json["code"]) == (501, request_.code)
    assert (service.seen, service.audit.rows) == ([], [])


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/plain"}, b"x"),
        ({"Content-Type": "application/json", "Content-Encoding": "br"}, b"x"),
        ({"Content-Type": "application/json"}, b"x" * 10_000_000),
        ({"Accept": "text/html"}, b""),
    ],
    ids=["type", "coding", "size", "accept"],
)
def test_no_other_refusal_comes_before_the_501(
    service: FakeService, headers: dict[str, str], body: bytes
) -> None:
    answer = service.ask(f"{NODE}/logs", method="POST", headers=headers, data=body)
    assert answer.json["code"] == "observability_ingest_not_provisioned"


def test_without_a_ledger_it_is_the_same() -> None:
    answer = FakeService(provisioned=False).ask(f"{NODE}/endpoint", method="PUT", data=b"{}")
    assert (answer.status_code, answer.json["code"]) == (501, "endpoint_not_provisioned")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/keys/rotate"),
        ("POST", "/v1/keys/rotate/"),
        ("POST", "/v1/nodes//logs"),
        ("POST", "//v1/keys/rotate"),
        ("POST", f"{NODE}/drift"),
        ("GET", f"{NODE}/secrets/a/b"),
    ],
)
def test_what_the_table_does_not_list_is_a_404(
    service: FakeService, method: str, path: str
) -> None:
    assert service.ask(path, method=method).status_code == 404


def test_a_head_of_a_get_is_a_501_without_a_body(service: FakeService) -> None:
    answer = service.ask(f"{NODE}/secrets/tls", method="HEAD")
    assert (answer.status_code, answer.data) == (501, b"")


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("{ method: post, path: /v1/x, code: odd }", "no refusal with status 501 has the code odd"),
        ("{ method: fetch, path: /v1/x, code: sessions_not_provisioned }", "FETCH is no method"),
        (
            "{ method: get, path: '/v1/nodes/{node}/state', code: sessions_not_provisioned }",
            "GET /v1/nodes/{node}/state is served: remove it here",
        ),
        ("{ method: post, path: /v1/x }", "an entry has the texts method, path, code"),
    ],
    ids=["code", "method", "served", "shape"],
)
def test_an_entry_that_cannot_be_right_is_told_before_a_start(entry: str, complaint: str) -> None:
    assert TEXT.count(ENTRY) == 1
    (fault,) = contract_complaints(TEXT.replace(ENTRY, f"  - {entry}\n").encode(), OPERATIONS)
    assert complaint in fault and fault.startswith("api/plexsphere-v1.yaml:")
