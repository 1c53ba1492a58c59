"""The writes that a worker dies in: what is sent, and what the ledger must hold then."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from server.dev.process import descendants
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from server.http.request_context import CORRELATION_HEADER
from tests import scratch
from tests.bodies import JSON, body_now
from tests.client import Reply, ask, bearer, pull_path
from tests.e2e.crash_steps import Step, Traps
from tests.ledger_sql import run_sql
from tests.role_commands import command, relay_once

BUILD = "crashing"
# How often a look is taken again: the session of a dead worker may hold its rows for a moment.
LOOKS = 200


@dataclass(frozen=True)
class Service:
    """The test build at ``url``, on the parts of ``stack``."""

    stack: Stack
    url: str
    traps: Traps

    def rows(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return run_sql(self.stack.dsn, sql, arguments)

    def pull(self, node_id: str, token: str) -> Reply:
        return ask(self.url, pull_path(node_id), bearer(token))

    def worker(self) -> int:
        """Of the test build, which has one."""
        (pid,) = descendants(int((self.stack.places.gunicorn / f"{BUILD}.pid").read_text()))
        return pid


@dataclass(frozen=True)
class Sent:
    """One request, as often as it is sent. ``expected`` is the status of the first that is heard,
    ``again`` are those of one that finds the write done."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    expected: int
    again: tuple[int, ...]

    def to(self, service: Service) -> Reply | None:
        """None where the connection ended before the answer did."""
        with suppress(OSError, http.client.HTTPException):
            return ask(service.url, self.path, dict(self.headers), self.method, self.body)
        return None


@dataclass(frozen=True)
class Write:
    """One write, on a Domain of its own, and how its traces are told.

    ``done`` asks the ledger whether it holds the write; ``events`` are the types of its object's
    outbox rows once it does. ``node`` is a registration's answer, empty where that is what is sent;
    so is ``domain_id``.
    """

    sent: Sent
    done: Callable[[], bool]
    events: list[str]
    domain_id: str = ""
    node: Mapping[str, Any] = field(default_factory=dict)


def registered(service: Service, domain_id: str) -> dict[str, Any]:
    """A Node that is there before anything dies."""
    reply = registration(service, domain_id).sent.to(service)
    assert reply is not None and reply.status == 201
    return dict(reply.json)


def registration(service: Service, domain_id: str = "") -> Write:
    home = domain_id or scratch.domain(service.stack)
    body = body_now("RegisterNode")
    key = json.loads(body or b"{}")["public_key"]
    asked = "SELECT count(*) FROM plexsphere.nodes WHERE public_key = decode(%s, 'base64')"
    path = f"/v1/domains/{home}/nodes"
    return Write(
        Sent("POST", path, _operator(service), body, 201, (200,)),
        lambda: _one(service, asked, key),
        ["peer_added"],
        home,
    )


def creation(service: Service) -> Write:
    body = body_now("CreateDomain")
    slug = json.loads(body or b"{}")["slug"]
    asked = "SELECT count(*) FROM plexsphere.domains WHERE slug = %s"
    sent = Sent("POST", "/v1/domains", _operator(service), body, 201, (200,))
    return Write(sent, lambda: _one(service, asked, slug), ["domain_created"])


def deletion(service: Service) -> Write:
    """Of the second Node of three."""
    home = scratch.domain(service.stack)
    _, node, _ = (registered(service, home) for _ in range(3))
    asked = "SELECT count(*) FROM plexsphere.released_addresses WHERE domain_id = %s"
    # What is gone answers 404, and 403 as soon as SpiceDB knows.
    sent = Sent("DELETE", f"/v1/nodes/{node['node_id']}", _operator(service), None, 204, (403, 404))
    events = ["peer_added", "peer_removed"]
    return Write(sent, lambda: _one(service, asked, home), events, home, node)


def rotation(service: Service) -> Write:
    home = scratch.domain(service.stack)
    node, body = registered(service, home), body_now("RotateNodeKey")
    key = json.loads(body or b"{}")["public_key"]
    asked = (
        "SELECT count(*) FROM plexsphere.nodes WHERE id = %s AND public_key = decode(%s, 'base64')"
    )
    path = f"/v1/nodes/{node['node_id']}/public-key"
    headers = {**JSON, **bearer(node["token"]), CORRELATION_HEADER: uuid4().hex}
    sent = Sent("PUT", path, headers, body, 200, (200,))
    events = ["peer_added"]
    return Write(sent, lambda: _one(service, asked, node["node_id"], key), events, home, node)


