"""Pins may not grow with what they pin: held against what was committed before."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.contract.pins import DECIDED, FILE, Pins, earlier_pins, growth_complaints

ROOT = Path(__file__).resolve().parents[2]
LIST, OTHER = "rules that are off", "lines that are overlooked"
AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")
Commit = Callable[[Pins | None], None]


def test_no_list_is_longer_than_it_was() -> None:
    now = yaml.safe_load((ROOT / FILE).read_text())
    assert growth_complaints(now, earlier_pins(ROOT), ROOT) == []


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *AUTHOR, *arguments], cwd=folder, check=True, capture_output=True)


def write(folder: Path, pins: Pins) -> None:
    (folder / FILE).parent.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(yaml.safe_dump(dict(pins)))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """With a commit that pins two entries, on the branch it was cloned from."""
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "--initial-branch=main")
    write(origin, {LIST: ["a", "b"], OTHER: []})
    git(origin, "add", ".")
    git(origin, "commit", "--message=first")
    git(tmp_path, "clone", str(origin), "clone")
    return tmp_path / "clone"


def complaints(folder: Path) -> list[str]:
    now = yaml.safe_load((folder / FILE).read_text())
    return growth_complaints(now, earlier_pins(folder), folder)


def commit(folder: Path, pins: Pins) -> None:
    write(folder, pins)
    git(folder, "commit", "--all", "--message=more")


MORE = {LIST: ["a", "b", "c"], OTHER: []}
NAMED = [f"{LIST}: c was not there before, and no decision speaks of it"]


def test_an_entry_more_is_named_before_it_is_committed(clone: Path) -> None:
    write(clone, MORE)
    assert complaints(clone) == NAMED


def test_an_entry_more_is_named_in_the_commit_that_brings_it(clone: Path) -> None:
    commit(clone, MORE)
    assert complaints(clone) == NAMED


def test_an_entry_more_is_named_in_every_commit_until_the_branch_has_arrived(clone: Path) -> None:
    commit(clone, MORE)
    (clone / "another").touch()
    git(clone, "add", ".")
    git(clone, "commit", "--message=another")
    assert complaints(clone) == NAMED


def test_a_list_that_is_shorter_or_new_is_fine(clone: Path) -> None:
    commit(clone, {LIST: ["a"], OTHER: [], "a new list": ["x"]})
    assert complaints(clone) == []


@pytest.mark.parametrize(("text", "expected"), [("why `c` is off", []), ("why d is off", NAMED)])
def test_an_entry_more_needs_a_decision_that_names_it(
    clone: Path, text: str, expected: list[str]
) -> None:
    decision = clone / "docs" / "decisions" / "0001-why.md"
    decision.parent.mkdir(parents=True)
    decision.write_text(text)
    write(clone, {**MORE, DECIDED: {LIST: {"c": "0001-why"}}})
    assert complaints(clone) == expected


def test_a_decision_on_an_entry_that_is_gone_goes_with_it(clone: Path) -> None:
    write(clone, {LIST: ["a"], OTHER: [], DECIDED: {LIST: {"b": "0001-why"}}})
    assert complaints(clone) == [f"{LIST}: b is decided on, and not there"]


def test_a_decision_that_is_not_there_excuses_nothing(clone: Path) -> None:
    write(clone, {**MORE, DECIDED: {LIST: {"c": "0002-why"}}})
    assert complaints(clone) == NAMED


def test_a_clone_without_history_compares_with_what_it_has(clone: Path, tmp_path: Path) -> None:
    commit(clone, MORE)
    git(tmp_path, "clone", "--depth=1", f"file://{clone}", "shallow")
    assert complaints(tmp_path / "shallow") == []
    write(tmp_path / "shallow", {**MORE, OTHER: ["x"]})
    assert complaints(tmp_path / "shallow") == [
        f"{OTHER}: x was not there before, and no decision speaks of it"
    ]


def test_outside_a_clone_there_is_nothing_to_compare_with(clone: Path) -> None:
    write(clone, MORE)
    shutil.rmtree(clone / ".git")
    assert earlier_pins(clone) == [] == complaints(clone)


def test_a_folder_of_another_repository_has_no_history_of_its_own(clone: Path) -> None:
    inner = clone / "inner"
    write(inner, MORE)
    assert earlier_pins(inner) == []


def test_without_git_there_is_nothing_to_compare_with(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert earlier_pins(clone) == []
