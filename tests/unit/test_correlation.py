"""The id of one exchange: the caller's where it is well-formed, else made here."""

from __future__ import annotations

import json
import re

import pytest

from tests.factories import node_id
from tests.ports.in_process import FakeService

SHARED = FakeService()


@pytest.mark.parametrize("value", ["tick-1", "a", "A.b_c-9", "x" * 128])
@pytest.mark.parametrize("path", ["/livez", "/nowhere", f"/v1/nodes/{node_id(1)}/state"])
def test_a_well_formed_correlation_id_is_kept(value: str, path: str) -> None:
    answer = SHARED.ask(path, headers={"X-Correlation-Id": value})
    assert answer.headers.getlist("X-Correlation-Id") == [value]


ILL_FORMED = ["", " ", "a b", "x" * 129, "é", "a\xff", "a;b", "<script>", "\u0661", "a,b", "a/b"]


@pytest.mark.parametrize("value", ILL_FORMED, ids=ascii)
def test_an_ill_formed_correlation_id_is_replaced(value: str) -> None:
    text = value.encode("utf-8").decode("latin-1")
    made = SHARED.ask("/livez", headers={"X-Correlation-Id": text}).headers["X-Correlation-Id"]
    assert re.fullmatch("[0-9a-f]{32}", made)


def test_every_request_without_a_correlation_id_is_given_one_of_its_own() -> None:
    made = {SHARED.ask("/livez").headers["X-Correlation-Id"] for _ in range(5)}
    assert len(made) == 5


@pytest.mark.parametrize("path", ["/nowhere", f"/v1/nodes/{node_id(1)}/state"])
def test_a_problem_names_the_correlation_id_of_its_header(path: str) -> None:
    answer = SHARED.ask(path)
    assert json.loads(answer.data)["correlation_id"] == answer.headers["X-Correlation-Id"]


def test_an_audit_row_names_the_correlation_id_of_its_answer() -> None:
    service = FakeService()
    answer = service.pull()
    assert [row.correlation_id for row in service.audit.rows] == [
        answer.headers["X-Correlation-Id"]
    ]
