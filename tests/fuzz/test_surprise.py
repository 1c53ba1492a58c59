"""An operation of tomorrow, which no table and no builder knows, fails the run by name."""

from __future__ import annotations

import copy
import json

import pytest

from server.contract.document import METHODS, Contract
from tests.factories import node_id
from tests.fuzz import directed as cases
from tests.fuzz import tally
from tests.fuzz.exchange import CONTRACT
from tests.fuzz.scratch import Scratch
from tests.fuzz.tally import Tally
from tests.fuzz.world import World

NODES = [str(node_id(number)) for number in range(1, 5)]
WORLD = World(
    tokens=dict.fromkeys(NODES, "agent"),
    digests=dict.fromkeys(NODES, ""),
    stranger="stranger",
    operator="operator",
    domain_ids=NODES,
    scratch=Scratch(rotating=NODES, keys={NODES[-1]: "key"}, holding=NODES, held=NODES),
)


@pytest.fixture
def surprises(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of one more of every operation, each at a path of its own."""
    document = copy.deepcopy(CONTRACT.document)
    names = []
    for path, item in CONTRACT.document["paths"].items():
        more = document["paths"][f"/surprise{path}"] = copy.deepcopy(item)
        for method in more.keys() & set(METHODS):
            names.append(f"{more[method]['operationId']}Surprise")
            more[method]["operationId"] = names[-1]
    contract = Contract(json.dumps(document).encode())
    for module in (cases, tally):
        monkeypatch.setattr(module, "CONTRACT", contract)
    return names


def test_an_operation_of_every_kind_that_nothing_knows_is_named(surprises: list[str]) -> None:
    complaints = Tally().complaints()
    for name in surprises:
        assert f"{name} is in no fuzz table" in complaints
        assert f"{name}: never fuzzed" in complaints


def test_directed_cases_that_no_builder_knows_are_left_out(surprises: list[str]) -> None:
    asked = {(case.operation_id, case.status) for case in cases.directed(WORLD)}
    assert {(name, 500) for name in surprises} <= asked
    assert not {status for name, status in asked if name in surprises} & {204, 304, 409}


def test_a_path_with_a_parameter_that_nothing_fills_has_no_directed_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = copy.deepcopy(CONTRACT.document)
    item = document["paths"].pop("/v1/domains/{domain_id}")
    text = json.dumps(item).replace("/parameters/DomainId", "/parameters/GrantId")
    document["components"]["parameters"]["GrantId"] = {
        **document["components"]["parameters"]["DomainId"],
        "name": "grant_id",
    }
    document["paths"]["/v1/grants/{grant_id}"] = json.loads(text)
    monkeypatch.setattr(cases, "CONTRACT", Contract(json.dumps(document).encode()))
    every = list(cases.directed(WORLD))
    assert every and not [case for case in every if case.operation_id == "GetDomain"]
