"""Schemas are compiled at the start, and what was found valid stays so through the application."""

from __future__ import annotations

import os
from typing import Any

import jsonschema_rs
import pytest
from connexion.spec import OpenAPISpecification

from server.authoring import contract_check
from server.contract import document
from server.contract.document import Contract
from server.contract.schemas import Validator
from server.start import start
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


def test_a_start_reads_validates_and_compiles_the_contract_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("PLEXSPHERE_")]:
        monkeypatch.delenv(name)
    calls: list[str] = []

    def counted(function: Any, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            calls.append(name)
            return function(*arguments)

        return call

    for module in (contract_check, document):
        monkeypatch.setattr(module, "read_yaml", counted(document.read_yaml, "read"))
    shape = contract_check.shape_faults
    monkeypatch.setattr(contract_check, "shape_faults", counted(shape, "validate"))
    monkeypatch.setattr(OpenAPISpecification, "_validate_spec", counted(None, "Connexion"))
    monkeypatch.setattr(Contract, "__init__", counted(Contract.__init__, "compile"))
    monkeypatch.setattr(Contract, "packaged", counted(None, "read again"))
    service = start()
    service.close()
    assert calls == ["read", "validate", "compile"]
