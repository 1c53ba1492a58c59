"""Cases Schemathesis does not send: HEAD, 406, 413, 501, 503, 500, and one for each other status.

They are made from the contract. An operation or a status of tomorrow that no builder here knows has
none, and fails the run by name, as never seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from uuid import UUID

from composer.registry import node_cursor
from server.contract.document import OperationContract
from tests.bodies import JSON, body_now, moment
from tests.client import bearer
from tests.contract.tables import AUTHZ
from tests.fuzz.directed_writes import ENROLMENT, RATE_LIMITED, Directed, enrolment, written
from tests.fuzz.exchange import CONTRACT
from tests.fuzz.scratch import KEYS, PUTS, REMOVALS, WRITES
from tests.fuzz.world import GHOST, GHOST_DOMAIN, NOWHERE, World

LARGE = b"x" * 100_000
# Where a case is sent; campaign.py starts each.
LIVE, UNPROVISIONED, FAULTY = "live", "unprovisioned", "faulty"
NO_POSTGRES, NO_SPICEDB, NO_NATS = "without postgres", "without spicedb", "without nats"
NO_KEYS = "without keys"
CORRUPT = "corrupt rule set"
OVERLOADED = "overloaded"


def _heartbeats() -> Iterator[bytes]:
    """One for each code a heartbeat's 400 can carry."""
    for changes in (
        {"uptime": 1},
        {"binary_checksum": ""},
        {"binary_version": ""},
        {"client_now": moment(-3_600)},
    ):
        yield body_now("PostNodeHeartbeat", **changes) or b""


# Bodies that an operation refuses with 400, made when they are sent.
MISUSED: Mapping[str, Callable[[], Iterable[bytes]]] = {
    "PostNodeHeartbeat": _heartbeats,
    "CreateDomain": lambda: chain(
        misused("CreateDomain", mesh_cidr="10.0.0.1/8"),
        misused("CreateDomain", reachability={"stale_after": "90s"}),
    ),
    "PatchDomain": lambda: chain(
        misused("PatchDomain", slug="another"),
        misused("PatchDomain", region=7),
        misused("PatchDomain", reachability={"stale_after": "90s"}),
        (b"{}",),
    ),
    "RegisterNode": lambda: misused("RegisterNode", public_key="short"),
    "IssueBootstrapToken": lambda: misused("IssueBootstrapToken", ttl_seconds=299),
    "PostRegister": lambda: misused("PostRegister", public_key="short"),
    "RotateNodeKey": lambda: misused("RotateNodeKey", public_key="A" * 43 + "="),
    "PutNodeStateReport": lambda: misused("PutNodeStateReport", value="\0"),
    "PutNodeMetadata": lambda: misused("PutNodeMetadata", value="\0"),
    "PutNodeData": lambda: misused("PutNodeData", value="\0"),
}

# Queries that an operation refuses with 400, each with another code.
MISASKED: Mapping[str, tuple[str, ...]] = {
    "ListNodes": ("?limit=0", "?cursor=nonsense", "?domain_id=nonsense"),
    "ListDomains": ("?limit=0", "?cursor=nonsense"),
    "ListDomainAudit": ("?limit=0", "?cursor=nonsense", "?subject=%00", "?to=2026-02-30T00:00:00Z"),
}


def misused(name: str, **changes: object) -> Iterator[bytes]:
    """A member that nobody declares, and one that is not as declared."""
    yield body_now(name, undeclared=1) or b""
    yield body_now(name, **changes) or b""


def directed(world: World, only: str | None = None) -> Iterator[Directed]:
    """For every operation, or one, and every status it declares; HEAD beside the first GET of it.

    That HEAD and GET agree is one piece of code's work, whatever is asked for.
    """
    for operation in CONTRACT.operations.values():
        if only not in (None, operation.operation_id):
            continue
        for status in operation.responses:
            shown = set()  # services at which HEAD was asked for this status
            for case in of_status(operation, status, world):
                yield case
                if case.method == "GET" and case.body is None and case.service not in shown:
                    shown.add(case.service)
                    yield replace(case, method="HEAD")


