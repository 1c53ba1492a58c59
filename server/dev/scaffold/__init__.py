"""The code and the tests that an operation of the contract needs, as text to paste.

Nothing is written: above each piece stands where it goes, and what it does is its author's to say.
"""

from __future__ import annotations

import difflib
from dataclasses import replace

import handlers
from server.contract import Contract
from server.dev.scaffold.code_places import code_parts
from server.dev.scaffold.codes import refusals_of
from server.dev.scaffold.declared import ScaffoldError
from server.dev.scaffold.homes import home_of
from server.dev.scaffold.operations import described
from server.dev.scaffold.pieces import Part, in_order
from server.dev.scaffold.problem_codes import ProblemCodes
from server.dev.scaffold.tree import Tree
from server.dev.scaffold.writer import Writer

__all__ = ["Part", "ScaffoldError", "parts", "scaffold"]


def scaffold(operation_id: str, contract: Contract | None = None) -> str:
    """Everything the operation needs, file by file. Raises ScaffoldError."""
    pieces = [one.text for one in parts(operation_id, contract)]
    bound = handlers.OPERATIONS.get(operation_id)
    if bound is not None:
        pieces.insert(0, f"# Today {operation_id} is {bound.__module__}.{bound.__name__}.\n")
    return "\n\n".join(pieces)


def parts(
    operation_id: str, contract: Contract | None = None, tree: Tree | None = None
) -> list[Part]:
    """The same, apart, for a tree as it stands. Raises ScaffoldError."""
    contract, tree = contract or Contract.packaged(), tree or Tree()
    declared = contract.operations.get(operation_id)
    if declared is None:
        near = difflib.get_close_matches(operation_id, contract.operations, n=1)
        hint = f"did you mean {near[0]}?" if near else "declare it there first."
        raise ScaffoldError(f"operation {operation_id} is not in the contract; {hint}")
    operation = described(contract, declared)
    home = home_of(operation, tree)
    if not home.is_new:  # its ports are refused as they are
        operation = replace(operation, refusal=tree.gates.get(home.ports, operation.refusal))
    codes = ProblemCodes(contract)
    refusals = refusals_of(operation, contract, codes, tree)
    writer = Writer(operation, home, refusals, tree)
    if operation.status is None:
        how = "in OPERATIONS: it has no 2xx to answer with, so it is refused until it has"
        bound = f'"{operation.name}": refuse_pull,\n'
        return [Part("handlers/__init__.py", how, bound), *writer.rows()]
    return in_order(
        [
            *code_parts(operation, refusals, codes, tree),
            *writer.handler(),
            *writer.index(),
            *writer.refused(),
            *writer.wired(),
            *writer.stand_ins(),
            *writer.tests(),
        ]
    )
