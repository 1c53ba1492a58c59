"""A good request of any operation over sockets, as `tests/contract/attacked.py` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from server.contract.document import Contract
from server.dev.stack import Stack
from tests.bodies import JSON, body_now
from tests.client import Reply, ask, bearer
from tests.contract.attacked import ATTACKED, Object

OPERATIONS = Contract.packaged().operations


def filled(path: str, parameters: Object) -> str:
    """A path of the contract with its parameters."""
    for name, value in parameters.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    assert "{" not in path, f"no value for a parameter of {path}"
    return path


def send(
    stack: Stack,
    name: str,
    parameters: Object,
    headers: Mapping[str, str],
    url: str = "",
    method: str = "",
) -> Reply:
    """A request that is good in all but its object and, among its headers, its credential."""
    operation, row = OPERATIONS[name], ATTACKED[name]
    body = row.body() if row.body else body_now(name)
    sent = {**(JSON if body is not None else {}), **row.headers(), **headers}
    path = filled(operation.path, parameters)
    return ask(url or stack.url, path, sent, method=method or operation.method, body=body)


def permitted(stack: Stack, name: str, there: Object) -> dict[str, str]:
    """The credential of who may."""
    return bearer(stack.token(ATTACKED[name].caller.format_map(there)))
