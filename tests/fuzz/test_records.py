"""A run's files say what the run says: a CI that reads JUnit alone sees every complaint."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.client import bearer
from tests.fuzz.exchange import CONTRACT, Exchange
from tests.fuzz.outcome import Outcome
from tests.fuzz.records import LONGEST_BODY, record
from tests.fuzz.tally import Tally

STATUSES = {
    f"{n} {status}"
    for n, operation in CONTRACT.operations.items()
    for status in operation.responses
}
SEEN = "GetLivez 200: declared and never seen"
CODE = "GetNodeState 503 authz_unavailable: declared and never seen"
OTHER = "the service faulty: StackError: no port is free"
QUOTING = "GET /v1/\0 -> 404"
SCHEMATHESIS = (
    '<testsuites tests="1" failures="0" errors="0"><testsuite name="schemathesis">'
    '<testcase name="GET /livez"/></testsuite></testsuites>'
)


def recorded(folder: Path, *complaints: str, directed: tuple[Exchange, ...] = ()) -> None:
    record(folder, Outcome(Tally(), list(complaints), 1.0, directed), 7)


def failed(folder: Path) -> dict[str | None, str | None]:
    """Message by case, of the whole file."""
    every = ElementTree.parse(folder / "junit.xml").iter("testcase")
    return {
        case.get("name"): part.get("message") for case in every for part in case.iter("failure")
    }


@pytest.mark.parametrize("before", [SCHEMATHESIS, None], ids=["beside its own", "alone"])
def test_every_status_is_a_case_and_so_is_every_other_complaint(
    tmp_path: Path, before: str | None
) -> None:
    if before is not None:
        (tmp_path / "junit.xml").write_text(before)
    recorded(tmp_path, SEEN, CODE, OTHER, QUOTING)
    legal = QUOTING.replace("\0", "?")
    expected = {"GetLivez 200": SEEN, "GetNodeState 503": CODE, OTHER: OTHER, legal: legal}
    assert failed(tmp_path) == expected
    root = ElementTree.parse(tmp_path / "junit.xml").getroot()
    (suite,) = root.findall("testsuite[@name='contract']")
    names = {case.get("name") for case in suite.iter("testcase")}
    assert names == {*STATUSES, OTHER, legal}
    assert root.get("failures") == suite.get("failures") == "4"
    assert int(root.get("tests") or 0) == len(names) + (before is not None)


def test_a_run_without_complaints_fails_no_case(tmp_path: Path) -> None:
    recorded(tmp_path)
    assert failed(tmp_path) == {}


def test_directed_requests_are_kept_without_their_tokens(tmp_path: Path) -> None:
    sent = {"authorization": bearer("secret")["Authorization"]}
    body = b"x" * 5_000
    recorded(tmp_path, directed=(Exchange("GET", "/livez?a=1", sent, 200, {}, body),))
    text = (tmp_path / "directed.har").read_text()
    (kept,) = json.loads(text)["log"]["entries"]
    assert kept["request"]["queryString"] == [{"name": "a", "value": "1"}]
    assert kept["response"]["status"] == 200
    assert kept["response"]["content"]["size"] == 5_000
    assert len(kept["response"]["content"]["text"]) == LONGEST_BODY
    assert "secret" not in text


def test_the_tables_are_kept_as_text(tmp_path: Path) -> None:
    recorded(tmp_path, OTHER)
    text = (tmp_path / "tables.txt").read_text()
    for sentence in ("ListDomainAudit", "2xx or 304 of valid", "answers/s", "Revalidate", "seed 7"):
        assert sentence in text
    assert f"FAILED {OTHER}" in text
