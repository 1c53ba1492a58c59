"""Directed cases of the writes: what one request makes, another finds, or is in the way of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.bodies import body_now
from tests.fuzz.scratch import PUTS, REMOVALS, REVOKE
from tests.fuzz.world import World

FOUND, CONFLICT = "fuzz-found", "fuzz-conflict"
ENROLMENT, RATE_LIMITED = "PostRegister", "rate limited"
CROWDED = "crowded"


@dataclass(frozen=True, slots=True)
class Directed:
    """One request, where it goes, and the one status it has to have."""

    operation_id: str
    service: str
    status: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: bytes | None = None


Make = Callable[..., Directed]


def written(name: str, status: int, world: World, case: Make) -> Iterator[Directed] | None:
    """The cases of one status of an operation that writes; None where it has no ways of its own."""
    if status in (200, 201) and name in ("CreateDomain", "RegisterNode"):
        return _made(name, status, world, case)
    if status == 204 and name in REMOVALS:
        holding, held = world.scratch.holding, world.scratch.held
        return _removed(case(object_id=holding[2], key=key) for key in held[:2])
    if status == 204 and name == REVOKE:
        return (case() for _ in range(2))
    if status == 204:
        of = {"DeleteNode": world.scratch.nodes, "DeleteDomain": world.scratch.domains}
        return _removed(case(object_id=object_id) for object_id in of.get(name, ())[1:3])
    if name == ENROLMENT and status in (403, 404, 409, 422, 429):
        return _enrolments_refused(status, world, case)
    if status == 409:
        return _conflicts(name, world, case)
    return None


def enrolment(world: World, state: str = "free", **changes: object) -> bytes:
    """The body of an enrolment with the token in that state."""
    token = {"bootstrap_token": world.scratch.tokens.get(state, "")}
    return body_now(ENROLMENT, **token | changes) or b""


def _enrolments_refused(status: int, world: World, case: Make) -> Iterator[Directed]:
    free = world.scratch.tokens.get("free", "")
    if status == 403:
        yield case(body=enrolment(world, bootstrap_token=free.replace("_node_", "_bridge_")))
        yield case(body=enrolment(world, project_id=world.domain_ids[0]))
        yield case(body=enrolment(world, "of a handle", nonce="used"))
        for state in ("of nobody", "expired", "consumed"):
            yield case(body=enrolment(world, state))
    elif status == 404:
        yield case(body=enrolment(world, "of a handle"))
    elif status == 409:
        key = world.scratch.keys[world.scratch.rotating[-1]]
        yield case(body=enrolment(world, "unused", public_key=key))
        yield case(CROWDED, body=enrolment(world, "unused"))
    elif status == 422:
        yield case(body=body_now(ENROLMENT))
        yield case(body=enrolment(world, nonce=""))
    else:  # one request is admitted
        yield _expecting(case(RATE_LIMITED, body=body_now(ENROLMENT)), 422)
        yield case(RATE_LIMITED, body=body_now(ENROLMENT))


def _removed(every: Iterable[Directed]) -> Iterator[Directed]:
    """An object that was removed is not found a second time."""
    for case in every:
        yield case
        yield _expecting(case, 404)


def _made(name: str, status: int, world: World, case: Make) -> Iterator[Directed]:
    """The contract's statuses come in order, so a 200 is told before the 201 it needs."""
    if status == 200:
        headers = _keyed(name, world, FOUND)
        body = body_now(name)
        made, found = (case(headers=headers, body=body) for _ in range(2))
        yield _expecting(made, 201)
        yield found
    else:
        yield case()
        yield case(headers=_keyed(name, world, CONFLICT))


def _conflicts(name: str, world: World, case: Make) -> Iterator[Directed]:
    if name in PUTS:
        crammed = world.scratch.holding[-1]
        token = world.permitted(name, crammed)
        yield case(object_id=crammed, headers={"Authorization": f"Bearer {token}"})
    if name in ("CreateDomain", "RegisterNode"):
        yield case(headers=_keyed(name, world, CONFLICT))
    if name == "RegisterNode":
        body = body_now(name)
        yield _expecting(case(body=body), 201)
        yield case(body=body)  # no key says that it is the same request
        yield case(CROWDED)
    if name == "CreateDomain":
        yield case(body=body_now(name, slug="documented"))
        yield case(body=body_now(name, mesh_cidr="10.200.7.0/24"))
    if name == "DeleteDomain":
        yield case(object_id=world.scratch.full)
    if name == "RotateNodeKey":
        key = world.scratch.keys[world.scratch.rotating[-1]]
        yield case(body=json.dumps({"public_key": key}).encode())


def _keyed(name: str, world: World, key: str) -> Mapping[str, str]:
    return {
        "Authorization": f"Bearer {world.operator}",
        "Idempotency-Key": f"{key}-{world.scratch.mark}-{name}",
    }


def _expecting(case: Directed, status: int) -> Directed:
    return Directed(
        *(case.operation_id, case.service, status, case.path, case.headers, case.method),
        case.body,
    )
