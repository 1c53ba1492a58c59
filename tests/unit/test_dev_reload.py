"""What was saved is checked once it is whole, and served only when it would start."""

from __future__ import annotations

import os
from typing import Any

import pytest

from server.dev import reload
from server.dev.reload import Reloader


class Tree:
    """Files' times, what a check says of them, and what came of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = {"api": 1, "handlers": 1}
        self.complaints: list[str] = []
        self.while_checking: dict[str, int] = {}
        self.checks = 0
        self.signals: list[int] = []
        self.said: list[str] = []
        monkeypatch.setattr(reload, "_times", lambda: self.times.items())
        monkeypatch.setattr(reload, "check", self._check)
        monkeypatch.setattr(os, "kill", lambda pid, number: self.signals.append(pid))
        self.reloader = Reloader({}, lambda: 7, self.said.append)

    def _check(self, settings: Any) -> list[str]:
        self.checks += 1
        self.times = {**self.times, **self.while_checking}
        self.while_checking = {}
        return self.complaints

    def poll(self, times: int = 1) -> tuple[int, list[int]]:
        for _ in range(times):
            self.reloader.poll()
        return self.checks, self.signals


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> Tree:
    return Tree(monkeypatch)


def test_nothing_is_done_while_nothing_is_saved(tree: Tree) -> None:
    assert tree.poll(3) == (0, [])


def test_what_was_saved_is_checked_once_and_served(tree: Tree) -> None:
    tree.times = {"api": 2, "handlers": 1}
    assert tree.poll(5) == (1, [7])
    # the signal is sent, and nobody has answered yet
    assert tree.said == ["what was saved would boot: new workers start with it and take over"]


def test_nothing_is_checked_while_files_are_still_being_written(tree: Tree) -> None:
    for number in range(2, 6):
        tree.times = {"api": number, "handlers": 1}
        assert tree.poll() == (0, [])
    assert tree.poll() == (1, [7])


def test_what_was_saved_during_a_check_is_checked_before_anything_is_served(tree: Tree) -> None:
    tree.times = {"api": 2, "handlers": 1}
    tree.while_checking = {"handlers": 2}
    assert tree.poll(2) == (1, [])
    assert tree.poll(2) == (2, [7])


def test_what_would_not_start_is_told_once_and_the_old_version_goes_on(tree: Tree) -> None:
    tree.complaints = ["api/plexsphere-v1.yaml:1:1: wrong"]
    tree.times = {"api": 2, "handlers": 1}
    assert tree.poll(5) == (1, [])
    assert tree.said == [
        "not reloaded, the old version goes on serving:",
        "  api/plexsphere-v1.yaml:1:1: wrong",
    ]
