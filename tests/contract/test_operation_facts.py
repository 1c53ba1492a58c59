"""A declaration of an operation that the file lacks is reported, by name and place."""

from __future__ import annotations

import re

import pytest

from handlers import OPERATIONS
from server.authoring.contract_check import contract_complaints
from server.contract.document import Contract, OperationContract
from tests.contract.tables import AUTHZ

CONTRACT = Contract.packaged()
TEXT = CONTRACT.raw.decode()
ASKING = [name for name, relation in AUTHZ.items() if relation is not None]


def answers_json_beside_201(operation: OperationContract) -> bool:
    """The file that is told of has no 201, and what answers no JSON negotiates nothing."""
    return any(
        "application/json" in response.media
        for status, response in operation.responses.items()
        if status != 201
    )


# Operation by status, of those that can answer it.
CAN_ANSWER = {
    201: ["CreateDomain", "RegisterNode", "IssueBootstrapToken", "PostRegister"],
    304: ["GetNodeState", "GetNodeSnapshot", "GetDocsScript", "GetDocsStyle"],
    401: ASKING,
    403: [*ASKING, "PostRegister"],
    404: [
        *(name for name in ASKING if "{" in CONTRACT.operations[name].path),
        "PostRegister",
    ],
    406: [
        name
        for name, operation in CONTRACT.operations.items()
        if answers_json_beside_201(operation)
    ],
    503: [*ASKING, "PostRegister", "GetReadyz", "GetHealth"],
}


# The document's and those of the operations that take two credentials.
SECURITY = r" *security:\n(?: +- node\w+: .*\n)+"


def complaints_without(edit: str, instead: str = "") -> list[str]:
    """The complaints about a file in which every match of a pattern is something else."""
    text, times = re.subn(edit, instead, TEXT)
    assert times
    return contract_complaints(text.encode(), OPERATIONS)


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    """Of a file that declares none of these statuses anywhere."""
    return complaints_without(
        rf"        '({'|'.join(map(str, CAN_ANSWER))})': \{{ \$ref: '.*' \}}\n"
    )


@pytest.mark.parametrize("status", CAN_ANSWER)
def test_a_status_is_told_of_every_operation_that_can_answer_it(
    complaints: list[str], status: int
) -> None:
    lines = [line.split(": ", 1)[1] for line in complaints if f" can answer {status}" in line]
    assert sorted(line.split()[0] for line in lines) == sorted(CAN_ANSWER[status])


def test_nothing_else_is_told_of_such_a_file(complaints: list[str]) -> None:
    assert len(complaints) == sum(map(len, CAN_ANSWER.values()))


def test_it_is_told_at_the_responses_of_its_operation() -> None:
    (pulled,) = complaints_without(r"(GetNodeState\n(?:.*\n)*?)        '403': .*\n", r"\1")
    line = TEXT[: TEXT.index("  '200':", TEXT.index("operationId: GetNodeState\n"))].count("\n") + 1
    assert pulled == (
        f"api/plexsphere-v1.yaml:{line}:9: GetNodeState can answer 403 insufficient_relation,"
        " which the contract does not allow: status 403 is not declared"
    )


def test_a_media_type_of_a_shared_refusal_is_told_once_at_its_word() -> None:
    """It is no answer that a client may ask for, and its headers are those of a refusal."""
    component = r"(    Unauthorized:\n(?:.*\n)*?        )application/problem"
    (complaint,) = complaints_without(component, r"\1application/xproblem")
    at = TEXT.index("application/problem+json", TEXT.index("    Unauthorized:\n"))
    assert complaint.startswith(f"api/plexsphere-v1.yaml:{TEXT[:at].count(chr(10)) + 1}:9: ")
    assert "media type not declared" in complaint


def test_a_code_of_a_gate_is_told_once_at_the_component_that_all_users_share() -> None:
    edit = "insufficient_relation", "unauthorized"
    complaints = complaints_without(
        rf"x-problem-codes: \[{edit[0]}\]", f"x-problem-codes: [{edit[1]}]"
    )
    before = TEXT[: TEXT.index("[insufficient_relation]")]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    first = next(name for name in CONTRACT.operations if name in ASKING)
    assert complaints == [
        f"api/plexsphere-v1.yaml:{line}:{column}: {first} and {len(ASKING) - 1} more can answer 403"
        " insufficient_relation, which the contract does not allow: body /code not declared for"
        " this status"
    ]


EVENT = "'#/components/schemas/Peer"
# What is edited behind a line, and what is told.
WORDS = [
    ("    OfDomain:\n", "domain_id", "domain", "the handler takes (domain_id: str | None = None)"),
    (
        "    EntryKey:\n",
        "string",
        "integer",
        "PutNodeStateReport and 5 more: the handler takes (key",
    ),
    ("    StaleSeconds:\n", "false", "true", "required, and there are answers without it"),
    (
        "    PullNotModified:\n",
        "ETag",
        "Tag",
        "GetNodeState 304: Tag is required, and is never sent",
    ),
    ("          peer_removed:", f"{EVENT}Removed", f"{EVENT}Added", "is not the schema of peer_re"),
    ("      discriminator:\n", "type", "kind", "the type of an event is in its member type"),
    ("    DomainCreated:\n", "application/json", "a/xml", "CreateDomain: sends application/json"),
]


@pytest.mark.parametrize(("after", "word", "instead", "sentence"), WORDS)
def test_a_word_that_many_share_is_told_once_where_it_stands(
    after: str, word: str, instead: str, sentence: str
) -> None:
    at = TEXT.index(word, TEXT.index(f"\n{after}"))
    text = TEXT[:at] + instead + TEXT[at + len(word) :]
    (complaint,) = contract_complaints(text.encode(), OPERATIONS)
    _, line, column, told = complaint.split(":", 3)
    assert sentence in told
    assert text.splitlines()[int(line) - 1][int(column) - 1 :].startswith(instead)


def test_a_gated_operation_without_security_is_told() -> None:
    (complaints,) = complaints_without(
        rf"(operationId: GetNodeState\n){SECURITY}", r"\1      security: []\n"
    )
    line = TEXT[: TEXT.index("operationId: GetNodeState\n")].count("\n") + 2
    assert complaints == (
        f"api/plexsphere-v1.yaml:{line}:17:"
        " GetNodeState is gated: without security every answer would be 401"
    )


def test_a_contract_without_security_is_told_of_every_gated_operation() -> None:
    complaints = complaints_without(SECURITY)
    assert [line.split()[1] for line in complaints if "is gated" in line] == [
        name for name in CONTRACT.operations if name in ASKING
    ]


TAGGED = "            ETag: { $ref: '#/components/headers/ETag' }\n"


def test_a_required_header_that_nobody_sends_is_told() -> None:
    (complaints,) = complaints_without(
        "(operationId: GetVersion\n(?:.*\n)*?          headers:\n)", rf"\1{TAGGED}"
    )
    text = TEXT[: TEXT.index("headers:", TEXT.index("operationId: GetVersion\n"))]
    assert complaints == (
        f"api/plexsphere-v1.yaml:{text.count(chr(10)) + 2}:13:"
        " GetVersion 200: ETag is required, and is never sent"
    )


def test_a_header_that_may_be_left_out_is_not_told() -> None:
    header = "            X-Rate: { schema: { type: integer }, description: What is left. }\n"
    edit = "(operationId: GetVersion\n(?:.*\n)*?          headers:\n)"
    assert complaints_without(edit, rf"\1{header}") == []
