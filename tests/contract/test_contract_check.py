"""A contract that cannot be served is refused in one line that leads to the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers import OPERATIONS
from server.authoring.contract_check import contract_complaints
from server.contract.document import Contract

ROOT = Path(__file__).resolve().parents[2]
RAW = Contract.packaged().raw
TEXT = RAW.decode()


def line_of(text: str, needle: str) -> int:
    """The number of the first line that holds ``needle``, from 1."""
    return next(n for n, line in enumerate(text.splitlines(), 1) if needle in line)


def test_the_committed_contract_has_nothing_to_complain_about() -> None:
    assert contract_complaints(RAW, OPERATIONS) == []


@pytest.mark.parametrize(
    ("old", "new", "at", "complaint"),
    [
        ("operationId: GetLivez", "operationId: GetLives", "GetLives", "GetLives of the contract"),
        ("openapi: 3.0.3", "openapi: 3.1.0", "openapi: 3.1.0", "3.1.0"),
        ("  - url: /\n", "  - url: [/\n", "url: [/", "expected"),
        ("schemas/Timestamp'", "schemas/Timestmap'", "Timestmap'", "points to nothing"),
        ("summary: Is the", "summary: a\n      summary: Is the", "summary: Is the", "repeated"),
        ("      operationId: GetLivez\n", "", "  /livez:", "no operationId"),
        ("format: int32", "format: int33", "int33", "int33"),
        (
            "  /v1/nodes/{id}/state:\n",
            "  /v1/nodes/{node}/state:\n",
            "  /v1/nodes/{node}/state:",
            "does not name the parameters",
        ),
        (
            "        - $ref: '#/components/parameters/IfNoneMatch'\n",
            "        - $ref: '#/components/parameters/IfNoneMatch'\n"
            "        - { name: lim, in: query, schema: { type: integer } }\n",
            "operationId: GetNodeState",
            "the handler takes",
        ),
        ("operationId: GetHealth", "operationId: GetReadyz", "/v1/health", "repeated"),
    ],
    ids=[
        "handler",
        "version",
        "syntax",
        "reference",
        "duplicate",
        "nameless",
        "format",
        "path",
        "query",
        "twice",
    ],
)
def test_an_edit_that_cannot_be_served_is_named_with_its_place(
    old: str, new: str, at: str, complaint: str
) -> None:
    edited = TEXT.replace(old, new, 1)
    assert edited != TEXT
    complaints = contract_complaints(edited.encode(), OPERATIONS)
    assert any(complaint in line for line in complaints), complaints
    named = next(line for line in complaints if complaint in line)
    file, line, column, _ = named.split(":", 3)
    assert file == "api/plexsphere-v1.yaml" and int(column) > 0
    assert abs(int(line) - line_of(edited, at)) <= 3, (named, line_of(edited, at))


def test_a_handler_without_an_operation_is_named() -> None:
    handlers = {**OPERATIONS, "GetNothing": OPERATIONS["GetLivez"]}
    assert any("GetNothing" in complaint for complaint in contract_complaints(RAW, handlers))


def test_a_handler_that_the_file_no_longer_names_is_told_where_it_is_bound() -> None:
    edited = TEXT.replace("operationId: GetLivez", "operationId: GetLives", 1)
    index = (ROOT / "handlers" / "__init__.py").read_text()
    complaints = contract_complaints(edited.encode(), OPERATIONS)
    place = f"handlers/__init__.py:{line_of(index, 'GetLivez')}:9"
    assert complaints[1:] == [f"{place}: handler GetLivez has no operation in the contract"]


def test_a_document_that_is_none_is_refused() -> None:
    assert contract_complaints(b"", OPERATIONS) == [
        "api/plexsphere-v1.yaml:1:1: not an OpenAPI document"
    ]
