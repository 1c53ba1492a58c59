"""The handler, port and tests that an operation of the contract needs, as text to paste.

Nothing is written: above each piece stands where it goes, and what it does is its author's to say.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import handlers
from handlers import refusals
from server.contract import Contract
from server.dev.scaffold.code import JSON, constant, fake, handler, rows
from server.dev.scaffold.layout import imported, literal, wrapped
from server.dev.scaffold.operations import Operation, ScaffoldError, described
from server.dev.scaffold.unit_tests import tests

__all__ = ["Part", "ScaffoldError", "parts", "scaffold"]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file; ``how`` says what to do with it there."""

    path: str
    how: str
    code: str


def scaffold(operation_id: str, contract: Contract | None = None) -> str:
    """Everything the operation needs, file by file. Raises ScaffoldError."""
    pieces = [f"# {one.path}: {one.how}\n\n{one.code}" for one in parts(operation_id, contract)]
    bound = handlers.OPERATIONS.get(operation_id)
    if bound is not None:
        pieces.insert(0, f"# Today {operation_id} is {bound.__module__}.{bound.__name__}.\n")
    return "\n\n".join(pieces)


def parts(operation_id: str, contract: Contract | None = None) -> list[Part]:
    """The same, apart. Raises ScaffoldError."""
    contract = contract or Contract.packaged()
    declared = contract.operations.get(operation_id)
    if declared is None:
        near = difflib.get_close_matches(operation_id, contract.operations, n=1)
        hint = f"did you mean {near[0]}?" if near else "declare it there first."
        raise ScaffoldError(f"operation {operation_id} is not in the contract; {hint}")
    operation = described(contract, declared)
    tables = Part("tests/contract/tables.py", "a row in each table", rows(operation))
    if operation.status is None:
        how = "it has no 2xx to answer with, so it is refused until it has"
        return [Part("handlers/__init__.py", how, entry(operation)), tables]
    module = f"handlers/{operation.slice}.py"
    exists = (Path(handlers.__file__).parent / f"{operation.slice}.py").exists()
    return [
        *gate_zero(operation),
        Part(module, "beside what is there" if exists else "a new file", handler(operation)),
        Part("handlers/__init__.py", "in OPERATIONS and UNPROVISIONED", entry(operation)),
        Part("tests/fakes.py", "beside the others, their imports too", fake(operation)),
        Part(f"tests/unit/test_{operation.slice}.py", "a new file", tests(operation)),
        tables,
        Part("tests/contract/attacked.py", "a row in ATTACKED", attacked(operation)),
        Part("tests/contract/answered.py", "a row in ANSWERED", answered(operation)),
        *body_refusals(operation),
        Part(
            "server/wiring_ports.py",
            f"among the ports; the adapter goes to db/{operation.slice}.py, its SQL to db/queries/",
            wiring(operation),
        ),
    ]


def entry(operation: Operation) -> str:
    """The line of the index."""
    if operation.status is None:
        return f'"{operation.name}": refuse_pull,\n'
    ports = f"{operation.noun}Ports"
    names = [ports, operation.function, f"refuse_{operation.slice}"]
    if not operation.refusal:
        names = [operation.function]
    unprovisioned = f"\n{ports}: refuse_{operation.slice},\n" if operation.refusal else ""
    found = imported(f"handlers.{operation.slice}", names)
    return f'{found}\n"{operation.name}": {operation.function},\n{unprovisioned}'


def gate_zero(operation: Operation) -> list[Part]:
    """The refusal of gate 0, where there is none of that code yet."""
    kind = constant(operation)
    if not operation.refusal or hasattr(refusals, kind):
        return []
    detail = f"{operation.noun} is not provisioned on this instance."
    code = wrapped(
        f"{kind} = RefusalKind(", ["501", literal(operation.refusal), f'"{detail}"'], ")"
    )
    how = "and in CATALOGUE; its code to Problem, a 501 of the file and docs/problems.md"
    return [Part("handlers/refusals.py", how, f"{code}\n")]


def attacked(operation: Operation) -> str:
    """How it is attacked; further parts of the path are its author's to fill in."""
    granted = "" if operation.status == 200 else f", granted={operation.status}"
    audit = f'"{operation.audit_relation}"'
    row = "ANYONE" if operation.status == 200 else f'Attacked("user:anyone"{granted})'
    if operation.about == "node":
        row = f"of_a_node({audit})"
    elif operation.about == "domain":
        row = f"of_a_domain({audit})"
    elif operation.secured:
        row = f'Attacked("user:operator"{granted})'
    if operation.gated and granted:
        row = f"replace({row}{granted})"
    return f'"{operation.name}": {row},\n'


def answered(operation: Operation) -> str:
    """What makes it show its answers; the keys that may be absent are its author's to show."""
    path = operation.path.replace("/v1/nodes/{id}", "{NODE}")
    path = path.replace("/v1/domains/{domain_id}", "{IN_DOMAIN}")
    path = f'{"f" if "{" in path else ""}"{path}"'
    asking = f'lambda service: service.ask({path}, 1, "{operation.method}")'
    if operation.takes_a_body:
        asking = f'sent("{operation.name}", "{operation.method}", {path})'
    elif operation.media != JSON:
        asking = "nothing"
    elif operation.method == "GET":
        asking = f"got({path})"
    return f'"{operation.name}": {asking},\n'


def body_refusals(operation: Operation) -> list[Part]:
    """What a body is refused with that is not as declared; its kind is its author's to word."""
    if not operation.takes_a_body:
        return []
    kind = f"MALFORMED_{operation.slice.upper()}"
    code = (
        f'{kind} = RefusalKind(400, "{kind.lower()}", "The body is not as declared.")\n\n'
        f'"{operation.name}": BodyRefusals({kind}),\n'
    )
    how = "in BODY_REFUSALS; the kind goes to handlers/refusals.py, its code to the file's 400"
    return [Part("server/request_refusals.py", how, code)]


def wiring(operation: Operation) -> str:
    """The line that puts the ports together; the adapter's name is its author's."""
    source = f"Postgres{operation.noun}(reads)"
    if operation.gated:
        source = f"relations, {operation.about}s, {source}, audit"
    return f"{operation.noun}Ports({source}),\n"
