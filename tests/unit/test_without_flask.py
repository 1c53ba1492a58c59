"""The way without Flask and the way through Flask give the same answers, header by header."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import pytest

from server.contract.document import Contract
from server.http.reply import Reply
from server.http.without_flask import has_query
from tests.bodies import example_body
from tests.factories import DOMAIN, node_id
from tests.ports.in_process import ENTRY_KEY, FakeService

DECLARED = Contract.packaged().operations
WITHOUT_QUERY = {name for name, declared in DECLARED.items() if not has_query(declared)}
FIXED = {"X-Correlation-Id": "c"}
CHANGING = {"GetMetrics"}  # its answer counts itself
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "gzip": {"headers": {"Accept-Encoding": "gzip"}},
    "not acceptable": {"headers": {"Accept": "image/png"}},
    "a large body": {"data": b"x" * 70_000},
    "another media type": {"data": b"{}", "content_type": "text/plain"},
    "broken": {"data": b"{", "content_type": "application/json"},
}


def path_of(name: str) -> str:
    values = {"id": str(node_id(1)), "domain_id": str(DOMAIN), "key": ENTRY_KEY}
    return DECLARED[name].path.format(**values)


@cache
def services() -> tuple[FakeService, FakeService]:
    """They differ in nothing but the way, and both get all requests in the same order."""
    short, long = FakeService(), FakeService()
    long.app.without_flask = lambda environ: None
    return short, long


def short_answers() -> list[str]:
    """Records the path of each request that the first service answers without Flask, from now."""
    app = services()[0].app
    original, answered = app.without_flask, list[str]()

    def recorded(environ: dict[str, Any]) -> Reply | None:
        reply = original(environ)
        if reply is not None:
            answered.append(environ["PATH_INFO"])
        return reply

    app.without_flask = recorded
    return answered


def both_ways(path: str, who: int | str | None, method: str, **form: Any) -> list[Any]:
    """The answer of each service."""
    found = []
    headers = FIXED | form.pop("headers", {})
    for service in services():
        answer = service.ask(path, who, method, headers=headers, **form)
        found.append((answer.status_code, list(answer.headers), answer.data))
    return found


def assert_same(found: list[Any]) -> None:
    short, long = found
    assert (short[0], sorted(short[1]), short[2]) == (long[0], sorted(long[1]), long[2])


@pytest.mark.parametrize("form", FORMS)
def test_every_operation_has_the_same_answers(form: str) -> None:
    for name, who in product(sorted(WITHOUT_QUERY - CHANGING), (2, None, 1)):
        body = example_body(name)
        sent = {"json": body} if body is not None and "data" not in FORMS[form] else {}
        found = both_ways(path_of(name), who, DECLARED[name].method, **FORMS[form], **sent)
        if name == "RegisterNode" and found[0][0] == 201:  # a new id each time
            assert found[0][0] == found[1][0]
            continue
        assert_same(found)


def test_a_plain_request_of_each_operation_without_a_query_does_not_enter_flask() -> None:
    """Else the other tests compare Flask with itself."""
    answered = short_answers()
    paths = {path_of(name) for name in WITHOUT_QUERY if DECLARED[name].method == "GET"}
    for path in sorted(paths):
        services()[0].ask(path, 1)
    assert len(paths) > 10
    assert set(answered) == paths


def test_a_pull_that_has_it_all_is_the_same_304() -> None:
    tag = services()[0].pull().headers["ETag"]
    found = both_ways(path_of("GetNodeState"), 1, "GET", headers={"If-None-Match": tag})
    assert found[0][0] == 304
    assert_same(found)


@pytest.mark.parametrize(
    ("path", "method", "environ"),
    [
        ("//livez", "GET", {}),
        ("/livez/", "GET", {}),
        ("/v1/nodes//state", "GET", {}),
        ("/v1/nodes/x/state", "GET", {}),
        ("/v1/nodes/ä/state", "GET", {}),
        ("/v1/nodes/a%2Fb/state", "GET", {}),
        (path_of("GetNodeState") + "\n", "GET", {}),
        (path_of("GetNodeState"), "HEAD", {}),
        (path_of("GetNodeState"), "POST", {}),
        (path_of("GetNodeState"), "OPTIONS", {}),
        (path_of("GetNodeState"), "GET", {"QUERY_STRING": "x=1"}),
        (path_of("GetNodeState"), "GET", {"HTTP_HOST": "a b"}),
        (path_of("GetNodeState"), "GET", {"SCRIPT_NAME": "/v1"}),
        ("/nowhere", "GET", {}),
    ],
)
def test_what_is_unusual_has_the_same_answer(
    path: str, method: str, environ: dict[str, str]
) -> None:
    assert_same(both_ways(path, 1, method, environ=environ))
