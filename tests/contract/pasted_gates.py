"""The gates a new operation has to pass, for those alone that were pasted into a tree.

`test_scaffold.py` runs it in that tree; here there is nothing to run it on.
"""

from __future__ import annotations

from typing import get_type_hints
from unittest import mock

import pytest

from handlers import OPERATIONS
from handlers.node_state import refuse_pull
from handlers.refusals import CATALOGUE
from server.contract import Contract
from server.contract_check import contract_complaints
from server.metrics import Metrics
from server.operations import gate_of
from server.settings import Settings
from server.wiring_ports import ADAPTERS, Shared, operation_ports
from tests.bodies import JSON, body_now
from tests.contract.answer_drift import answer_complaints, body_complaints
from tests.contract.answered import ANSWERED, nothing
from tests.contract.attacked import ATTACKED, NEVER_GRANTED
from tests.contract.drift import (
    code_complaints,
    relation_complaints,
    status_complaints,
    table_complaints,
)
from tests.contract.scaffolded import SAMPLES
from tests.contract.tables import AUTHZ, TABLES
from tests.contract.test_drift_answers import Recorder
from tests.contract.test_drift_codes import CODES, PROBLEMS, STATUSES
from tests.ports.asking import path_of, query_of
from tests.ports.in_process import FakeService

CONTRACT = Contract.packaged()
NAMES = [one.name for one in SAMPLES.values()]
SECURED = [name for name in NAMES if CONTRACT.operations[name].secured]


@pytest.fixture(scope="module")
def service() -> FakeService:
    return FakeService()


def asked(service: FakeService, name: str, who: int | None = 1, query: str = "") -> int:
    body = body_now(name)
    given = {} if body is None else {"data": body, "headers": JSON}
    query = f"{query_of(name)}&{query}"
    method = CONTRACT.operations[name].method
    answer = service.ask(path_of(name), who, method, query_string=query, **given)
    return answer.status_code


def test_the_service_would_start() -> None:
    assert contract_complaints(CONTRACT.raw, OPERATIONS) == []


def test_every_table_has_a_row() -> None:
    assert table_complaints([*CONTRACT.operations], TABLES) == []
    assert relation_complaints(SECURED, AUTHZ, NEVER_GRANTED) == []


def test_every_code_is_in_every_place_with_its_status() -> None:
    assert code_complaints(CODES, CATALOGUE, PROBLEMS) == []
    assert status_complaints(STATUSES, CATALOGUE, PROBLEMS) == []


@pytest.mark.parametrize("name", NAMES)
def test_it_reaches_its_2xx(service: FakeService, name: str) -> None:
    assert asked(service, name) == ATTACKED[name].granted


@pytest.mark.parametrize("name", NAMES)
def test_it_takes_no_other_query(service: FakeService, name: str) -> None:
    assert asked(service, name, query="x=1") == 400


@pytest.mark.parametrize("name", SECURED)
def test_nobody_and_a_stranger_are_turned_away(service: FakeService, name: str) -> None:
    assert [asked(service, name, who) for who in (None, 2)] == [401, 403]


def test_without_its_ports_it_is_refused() -> None:
    bare = FakeService(provisioned=False)
    assert {asked(bare, name) for name in NAMES} == {501}


@pytest.mark.parametrize("name", NAMES)
def test_its_ports_are_wired_and_on_the_receipt(name: str) -> None:
    parts = [mock.Mock() for _ in range(6)]
    wired = operation_ports(Shared(Settings(), Metrics(), *parts))
    ports = get_type_hints(OPERATIONS[name])["ports"]
    assert ports in wired
    assert gate_of(OPERATIONS[name]) not in (None, refuse_pull)  # which the wiring falls back to
    asked_for = set(get_type_hints(ports).values()) - {type(None)}
    assert any(one.__name__ in ADAPTERS for one in asked_for)


def test_its_answers_and_its_body_are_as_declared() -> None:
    rows = {name: ANSWERED[name] for name in NAMES if ANSWERED[name] is not nothing}
    recorder = Recorder(rows)
    paths = {
        path: {method: one for method, one in item.items() if one["operationId"] in NAMES}
        for path, item in CONTRACT.document["paths"].items()
    }
    document = {**CONTRACT.document, "paths": paths}
    assert len(recorder.given) == len(rows)
    assert answer_complaints(document, recorder.given) == []
    assert body_complaints(document, recorder.reads, ()) == []