def of_status(operation: OperationContract, status: int, world: World) -> Iterator[Directed]:
    """The cases of one status of one operation."""
    name = operation.operation_id
    of_domain = "{domain_id}" in operation.path
    objects = world.domain_ids if of_domain else world.node_ids
    if name in WRITES:
        objects = world.scratch.objects(name)
    others = set(re.findall(r"{(\w+)}", operation.path)) - {"id", "domain_id", "key"}
    if others or not objects:  # nothing to aim at: in a campaign the statuses never seen are named
        return
    first, ghost = objects[0], GHOST_DOMAIN if of_domain else GHOST
    own = _permitted(world, first, operation)

    def case(
        service: str = LIVE,
        object_id: str = first,
        headers: Mapping[str, str] = own,
        body: bytes | None = None,
        query: str = "",
        key: str = KEYS[0],
    ) -> Directed:
        path = operation.path.replace("{id}", object_id).replace("{domain_id}", object_id)
        path = path.replace("{key}", key) + query
        if operation.body is not None:
            good = enrolment(world) if name == ENROLMENT else body_now(name)
            headers, body = {**JSON, **headers}, good if body is None else body
        return Directed(name, service, status, path, headers, operation.method, body)

    special = written(name, status, world, case)
    if special is not None:
        yield from special
    elif status == 200:
        ids = objects[:16] if operation.secured else [first]
        for object_id in ids:
            yield case(object_id=object_id, headers=_permitted(world, object_id, operation))
        yield case(headers={**own, "X-Correlation-Id": "tick.2026-11-23_08-00"})
    elif status == 304:
        tag = world.etags.get(operation.path.replace("{id}", first))
        for tags in (tag, f'"other", {tag}', tag.removeprefix("W/")) if tag else ():
            yield case(headers={**own, "If-None-Match": tags})
        if tag or name == "GetNodeSnapshot":
            yield case(headers={**own, "If-None-Match": "*"})
    elif status == 400:
        if "{" in operation.path:
            for object_id in (first.upper(), "nonsense", "00000000-0000-0000-0000-000000000000"):
                yield case(object_id=object_id)
        if "{key}" in operation.path:
            yield from (case(key=key) for key in ("UPPER", "a%0A", "k" * 129, "..", "a%20b"))
        if operation.strict_query:
            yield case(query="?undeclared=1")
        yield from (case(query=query) for query in MISASKED.get(name, ()))
        yield from (case(body=body) for body in MISUSED.get(name, lambda: ())())
        if name == "GetNodeEvents":
            yield case(headers={**own, "Last-Event-ID": "-1"})
        if name in ("CreateDomain", "RegisterNode"):
            yield case(headers={**own, "Idempotency-Key": "with space"})
        if name == "ListDomainNodes":
            others = [node_cursor(UUID(object_id), UUID(int=0)) for object_id in objects[1:2]]
            for query in ("?limit=201", *(f"?cursor={cursor}" for cursor in ("nonsense", *others))):
                yield case(query=query)
    elif status == 401:
        for headers in ({}, {"Authorization": "Basic eDp5"}, bearer("not.a.token")):
            yield case(headers=headers)
    elif status == 403:
        yield case(headers=bearer(world.stranger))
        if AUTHZ.get(name) in ("node-agent", "node-view"):
            yield from (case(object_id=object_id) for object_id in (NOWHERE, *objects[1:2]))
    elif status == 404:
        yield case(object_id=ghost, headers=_permitted(world, ghost, operation))
        if name in REMOVALS:
            yield case(key="not.there")
    elif status == 406:
        yield case(headers={**own, "Accept": "text/html"})
    elif status == 413:
        yield case(body=LARGE)
        if name in PUTS:
            yield case(body=json.dumps({"value": "é" * 2_049}, ensure_ascii=False).encode())
    elif status == 415:
        yield case(headers={**own, "Content-Type": "text/plain"})
        yield case(headers={**own, "Content-Encoding": "br"})
    elif status == 429:
        yield case(RATE_LIMITED, headers=bearer(world.stranger))
    elif status == 500:
        yield case(FAULTY)
        if name == "GetNodeState":
            yield case(CORRUPT)
    elif status == 501:
        yield case(UNPROVISIONED, headers={})
        yield case(UNPROVISIONED)
    elif status == 503:
        if not operation.secured and name != ENROLMENT:
            yield case(UNPROVISIONED)
        yield case(NO_POSTGRES)
        yield case(NO_SPICEDB)
        if "event_stream_unavailable" in operation.responses[503].problem_codes:
            yield case(NO_NATS)
        if "keys_unavailable" in operation.responses[503].problem_codes:
            yield case(NO_KEYS, headers=bearer(world.foreign))
        if "overloaded" in operation.responses[503].problem_codes:
            yield case(OVERLOADED)
        if name == "RegisterNode":
            yield case(object_id=world.scratch.full)
        if name == ENROLMENT:
            yield case(body=enrolment(world, "full"))


def _permitted(world: World, object_id: str, operation: OperationContract) -> dict[str, str]:
    """Of who may, and of somebody where nobody may."""
    token = world.permitted(operation.operation_id, object_id) or world.tokens[world.node_ids[0]]
    return bearer(token) if operation.secured else {}
