"""Every key of an answer and every member of a body: declared, and sent or read. Or it is named."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from handlers import OPERATIONS
from handlers.answers import Answer
from handlers.operation import AnyOperation, OpenOperation
from server.contract.document import Contract
from tests.contract.answer_drift import (
    Given,
    Recorded,
    answer_complaints,
    body_complaints,
    json_answers,
)
from tests.contract.test_drift_values import WORDS
from tests.golden.operations.asking import Asker, cases
from tests.golden.operations.callers import GRANTED, NOBODY
from tests.golden.operations.service import WITHOUT_EVENT_KEYS
from tests.golden.operations.variants import VARIANTS
from tests.golden.operations.worlds import SOUND

DOCUMENT = Contract.packaged().document
# Members that agents send and nothing is done with; `test_allow_lists.py` lets it shrink only.
NOT_KEPT = frozenset(
    {
        "EnrolmentRequest.requested_resource_id",
        "NodeHeartbeatRequest.binary_checksum",
        "NodeHeartbeatRequest.binary_version",
        "NodeHeartbeatRequest.nat_summary",
    }
)
Edit = Callable[[Any], object]


class Recorder:
    """The real handlers, asked all that tests/golden/operations asks in a sound world by whoever
    may; keeps what they give and what they read."""

    def __init__(self) -> None:
        self.given: list[Given] = []
        self.reads: dict[str, dict[str, bool]] = {}
        asker = Asker(
            {name: self._recorded(name, operation) for name, operation in OPERATIONS.items()}
        )
        for name in VARIANTS:
            for case in cases(name):
                if case.world.name in (SOUND, WITHOUT_EVENT_KEYS) and case.caller in (
                    NOBODY,
                    *GRANTED,
                ):
                    asker.outcome(case)

    def _recorded(self, name: str, operation: AnyOperation) -> AnyOperation:
        def handler(*arguments: Any, **parameters: Any) -> Answer:
            answer = operation.handler(*arguments, **parameters)
            self.given.append(Given.of(name, answer))
            return answer

        if isinstance(operation, OpenOperation) or operation.parse is None:
            return replace(operation, handler=handler)
        reads_body = operation.parse

        def parse(*arguments: Any, **parameters: Any) -> Any:
            if "body" in parameters:
                body = parameters["body"]
                parameters["body"] = Recorded(body, self.reads.setdefault(name, {}))
            return reads_body(*arguments, **parameters)

        return replace(operation, handler=handler, parse=parse)


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder()


def edited(edit: Edit) -> Mapping[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    edit(document)
    return document


def schema(name: str, edit: Edit) -> Edit:
    return lambda document: edit(document["components"]["schemas"][name])


def added(name: str) -> Edit:
    return lambda declared: declared["properties"].update({name: {"type": "string"}})


def moved(name: str) -> Edit:
    return lambda declared: declared["properties"].update({name: declared["properties"].pop(name)})


def surprise(document: Any) -> None:
    """An operation of tomorrow, which nobody has paired yet."""
    (operation,) = document["paths"]["/v1/version"].values()
    document["paths"]["/v1/surprise"] = {"post": {**operation, "operationId": "PostSurprise"}}


def embodied(document: Any) -> None:
    surprise(document)
    body = document["paths"]["/v1/domains"]["post"]["requestBody"]
    document["paths"]["/v1/surprise"]["post"]["requestBody"] = body


def new_answer_complaints(recorder: Recorder, document: Mapping[str, Any]) -> list[str]:
    """The complaints that an edit alone causes."""
    before = answer_complaints(DOCUMENT, recorder.given, WORDS)
    after = answer_complaints(document, recorder.given, WORDS)
    return sorted({*after} - {*before})


def new_body_complaints(recorder: Recorder, document: Mapping[str, Any]) -> list[str]:
    before = body_complaints(DOCUMENT, recorder.reads, NOT_KEPT)
    return sorted({*body_complaints(document, recorder.reads, NOT_KEPT)} - {*before})


def test_every_answer_is_declared_and_every_declared_key_is_answered(recorder: Recorder) -> None:
    assert answer_complaints(DOCUMENT, recorder.given, WORDS) == []
    assert len(recorder.given) > 30


def test_every_answer_is_what_the_contract_declares(recorder: Recorder) -> None:
    operations = Contract.packaged().operations
    in_json = dict(json_answers(DOCUMENT))
    answers = [answer for answer in recorder.given if (answer.operation, answer.status) in in_json]
    assert {(answer.operation, answer.status) for answer in answers} == in_json.keys()
    for answer in answers:
        validator = operations[answer.operation].responses[answer.status].media["application/json"]
        assert validator.validator.fault(answer.value) is None, answer


def test_every_member_of_a_body_is_read(recorder: Recorder) -> None:
    assert body_complaints(DOCUMENT, recorder.reads, NOT_KEPT) == []
    assert recorder.reads.keys() >= {"PostNodeHeartbeat", "CreateDomain", "RegisterNode"}


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (schema("Domain", added("owner")), "Domain.owner: in no answer"),
        (
            schema("Domain", lambda declared: declared["required"].remove("created_at")),
            "Domain.created_at: in every answer, and not required",
        ),
        (
            schema("Domain", lambda declared: declared["required"].append("slug")),
            "Domain.slug: required, and left out of an answer",
        ),
        (
            schema("NodeKey", lambda declared: declared["properties"].pop("public_key")),
            "NodeKey.public_key: answered, and not declared",
        ),
        (schema("Domain", moved("name")), "Domain: the orders differ"),
        (
            schema("NodeStatePolicy", lambda declared: declared.pop("nullable")),
            "NodeStatePolicy: null, and the contract has it otherwise",
        ),
        (
            schema("NodeToken", lambda declared: declared.update(nullable=True)),
            "NodeToken: never null, and the contract has it otherwise",
        ),
        (
            schema(
                "HealthStatus",
                lambda declared: declared["properties"]["status"]["enum"].append("sick"),
            ),
            "HealthStatus.status: 'sick' is in no answer",
        ),
        (
            schema("Jwk", lambda declared: declared["properties"]["kty"]["enum"].remove("RSA")),
            "Jwk.kty: 'RSA' is in no enum",
        ),
        (
            schema("Version", lambda declared: declared.update(allOf=[])),
            "Version: allOf is a rule that nobody reads here",
        ),
        (schema("Version", lambda declared: declared.pop("type")), "Version: declares no type"),
        (surprise, "PostSurprise 200: never answered"),
    ],
)
def test_an_answer_that_parts_from_its_schema_is_named(
    recorder: Recorder, edit: Edit, complaint: str
) -> None:
    assert new_answer_complaints(recorder, edited(edit)) == [complaint]


def test_a_schema_that_no_answer_has_anything_of_is_named(recorder: Recorder) -> None:
    answers = [answer for answer in recorder.given if answer.operation != "ListDomainAudit"]
    complaints = answer_complaints(DOCUMENT, answers, WORDS)
    assert {
        "AuditEntry: in no answer",
        "AuditPage: in no answer",
        "ListDomainAudit 200: never answered",
    } <= {*complaints}


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (
            schema("NodeRequest", added("owner")),
            "RegisterNode: nothing reads NodeRequest.owner",
        ),
        (
            schema("NodeRequest", lambda declared: declared["properties"].pop("name")),
            "RegisterNode: reads name, which the body lacks",
        ),
        (
            schema("NodeRequest", lambda declared: declared["required"].remove("public_key")),
            "RegisterNode: reads NodeRequest.public_key as if always there",
        ),
        (
            schema("NodeRequest", lambda declared: declared["required"].append("name")),
            "RegisterNode: reads NodeRequest.name as if it could be absent",
        ),
        (
            schema("ReachabilityPolicy", added("grace")),
            "CreateDomain: nothing reads ReachabilityPolicy.grace",
        ),
        (
            schema(
                "NodeHeartbeatRequest", lambda declared: declared["properties"].pop("nat_summary")
            ),
            "NodeHeartbeatRequest.nat_summary is no member that nothing reads",
        ),
    ],
)
def test_a_body_that_parts_from_what_is_read_is_named(
    recorder: Recorder, edit: Edit, complaint: str
) -> None:
    complaints = new_body_complaints(recorder, edited(edit))
    assert complaint in complaints
    assert len({text.partition(": ")[2] for text in complaints}) == 1  # of each user of the schema


def test_a_body_that_nothing_reads_is_named(recorder: Recorder) -> None:
    complaints = new_body_complaints(recorder, edited(embodied))
    assert "PostSurprise: nothing reads DomainRequest.slug" in complaints
    assert {complaint.partition(": ")[0] for complaint in complaints} == {"PostSurprise"}