WRITES: Mapping[str, Callable[[Service], Write]] = {
    "CreateDomain": creation,
    "RegisterNode": registration,
    "DeleteNode": deletion,
    "RotateNodeKey": rotation,
}
# A rotation changes nothing that SpiceDB knows.
LEDGER_ALONE = (Step.ASKED, Step.COMMITTED, Step.ANSWERED, Step.SENDING)


def takes(name: str, step: Step) -> bool:
    """Whether a write takes a step."""
    return name != "RotateNodeKey" or step in LEDGER_ALONE


def drained(service: Service) -> None:
    """By a relay, and by nobody's retry."""
    for _ in range(LOOKS):
        if relay_once(service.stack).exit_code == 0:
            return
    raise AssertionError("rows still wait in the outbox")


def differences(service: Service) -> dict[str, Any]:
    """The differences of SpiceDB from the ledger, and the number of rows on their way."""
    found = json.loads(command(service.stack, "authz", "verify", "--json").output)
    return {name: found[name] for name in ("missing", "surplus", "on_their_way")}


AGREED: Mapping[str, Any] = {"missing": [], "surplus": [], "on_their_way": 0}


def waiting(service: Service, object: str) -> int:
    """The number of an object's outbox rows that SpiceDB has not taken."""
    sql = "SELECT count(*) FROM plexsphere.outbox WHERE object = %s AND drained_at IS NULL"
    return int(service.rows(sql, object)[0][0])


def events(service: Service, object: str) -> list[str]:
    """The types of all outbox rows of an object."""
    sql = "SELECT type FROM plexsphere.outbox WHERE object = %s ORDER BY seq"
    return [kind for (kind,) in service.rows(sql, object)]


def audit_rows(service: Service, write: Write) -> int:
    """The number of audit rows that a write has."""
    sql = "SELECT count(*) FROM plexsphere.audit_rows WHERE correlation_id = %s"
    return int(service.rows(sql, write.sent.headers[CORRELATION_HEADER])[0][0])


def half_done(service: Service) -> list[tuple[Any, ...]]:
    """Nodes without their event, address or key; events without their Node; keys of nothing."""
    return service.rows(
        """
        SELECT 'node', n.id::text FROM plexsphere.nodes AS n
        JOIN plexsphere.domains AS d ON d.id = n.domain_id AND d.slug LIKE 'scratch-%'
        WHERE n.mesh_ip IS NULL OR octet_length(n.public_key) IS DISTINCT FROM 32
            OR (SELECT count(*) FROM plexsphere.outbox AS o
                WHERE o.object = 'node:' || n.id AND o.type = 'peer_added') <> 1
        UNION ALL
        SELECT 'event', o.object FROM plexsphere.outbox AS o
        WHERE o.type = 'peer_added'
            AND NOT EXISTS (SELECT FROM plexsphere.nodes AS n WHERE o.object = 'node:' || n.id)
            AND NOT EXISTS (SELECT FROM plexsphere.outbox AS r
                WHERE r.object = o.object AND r.type = 'peer_removed')
        UNION ALL
        SELECT 'key', k.key FROM plexsphere.idempotency_keys AS k
        WHERE NOT EXISTS (SELECT FROM plexsphere.nodes AS n WHERE n.id = k.object_id)
            AND NOT EXISTS (SELECT FROM plexsphere.domains AS d WHERE d.id = k.object_id)
        """
    )


def hosts(service: Service, domain_id: str) -> list[int]:
    """The last part of every address that a Node has or that is held, ascending."""
    found = service.rows(
        """
        SELECT host(u.mesh_ip) FROM (
            SELECT n.mesh_ip FROM plexsphere.nodes AS n WHERE n.domain_id = %s
            UNION ALL
            SELECT r.mesh_ip FROM plexsphere.released_addresses AS r WHERE r.domain_id = %s
        ) AS u
        """,
        domain_id,
        domain_id,
    )
    return sorted(int(address.rpartition(":")[2] or "0", 16) for (address,) in found)


def _operator(service: Service) -> dict[str, str]:
    """With a key, so that the same request is known again."""
    own = {"Idempotency-Key": uuid4().hex, CORRELATION_HEADER: uuid4().hex}
    return {**JSON, **bearer(service.stack.token(OPERATOR)), **own}


def _one(service: Service, sql: str, *arguments: Any) -> bool:
    """Whether there is one; two of them are a failure whatever was expected."""
    ((found,),) = service.rows(sql, *arguments)
    assert found <= 1, sql
    return bool(found)
