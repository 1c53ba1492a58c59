"""The audit of a Domain over sockets: pulls, refusals, and who read it."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import uuid4

from server.dev.sample import AUDITOR, OPERATOR
from server.dev.stack import Stack
from tests.client import ask, bearer, pull_path
from tests.ledger_sql import audit_rows


def read(stack: Stack, **query: str) -> list[dict[str, object]]:
    """Every row that has what is asked for, page by page."""
    path = f"/v1/domains/{stack.sample.domain_id}/audit"
    headers = bearer(stack.token(AUDITOR))
    items: list[dict[str, object]] = []
    while True:
        reply = ask(stack.url, f"{path}?{urlencode(query)}", headers)
        assert reply.status == 200
        items += reply.json["items"]
        if "next_cursor" not in reply.json:
            return items
        query["cursor"] = reply.json["next_cursor"]


def test_an_auditor_reads_grants_and_refusals_of_the_domain_in_order(stack: Stack) -> None:
    mark = f"trail-{uuid4().hex}"
    node = f"node:{stack.node_id}"
    etag = ask(
        stack.url, pull_path(stack.node_id), stack.headers | {"X-Correlation-Id": mark}
    ).headers["etag"]
    audit_rows(stack.dsn, mark)
    refused = bearer(stack.token(OPERATOR)) | {"X-Correlation-Id": mark}
    assert ask(stack.url, pull_path(stack.node_id), refused).status == 403
    audit_rows(stack.dsn, mark, expected=2)
    found = read(stack, correlation_id=mark, limit="1")
    assert [(row["outcome"], row["subject"], row["object"]) for row in found] == [
        ("granted", node, node),
        ("insufficient_relation", OPERATOR, node),
    ]
    assert found[0]["digest"] in etag
    assert "digest" not in found[1]
    assert found[0]["seq"] < found[1]["seq"]  # type: ignore[operator]


def test_a_manager_of_the_platform_is_no_auditor_and_is_on_record_as_none(stack: Stack) -> None:
    mark = f"trail-{uuid4().hex}"
    path = f"/v1/domains/{stack.sample.domain_id}/audit"
    headers = bearer(stack.token(OPERATOR)) | {"X-Correlation-Id": mark}
    reply = ask(stack.url, path, headers)
    assert (reply.status, reply.code) == (403, "insufficient_relation")
    audit_rows(stack.dsn, mark)
    assert [(row["relation"], row["subject"]) for row in read(stack, correlation_id=mark)] == [
        ("domain_audit.read", OPERATOR)
    ]


def test_who_read_the_audit_is_in_the_audit(stack: Stack) -> None:
    mark = f"trail-{uuid4().hex}"
    path = f"/v1/domains/{stack.sample.domain_id}/audit?limit=1"
    ask(stack.url, path, bearer(stack.token(AUDITOR)) | {"X-Correlation-Id": mark})
    audit_rows(stack.dsn, mark)
    found = read(stack, correlation_id=mark, relation="domain_audit.read", outcome="granted")
    assert [row["subject"] for row in found] == [AUDITOR]
