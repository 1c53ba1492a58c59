"""Domains and Nodes made over HTTP for one test, beside the sample, which others look at too."""

from __future__ import annotations

import json

from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests.bodies import JSON, body_now
from tests.client import Reply, ask, bearer


def post(stack: Stack, path: str, operation_id: str) -> Reply:
    """As the platform's manager."""
    headers = {**JSON, **bearer(stack.token(OPERATOR))}
    return ask(stack.url, path, headers, method="POST", body=body_now(operation_id))


def domain(stack: Stack) -> str:
    """The id of a new Domain on a range of its own."""
    reply = post(stack, "/v1/domains", "CreateDomain")
    assert reply.status == 201, reply.body
    return str(json.loads(reply.body)["id"])


def node(stack: Stack) -> str:
    """The id of a new Node in a Domain of its own."""
    reply = post(stack, f"/v1/domains/{domain(stack)}/nodes", "RegisterNode")
    assert reply.status == 201, reply.body
    return str(json.loads(reply.body)["node_id"])
