"""The options of ``make run``, on their way to the service."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.dev import run
from server.dev.process import StackError
from server.settings import SettingsError, read_settings
from tests.command_runs import run as command

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of every stack that would have been started."""
    found: list[dict[str, Any]] = []

    def stack(folder: Path, **options: Any) -> None:
        found.append(options)
        raise StackError("not in a unit test.")

    monkeypatch.setattr(run, "Stack", stack)
    return found


def test_history_is_passed_to_the_service(
    made: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in (["--history", "3"], []):
        monkeypatch.setattr(sys, "argv", ["server.dev", *arguments])
        with pytest.raises(StackError):
            runpy.run_module("server.dev", run_name="__main__")
    command("dev", "--history", "7")
    assert [options["env"]["PLEXSPHERE_HISTORY"] for options in made] == ["3", "0", "7"]


@pytest.mark.parametrize("history", [-1, 101])
def test_more_bodies_than_the_service_keeps_are_refused(
    history: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run.run_dev(history=history, folder=tmp_path) == 1
    assert (
        f"PLEXSPHERE_HISTORY must be a whole number from 0 to 100, not {history}"
        in capsys.readouterr().err
    )
    with pytest.raises(SettingsError):
        read_settings({"PLEXSPHERE_HISTORY": str(history)})


def test_make_run_passes_on_the_options_of_make_help() -> None:
    def make(*arguments: str) -> str:
        done = subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True)
        return done.stdout

    assert "HISTORY=3" in next(line for line in make("help").splitlines() if "make run " in line)
    assert "--history 5 " in make("--dry-run", "run", "HISTORY=5").replace("\\\n", "")
