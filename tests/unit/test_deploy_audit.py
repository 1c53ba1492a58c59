"""``make audit``: an advisory service that does not answer in JSON is not reachable."""

from __future__ import annotations

import runpy
from pathlib import Path
from subprocess import CompletedProcess

import pytest

PATH = Path(__file__).resolve().parents[2] / "deploy" / "audit" / "audit.py"
NOT_JSON = (
    "Traceback (most recent call last):\nrequests.exceptions.JSONDecodeError: Expecting value"
)
BROKEN_LOCK = "ERROR:pip_audit._cli:requirement click is not pinned"
FOUND = """{"dependencies": [
  {"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]},
  {"name": "b", "skip_reason": "unknown"}]}"""


def audited(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], out: str, err: str = ""
) -> tuple[int, list[str]]:
    """The exit code, and the lines about the lock files, of an audit of which the tool says so."""
    names = runpy.run_path(str(PATH))
    main = names["main"]
    done = CompletedProcess((), 1, out, err)
    monkeypatch.setitem(main.__globals__, "module", lambda *command: done)
    monkeypatch.setitem(main.__globals__, "sbom", lambda: PATH)
    status = main()
    return status, capsys.readouterr().out.splitlines()[1:]


def test_where_the_service_does_not_answer_nothing_is_audited_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, lines = audited(monkeypatch, capsys, "", NOT_JSON)
    assert status == 0 and lines
    assert all("not audited" in line and "Expecting value" in line for line in lines)


def test_a_vulnerability_fails_the_audit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, lines = audited(monkeypatch, capsys, FOUND)
    assert status == 1
    assert lines[:2] == [
        "requirements-clients.lock: 1 packages audited,"
        " and 1 not: the advisory service does not know them",
        "  a 1: X-1, repaired in 2",
    ]


def test_a_lock_file_that_the_tool_refuses_fails_the_audit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="click is not pinned"):
        audited(monkeypatch, capsys, "", BROKEN_LOCK)
