"""Heartbeats over a socket, and what the ledger kept of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from server.dev.stack import Stack
from tests.bodies import JSON, body_now
from tests.client import Reply, ask
from tests.ledger_sql import run_sql

OPERATION = "PostNodeHeartbeat"


def heartbeat_path(node_id: object) -> str:
    return f"/v1/nodes/{node_id}/heartbeat"


def beat(stack: Stack, body: bytes | None = None, node_id: object = None, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(
        stack.url,
        heartbeat_path(node_id or stack.node_id),
        stack.headers | JSON | named,
        method="POST",
        body=body_now(OPERATION) if body is None else body,
    )


def changed(**members: Any) -> bytes:
    made = body_now(OPERATION, **members)
    assert made is not None
    return made


def last_heartbeat(stack: Stack, node_id: object = None) -> datetime | None:
    found: datetime | None = run_sql(
        stack.dsn,
        "SELECT last_heartbeat_at FROM plexsphere.nodes WHERE id = %s",
        (str(node_id or stack.node_id),),
    )[0][0]
    return found
