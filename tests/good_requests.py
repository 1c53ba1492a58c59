"""A good request of any operation over sockets, derived from what the operation declares.

A read is of the sample's objects. What changes its object gets a new one, in a Domain of its own,
because the stack is shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote
from uuid import UUID

from composer.enrolment import parse_bootstrap_token
from handlers import OPERATIONS
from handlers.operation import Operation
from handlers.ways import AUDITOR, MANAGE, MANAGER_RELATIONS, NODE_AGENT, NODE_VIEW
from server.contract.document import Contract
from server.dev import sample
from server.dev.stack import Stack
from tests import scratch
from tests.bodies import JSON, body_now
from tests.client import Reply, ask, bearer
from tests.contract.tables import AUTHZ

DECLARED = Contract.packaged().operations
# Path parameters by name; of an enrolment, its bootstrap token.
Object = Mapping[str, str]
# A well-formed id that no ledger has.
UNREAL = "0190ffff-0000-7000-8000-00000000ffff"


def existing(stack: Stack, name: str) -> Object:
    """An object that is there, or the path's parameters of none."""
    path, reads = DECLARED[name].path, DECLARED[name].method == "GET"
    if name == "PostRegister":
        return {"bootstrap_token": scratch.bootstrap_token(stack)}
    if "{key}" in path:
        return scratch.entries(stack)
    if "{id}" in path:
        return {"id": stack.node_id if reads else scratch.node(stack)}
    if "{domain_id}" in path:
        return {"domain_id": str(stack.sample.domain_id) if reads else scratch.domain(stack)}
    assert "{" not in path, f"no object for {path}"
    return {}


def missing(name: str, there: Object) -> Iterator[tuple[Object, int]]:
    """Objects that are not there, or only in part, each with the status that who may gets.

    A platform's manager may know; the agent of a Node holds no relation elsewhere, nor does an
    auditor.
    """
    manages = caller_of(name, there) == sample.OPERATOR
    for parameter in there.keys() & {"id", "domain_id"}:
        yield {**there, parameter: UNREAL}, 404 if manages else 403
    if "key" in there and DECLARED[name].method == "DELETE":
        yield {**there, "key": "not.there"}, 404


def caller_of(name: str, there: Object) -> str:
    """The subject that may."""
    relation = AUTHZ[name]
    if "bootstrap_token" in there:
        presented = parse_bootstrap_token(there["bootstrap_token"])
        assert presented is not None
        return presented.caller.subject
    if relation in (NODE_AGENT, NODE_VIEW) or (relation is None and "id" in there):
        return f"node:{there['id']}"
    if relation == AUDITOR:
        return sample.AUDITOR
    assert relation is None or relation in MANAGER_RELATIONS | {MANAGE}, f"who has {relation}?"
    return sample.OPERATOR


def audited_as(name: str, there: Object, made: Reply | None = None) -> tuple[str, str]:
    """The relation and the object of the audit row; of what a write ``made``, where it did."""
    operation = OPERATIONS[name]
    assert isinstance(operation, Operation)
    if made is not None and made.status == 201 and "token_id" not in made.json:
        new = made.json
        object = f"node:{new['node_id']}" if "node_id" in new else f"domain:{new['id']}"
        return operation.audit_name, object
    address = operation.way.address
    addressed = UUID(there[address.parameter]) if address is not None else None
    return operation.audit_name, operation.way.resource(addressed)


def filled(path: str, parameters: Object) -> str:
    """A path of the contract with its parameters."""
    for name, value in parameters.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    assert "{" not in path, f"no value for a parameter of {path}"
    return path


def send(
    url: str, name: str, parameters: Object, headers: Mapping[str, str], method: str = ""
) -> Reply:
    """A request that is good in all but its object and, among its headers, its credential."""
    operation = DECLARED[name]
    token = {key: value for key, value in parameters.items() if key == "bootstrap_token"}
    body = body_now(name, **token)
    sent = {**(JSON if body is not None else {}), **headers}
    path = filled(operation.path, parameters)
    return ask(url, path, sent, method=method or operation.method, body=body)


def permitted(stack: Stack, name: str, there: Object) -> dict[str, str]:
    """The credential of who may."""
    return {} if "bootstrap_token" in there else bearer(stack.token(caller_of(name, there)))
