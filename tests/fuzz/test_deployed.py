"""The run against a deployed service says each fault as a complaint that a person can repeat."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
import requests

from tests.fuzz import __main__ as by_hand
from tests.fuzz import deployed
from tests.fuzz.complaints import ANY_ID, failures
from tests.fuzz.deployed import Target, fuzz

NOBODY = "http://127.0.0.1:1"
FAILURE = """1. Test Case ID: aBc1

- Undocumented HTTP status code

[418] I'm a teapot:

    `&lt;EMPTY&gt;`

Reproduce with:

    curl -X POST -H 'Authorization: [Filtered]' -d '{}' http://127.0.0.1:1/v1/domains

2. Test Case ID: dEf2

- Server error

Reproduce with:

    curl -X POST -d '[]' http://127.0.0.1:1/v1/domains
"""


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path / "deployed", NOBODY, "secret", 1, 7)


def test_an_unreachable_service_is_one_complaint_with_all_that_repeats_it(target: Target) -> None:
    (found,) = fuzz(target)
    reason, place, curl = found.split("\n  ")
    assert reason == "GetLivez: no answer: ConnectionError"
    assert place == "seed 7, api/plexsphere-v1.yaml#/paths/~1livez/get"
    assert shlex.split(curl)[0] == "curl"
    assert shlex.split(curl)[-1] == f"{NOBODY}/livez"
    assert "secret" not in found


def test_a_refused_token_is_a_complaint_and_no_run_without_rights(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = requests.Response()
    refused.status_code = 401
    monkeypatch.setattr(requests, "get", lambda url, **options: refused)
    monkeypatch.setattr(deployed, "command", lambda target: pytest.fail("it must not start"))
    (found,) = fuzz(target)
    assert "401: TOKEN must be a JWT" in found


def test_reports_of_an_earlier_run_are_removed_first(target: Target) -> None:
    target.folder.mkdir()
    (target.folder / "junit.xml").write_text("<testsuites/>")
    fuzz(target)
    assert not list(target.folder.iterdir())


def test_each_failure_is_a_complaint_with_operation_seed_pointer_and_curl(target: Target) -> None:
    target.folder.mkdir()
    case = f'<testcase name="POST /v1/domains"><failure>{FAILURE}</failure></testcase>'
    lost = '<testcase name="GET /v1/nodes/{id}/state"><error>no answer</error></testcase>'
    (target.folder / "junit.xml").write_text(f"<testsuites>{case}{lost}</testsuites>")
    first, second, third = failures(target.folder / "junit.xml", target.again)
    assert "CreateDomain: Test Case ID: aBc1 - Undocumented HTTP status code" in first
    assert "seed 7, api/plexsphere-v1.yaml#/paths/~1v1~1domains/post" in first
    assert "[Filtered]" not in first
    assert '-H "Authorization: Bearer $TOKEN" -d ' in first
    assert "Server error" not in first
    assert second.endswith("curl -X POST -d '[]' http://127.0.0.1:1/v1/domains")
    assert third.startswith("GetNodeState: no answer")
    assert third.endswith(f"{NOBODY}/v1/nodes/{ANY_ID}/state")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("print('Exception in thread Thread-1')", "lost 1 workers"),
        ("raise SystemExit(2)", "Schemathesis ended with 2; seed 7"),
    ],
)
def test_a_schemathesis_that_breaks_is_a_complaint(
    target: Target, monkeypatch: pytest.MonkeyPatch, code: str, sentence: str
) -> None:
    monkeypatch.setattr(deployed, "probe", lambda target: None)
    monkeypatch.setattr(deployed, "command", lambda target: [sys.executable, "-c", code])
    (found,) = fuzz(target)
    assert sentence in found


@pytest.mark.parametrize(
    "arguments",
    [["--url", NOBODY], ["--token", "secret"], ["--url", "service:8080", "--token", "secret"]],
)
def test_half_an_address_is_refused_with_the_right_form(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        by_hand.main(arguments)
    assert ended.value.code == 2
    assert "--url" in capsys.readouterr().err.splitlines()[-1]


def test_a_run_that_breaks_is_a_complaint(
    target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(target: Target) -> list[str]:
        raise OSError("the disk is full")

    monkeypatch.setattr(by_hand, "fuzz", full)
    assert by_hand.report(target) == 1
    assert "FAILED the run: OSError: the disk is full; seed 7" in capsys.readouterr().out
