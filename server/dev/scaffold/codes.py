"""Which Problem codes an operation is refused with: those its file declares, where one fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.contract import Contract
from server.dev.scaffold.declared import Parameter
from server.dev.scaffold.operations import NOT_PROVISIONED, Operation
from server.dev.scaffold.problem_codes import ProblemCodes
from server.dev.scaffold.tree import Tree
from server.problems import BAD_REQUEST
from server.request_refusals import BODY_REFUSALS, PARAMETER_REFUSALS
from server.request_validation import parameter_refusals

MALFORMED = 400
OF_A_QUERY = "unknown_query_parameter"
OF_A_FILTER = "invalid_filter"
# Codes that some body is refused with as a whole, and codes that parameters of a name have.
OF_A_BODY = {one.malformed.code for one in BODY_REFUSALS.values()}
OF_PARAMETERS = {one.code for one in PARAMETER_REFUSALS.values()}


@dataclass(frozen=True, slots=True)
class Code:
    """A code, and what handlers/refusals.py calls it or is to call it."""

    constant: str
    status: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Refusals:
    """What one operation needs a line for: gate 0, its body, parameters that nobody refuses yet."""

    gate: Code | None
    body: Code | None
    parameters: Sequence[tuple[Parameter, Code]]

    @property
    def every(self) -> list[Code]:
        """Each once."""
        found = [self.gate, self.body, *(code for _, code in self.parameters)]
        return list(dict.fromkeys(one for one in found if one is not None))


def refusals_of(
    operation: Operation, contract: Contract, codes: ProblemCodes, tree: Tree
) -> Refusals:
    """Declared codes first, of them the known ones; else a code of its own."""

    def coded(status: int, code: str, detail: str) -> Code:
        constant = tree.refusals.get(code, code.upper())
        return Code(constant, status, code, codes.details.get(code, detail))

    gate = body = None
    if operation.refusal:
        detail = f"{' '.join(operation.words)} is not provisioned on this instance."
        gate = coded(NOT_PROVISIONED, operation.refusal, detail)
    fit = _Fit(operation, tree)
    parameters = []
    for one in _unnamed(operation, contract):
        detail = f"The {one.spelled} is not as declared."
        parameters.append((one, coded(MALFORMED, fit.parameter(one), detail)))
    if operation.takes_a_body:
        body = coded(MALFORMED, fit.body(), "The body is not as declared.")
    return Refusals(gate, body, parameters)


def usual(parameter: Parameter) -> str | None:
    """The code that a parameter of this name has wherever nothing else is said."""
    return PARAMETER_REFUSALS.get(parameter.spelled, BAD_REQUEST).code


class _Fit:
    """What a code of 400 may stand for that nobody has said it of yet; known ones come first."""

    def __init__(self, operation: Operation, tree: Tree) -> None:
        self._operation = operation
        self._declared = [one for one in operation.codes.get(MALFORMED, ()) if one != OF_A_QUERY]
        self._declared.sort(key=lambda one: one not in tree.refusals)
        self._free = [one for one in self._declared if one not in OF_PARAMETERS]

    def parameter(self, parameter: Parameter) -> str:
        """Of a query the usual one is told whatever an operation says: a name may come twice."""
        known, operation = usual(parameter), self._operation
        if known and (parameter.kind == "query" or parameter.name == operation.id_parameter):
            return known
        of_bodies = [one for one in self._declared if one in OF_A_BODY]
        own = [one for one in self._free if one not in OF_A_BODY]
        if parameter.kind == "query":
            return OF_A_FILTER if OF_A_FILTER in self._declared else next(iter(own), OF_A_FILTER)
        name = f"{operation.slice}_id" if parameter.name == "id" else parameter.name
        return next(iter([*own, *of_bodies]), f"invalid_{name}")

    def body(self) -> str:
        """One that some body is refused with already, where there is one."""
        of_bodies = [one for one in self._declared if one in OF_A_BODY]
        return next(iter([*of_bodies, *self._free]), f"malformed_{self._operation.slice}")


def _unnamed(operation: Operation, contract: Contract) -> Iterator[Parameter]:
    """Parameters whose refusal the file would not let out."""
    declared = operation.codes.get(MALFORMED)
    allowed = {None} if declared == () else set(declared or ())
    written = {one.name: one for one in contract.operations[operation.name].parameters}
    for one in operation.parameters:
        kinds = parameter_refusals(operation.name, written[one.spelled])
        if any(kind.code not in allowed for kind in kinds):
            yield one
