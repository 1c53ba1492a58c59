"""Schemathesis can make requests from the contract."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.fuzz.exchange import CONTRACT


@pytest.mark.parametrize("name", CONTRACT.operations)
def test_valid_requests_can_be_made_for(name: str) -> None:
    declared, document = CONTRACT.operations[name], copy.deepcopy(CONTRACT.document)
    # its own: schemathesis.toml of this repository is for a service, and wants a token
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config())
    operation = schema[declared.path][declared.method]
    made: list[Any] = []

    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE))
    @settings(
        max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    def make(case: Any) -> None:
        made.append(case.path_parameters)

    make()
    assert made
    if "{id}" in declared.path:
        uuid = re.compile(document["components"]["schemas"]["NodeUuid"]["pattern"])
        assert all(uuid.fullmatch(parameters["id"]) for parameters in made)
