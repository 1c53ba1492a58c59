"""Problem codes, their statuses and the contract's bytes are the same wherever they stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from handlers.refusals import CATALOGUE, RefusalKind
from server.contract.document import Contract
from tests.contract.drift import byte_complaints, code_complaints, status_complaints

CONTRACT = Contract.packaged()
PROBLEMS = (Path(__file__).resolve().parents[2] / "docs" / "problems.md").read_text()
CODES = set(CONTRACT.document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
STATUSES: set[tuple[int, str | None]] = {
    (status, code)
    for operation in CONTRACT.operations.values()
    for status, response in operation.responses.items()
    if "application/problem+json" in response.media
    for code in response.problem_codes or (None,)
} | {(501, request.code) for request in CONTRACT.unserved}


def test_the_file_the_catalogue_and_the_docs_name_the_same_codes() -> None:
    assert code_complaints(CODES, CATALOGUE, PROBLEMS) == []


@pytest.mark.parametrize(
    ("declared", "catalogue", "documented", "complaint"),
    [
        (CODES | {"new_code"}, CATALOGUE, PROBLEMS, "no refusal has it"),
        (CODES - {"unauthorized"}, CATALOGUE, PROBLEMS, "refusal unauthorized is not declared"),
        (CODES, (*CATALOGUE, RefusalKind(409, "odd", "x")), PROBLEMS, "refusal odd"),
        (CODES, CATALOGUE, PROBLEMS.replace("`unauthorized`", "-"), "not in docs/problems.md"),
        (CODES, CATALOGUE, PROBLEMS + "\n| 418 | `teapot` | x | y |\n", "teapot"),
    ],
    ids=["declared", "undeclared", "catalogue", "undocumented", "only-documented"],
)
def test_a_code_that_only_one_place_knows_is_named(
    declared: set[str], catalogue: Any, documented: str, complaint: str
) -> None:
    complaints = code_complaints(declared, catalogue, documented)
    assert any(complaint in line for line in complaints), complaints


def test_the_file_the_catalogue_and_the_docs_give_each_code_the_same_status() -> None:
    assert status_complaints(STATUSES, CATALOGUE, PROBLEMS) == []


@pytest.mark.parametrize(
    ("declared", "catalogue", "documented", "complaints"),
    [
        (
            STATUSES - {(500, None)},
            CATALOGUE,
            PROBLEMS,
            ["no code with 500 is not in the file"],
        ),
        (
            STATUSES,
            tuple(
                replace(kind, status=410) if kind.code == "node_not_found" else kind
                for kind in CATALOGUE
            ),
            PROBLEMS,
            [
                "node_not_found with 404 is not in the catalogue",
                "node_not_found with 410 is not in docs/problems.md",
                "node_not_found with 410 is not in the file",
            ],
        ),
        (
            STATUSES,
            CATALOGUE,
            PROBLEMS.replace("| 401 | `unauthorized`", "| 403 | `unauthorized`"),
            [
                "unauthorized with 401 is not in docs/problems.md",
                "unauthorized with 403 is not in the catalogue",
                "unauthorized with 403 is not in the file",
            ],
        ),
    ],
    ids=["declared", "catalogue", "documented"],
)
def test_a_status_that_only_one_place_has_is_named(
    declared: Any, catalogue: Any, documented: str, complaints: list[str]
) -> None:
    assert status_complaints(declared, catalogue, documented) == complaints


def test_a_copy_that_is_not_the_file_byte_for_byte_is_named() -> None:
    """The comparison of the served contract, and of the wheel's, with the file."""
    raw = CONTRACT.raw
    copies = {"the tree": raw, "the service": raw, "the wheel": raw}
    assert byte_complaints(copies) == []
    for name in ("the service", "the wheel"):
        for other in (raw + b"\n", raw[:-1], raw.replace(b"\n", b"\r\n"), b""):
            complaints = byte_complaints(copies | {name: other})
            assert complaints == [f"the contract of {name} is not the tree's"]
