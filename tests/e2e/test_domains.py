"""The read of a Domain over sockets."""

from __future__ import annotations

from uuid import uuid4

from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests.client import ask, bearer
from tests.ledger_sql import audit_rows


def test_a_manager_of_the_platform_reads_a_domain_and_leaves_a_row(stack: Stack) -> None:
    domain_id, mark = stack.sample.domain_id, f"domain-{uuid4().hex}"
    headers = bearer(stack.token(OPERATOR)) | {"X-Correlation-Id": mark}
    reply = ask(stack.url, f"/v1/domains/{domain_id}", headers)
    assert reply.status == 200
    assert reply.json["id"] == str(domain_id)
    assert reply.json["mesh_cidr"] == "10.42.0.0/16"
    assert audit_rows(stack.dsn, mark) == [
        ("domain.read", "granted", OPERATOR, f"domain:{domain_id}", None)
    ]


def test_an_agent_of_the_domain_is_no_viewer_of_it(stack: Stack) -> None:
    reply = ask(stack.url, f"/v1/domains/{stack.sample.domain_id}", stack.headers)
    assert (reply.status, reply.code) == (403, "insufficient_relation")
