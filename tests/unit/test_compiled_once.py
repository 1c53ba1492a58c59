"""Schemas are compiled at the start, and what was found valid stays so through the application."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from server.contract.document import Contract
from server.contract.schemas import Validator
from tests.factories import node_id
from tests.ports.in_process import FakeService

PATHS = (
    f"/v1/nodes/{node_id(1)}/state",
    f"/v1/nodes/{node_id(2)}/state",  # a 403
    "/v1/nodes/x/state",
    "/v1/version",
    "/v1/nowhere",
)


def test_no_request_compiles_a_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService()
    compiled: list[object] = []
    original = jsonschema_rs.Draft4Validator

    def counted(document: object, **options: Any) -> object:
        compiled.append(document)
        return original(document, **options)

    monkeypatch.setattr(jsonschema_rs, "Draft4Validator", counted)
    for path in PATHS:
        assert service.ask(path, 1).status_code in (200, 400, 403, 404)
    assert compiled == []
    Contract(Contract.packaged().raw)
    assert len(compiled) > 50


def test_the_second_pull_of_the_same_state_validates_none_of_its_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = FakeService()
    first = service.pull(1)
    seen: list[object] = []
    original = Validator.fault

    def counted(self: Validator, value: object) -> Any:
        seen.append(value)
        return original(self, value)

    monkeypatch.setattr(Validator, "fault", counted)
    assert service.pull(1).data == first.data
    assert [value for value in seen if isinstance(value, list | dict)] == []
    assert seen  # its headers
