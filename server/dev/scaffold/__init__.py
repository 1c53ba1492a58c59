"""The handler, port and tests that an operation of the contract needs, as text to paste.

Nothing is written: above each piece stands where it goes, and what it does is its author's to say.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import handlers
from server.contract import Contract
from server.dev.scaffold.code import fake, handler, rows, tests
from server.dev.scaffold.operations import Operation, ScaffoldError, described

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
        Part(module, "beside what is there" if exists else "a new file", handler(operation)),
        Part("handlers/__init__.py", "in OPERATIONS, and imported above", entry(operation)),
        Part("tests/fakes.py", "beside the others, their imports too", fake(operation)),
        Part(f"tests/unit/test_{operation.slice}.py", "a new file", tests(operation)),
        tables,
        *body_refusals(operation),
        Part(
            "server/wiring.py",
            f"in wire(); the adapter goes to db/{operation.slice}.py, its SQL to db/queries/",
            wiring(operation),
        ),
    ]


def entry(operation: Operation) -> str:
    """The line of the index."""
    if operation.status is None:
        return f'"{operation.name}": refuse_pull,\n'
    imported = f"from handlers.{operation.slice} import {operation.function}\n\n"
    return f'{imported}"{operation.name}": {operation.function},\n'


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
    ports = f"{operation.noun}Ports"
    source = f"Postgres{operation.noun}()"
    if operation.gated:
        return (
            "if live is not None:\n"
            f"    ports[{ports}] = {ports}(gates=live.ports, source={source})\n"
        )
    return f"ports[{ports}] = {ports}(source={source})\n"
