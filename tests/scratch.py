"""Domains and Nodes made over HTTP for one test, beside the sample, which others look at too."""

from __future__ import annotations

import json
from typing import Any

from composer.entries import KINDS
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests.bodies import JSON, body_now
from tests.client import Reply, ask, bearer
from tests.ledger_sql import run_sql

# What a Node has an entry of each kind under.
HELD_KEY = "held"


def post(stack: Stack, path: str, operation_id: str) -> Reply:
    """As the platform's manager."""
    headers = {**JSON, **bearer(stack.token(OPERATOR))}
    return ask(stack.url, path, headers, method="POST", body=body_now(operation_id))


def domain(stack: Stack) -> str:
    """The id of a new Domain on a range of its own."""
    reply = post(stack, "/v1/domains", "CreateDomain")
    assert reply.status == 201, reply.body
    return str(json.loads(reply.body)["id"])


def registered(stack: Stack, domain_id: str = "") -> dict[str, Any]:
    """The answer to the registration of a new Node in a Domain, or in a new one."""
    reply = post(stack, f"/v1/domains/{domain_id or domain(stack)}/nodes", "RegisterNode")
    assert reply.status == 201, reply.body
    return dict(json.loads(reply.body))


def node(stack: Stack) -> str:
    """The id of a new Node in a Domain of its own."""
    return str(registered(stack)["node_id"])


def bootstrap_token(stack: Stack, domain_id: str = "") -> str:
    """A new token of a Domain, or of a new one."""
    path = f"/v1/domains/{domain_id or domain(stack)}/bootstrap-tokens"
    reply = post(stack, path, "IssueBootstrapToken")
    assert reply.status == 201, reply.body
    return str(json.loads(reply.body)["token"])


def entries(stack: Stack) -> dict[str, str]:
    """A new Node with an entry of each kind, and the key they are under."""
    made = node(stack)
    hold(stack, made, HELD_KEY)
    return {"id": made, "key": HELD_KEY}


def hold(stack: Stack, node_id: str, *keys: str) -> None:
    """Give a Node an entry of each kind under each key."""
    run_sql(
        stack.dsn,
        "INSERT INTO plexsphere.node_state_entries (node_id, kind, key, value)"
        " SELECT %s, kind, key, 'held' FROM unnest(%s) AS kind, unnest(%s) AS key"
        " ON CONFLICT DO NOTHING",
        (node_id, list(KINDS), list(keys)),
    )
