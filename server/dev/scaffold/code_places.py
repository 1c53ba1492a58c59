"""A Problem code in every place that knows codes: what is missing of it, place by place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from string import Template
from typing import Any

from handlers.refusals import RefusalKind
from server.dev.scaffold import templates
from server.dev.scaffold.codes import Code, Refusals
from server.dev.scaffold.layout import literal, wrapped
from server.dev.scaffold.operations import NOT_PROVISIONED, Operation
from server.dev.scaffold.pieces import Part
from server.dev.scaffold.problem_codes import ProblemCodes
from server.dev.scaffold.tree import Tree
from server.problems import problem_answer

CONTRACT = "api/plexsphere-v1.yaml"
REFUSALS = "handlers/refusals.py"
DOCUMENTED = "docs/problems.md"
CORRELATION_ID = "5c0b7f0e2f7d4f0c9d4e1a2b3c4d5e6f"  # of every example in the contract
MENDERS = {NOT_PROVISIONED: "the operator: `plexsphere-state receipt`"}


def code_parts(
    operation: Operation, refusals: Refusals, codes: ProblemCodes, tree: Tree
) -> Iterator[Part]:
    """The contract first, as it is edited first."""
    for status in sorted({one.status for one in refusals.every}):
        declared = operation.codes.get(status, ())
        new = [
            one.code for one in refusals.every if one.status == status and one.code not in declared
        ]
        if new:
            yield from _answer(operation, status, [*declared, *new], codes)
    for one in refusals.every:
        if one.code not in codes.known:
            yield Part(CONTRACT, "in the enum of Problem.code", f"            - {one.code}\n")
        if one.code not in codes.examples:
            yield Part(CONTRACT, "in components/examples", _example(operation, one))
        if one.code not in tree.refusals:
            arguments = [str(one.status), literal(one.code), literal(one.detail)]
            kind = wrapped(f"{one.constant} = RefusalKind(", arguments, ")")
            yield Part(REFUSALS, "above CATALOGUE", f"{kind}\n")
        if not re.search(rf"^\| \d+ \| `{one.code}` \|", tree.text(DOCUMENTED), re.MULTILINE):
            mender = MENDERS.get(one.status, "the caller")
            row = f"| {one.status} | `{one.code}` | SAY what happened | {mender} |\n"
            yield Part(DOCUMENTED, "in the table", row)


def _answer(
    operation: Operation, status: int, wanted: Sequence[str], codes: ProblemCodes
) -> Iterator[Part]:
    """Another than the one that is declared, which may be other operations' too."""
    found = codes.answers.get(tuple(wanted))
    title = _title(wanted[0])
    if len(wanted) > 1 or title in codes.titles:
        title = f"Invalid{operation.name}"
    line = f"        '{status}': {{ $ref: '#/components/responses/{found or title}' }}\n"
    yield Part(CONTRACT, f"in {operation.name}, its {status}", line)
    if found is None:
        named = {one: codes.examples.get(one, _title(one)) for one in wanted}
        examples = (
            f"            {one}: {{ $ref: '#/components/examples/{name}' }}"
            for one, name in named.items()
        )
        filled = Template(templates.RESPONSE).substitute(
            title=title, codes=", ".join(wanted), examples="\n".join(examples)
        )
        yield Part(CONTRACT, "in components/responses", filled)


def _example(operation: Operation, code: Code) -> str:
    path = operation.path
    for one in operation.parameters:
        path = path.replace(f"{{{one.spelled}}}", one.text)
    kind = RefusalKind(code.status, code.code, code.detail)
    body: Any = problem_answer(kind, path, CORRELATION_ID).body
    members = "\n".join(f"        {name}: {value}" for name, value in body.items())
    return Template(templates.EXAMPLE).substitute(title=_title(code.code), members=members)


def _title(code: str) -> str:
    return "".join(word.capitalize() for word in code.split("_"))
