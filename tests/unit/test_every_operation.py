"""Every operation, asked by every caller in every world, against what is kept of it.

The cases are declared in ``tests/golden/operations``; its README.md says how to add to them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from server.contract.document import Contract
from tests.golden.operations.asking import Asker, Case, Outcome, cases, code_of, is_gated
from tests.golden.operations.callers import STRANGER, Caller
from tests.golden.operations.recording import ANSWERS, Kept, Recording
from tests.golden.operations.variants import VARIANTS

DECLARED = Contract.packaged().operations
GATED = [name for name in DECLARED if is_gated(name)]
RECORD = "python -m tests.golden.operations.record"
# (operation, status, code) that the contract declares and no case can reach, each with its reason.
UNREACHED = {}
SHOWN = 5  # differences of an operation


@pytest.fixture(scope="module")
def asker() -> Iterator[Asker]:
    logging.disable()  # thousands of refusals and defects, each with its frames
    yield Asker()
    logging.disable(logging.NOTSET)


@cache
def kept(file: Kept) -> Recording:
    return file.read()


@pytest.mark.parametrize("operation", VARIANTS)
def test_answers_and_audit_rows_are_those_kept(asker: Asker, operation: str) -> None:
    found = [(case, asker.outcome(case)) for case in cases(operation)]
    assert_as_kept(ANSWERS, found)


def assert_as_kept(file: Kept, found: list[tuple[Case, Outcome]]) -> None:
    recording = kept(file)
    # numbers alone: of a call in an assert pytest prints every argument, here all the cases
    asked, recorded = len(found), recording.count(found[0][0].operation)
    assert asked == recorded, (
        f"there are other cases than in {file.path.name}: {RECORD}, and read the diff"
    )
    differences = list(differing(file, recording, found))
    report = "\n\n".join(differences[:SHOWN])
    assert not differences, (
        f"{len(differences)} of {len(found)} cases differ from {file.path.name}\n\n{report}\n\n"
        f"If all of these are wanted: {RECORD}, read every line of the diff, and name them in the "
        "commit."
    )


def differing(file: Kept, recording: Recording, found: list[tuple[Case, Outcome]]) -> Iterator[str]:
    """A paragraph for each case that is otherwise than it is kept."""
    for case, outcome in found:
        got, expected = file.part(outcome), recording.expected(case)
        if got != expected:
            yield (
                f"operation {case.operation}\nworld     {case.world.name}\n"
                f"caller    {case.caller.name}\nvariant   {case.variant.name}\n"
                f"expected  {json.dumps(expected, ensure_ascii=False)}\n"
                f"got       {json.dumps(got, ensure_ascii=False)}"
            )


def test_every_operation_of_the_contract_is_in_the_table() -> None:
    missing = sorted(DECLARED.keys() - VARIANTS.keys())
    stray = sorted(VARIANTS.keys() - DECLARED.keys())
    assert (missing, stray) == ([], []), (
        f"{missing} of api/plexsphere-v1.yaml are not in VARIANTS of "
        f"tests/golden/operations/variants.py, and {stray} of it are not in the file.\n"
        "Do not skip this: it is what proves that a stranger is refused, that a revoked role is "
        "refused, and that an outage is not an answer.\n"
        "1. Add a line to VARIANTS, such as\n"
        '     "GetThing": tuple(_of_node(Request("GET", f"{NODE}/thing"))),\n'
        "   and a variant for each way to ask it that has an answer of its own.\n"
        "2. If it asks a new port: add the fake to PORTS in service.py, and a world to worlds.py "
        "in which the port is away.\n"
        "3. If a new role may: add a caller to callers.py.\n"
        f"4. {RECORD}, and read the lines of the new operation."
    )


@pytest.mark.parametrize("operation", GATED)
def test_every_refusal_that_the_contract_declares_is_given_to_somebody(operation: str) -> None:
    declared = {
        (status, code)
        for status, response in DECLARED[operation].responses.items()
        for code in response.problem_codes or ("",)
    }
    answered = {
        (answer["status"], code_of(answer)) for answer in kept(ANSWERS).answers_of(operation)
    }
    unreached = {(status, code) for name, status, code in UNREACHED if name == operation}
    # the worker answers so, before an operation is reached: tests/e2e/test_overload.py
    unreached.add((503, "overloaded"))
    missing = sorted(declared - answered - unreached)
    assert missing == [], (
        f"no case of {operation} is answered with {missing}, which api/plexsphere-v1.yaml declares."
        "\nDo not skip this: add the variant of tests/golden/operations/variants.py, or the world "
        f"of worlds.py, that gets this answer; then {RECORD}."
    )


@pytest.mark.parametrize("operation", sorted(GATED))
def test_a_sound_world_grants_to_some_callers_and_not_to_all(operation: str) -> None:
    line = kept(ANSWERS).lines[f"{operation} | sound | well-formed"]
    statuses = {kept(ANSWERS).outcomes[label]["status"] for label in line}
    assert ({401, 403} if DECLARED[operation].secured else {403}) < statuses
    assert any(200 <= status < 300 for status in statuses)


OF_AN_ID = [name for name in sorted(GATED) if "id}" in DECLARED[name].path]


@pytest.mark.parametrize("operation", OF_AN_ID)
def test_a_stranger_cannot_tell_what_is_there_from_what_is_not(operation: str) -> None:
    noun = "Node" if "{id}" in DECLARED[operation].path else "Domain"
    there, unreal, gone = (
        answer_to(STRANGER, f"{operation} | sound | {variant}")
        for variant in (
            "well-formed",
            f"id: of no {noun}",
            f"the {noun} is gone, its relationships are not",
        )
    )
    assert there["status"] == 403
    assert there == unreal == gone


def answer_to(caller: Caller, line: str) -> dict[str, Any]:
    """The answer without the audit rows, which name the object."""
    labels = kept(ANSWERS).lines[line].items()
    (label,) = [label for label, callers in labels if caller.name in callers]
    outcome = kept(ANSWERS).outcomes[label]
    return {name: part for name, part in outcome.items() if name != "audit"}


def test_no_two_variants_of_an_operation_have_the_same_name() -> None:
    for operation, variants in VARIANTS.items():
        names = [variant.name for variant in variants]
        assert len(set(names)) == len(names) > 0, operation
