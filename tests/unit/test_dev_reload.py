"""A saved tree is checked once it is whole, and served only when it would start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from server.dev import reload
from server.dev.reload import BUSY_POLLS, IDLE_POLLS, FrozenTrees, Reloader, Stamps

WOULD_BOOT = "the saved files boot: new workers start with them"
REFUSED = ["not reloaded, the old version is still served:", "  api/plexsphere-v1.yaml:1:1: wrong"]


class Trees(FrozenTrees):
    """Takes nothing: a tree is named after what would be in it."""

    def __init__(self, stamps: Stamps) -> None:
        super().__init__(Path("unused"))
        self.stamps = stamps
        self.served: list[str] = []
        self.fault: OSError | None = None

    def take(self, stamps: Stamps) -> Path:
        if self.fault:
            raise self.fault
        return Path(str(dict(stamps)))

    def serve(self, tree: Path) -> None:
        self.served.append(tree.name)


class Author:
    """Files' times, what a check says of them, and what came of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = {"api": 1, "handlers": 1}
        self.complaints: list[str] = []
        self.while_checking: dict[str, int] = {}
        self.looks = 0
        self.checked: list[str] = []
        self.signals: list[int] = []
        self.said: list[str] = []
        self.trees = Trees(self.times)
        monkeypatch.setattr(reload, "saved", self._saved)
        monkeypatch.setattr(reload, "check", self._check)
        monkeypatch.setattr(os, "kill", lambda pid, number: self.signals.append(pid))
        self.reloader = Reloader(self.trees, {}, lambda: 7, self.said.append)

    def _saved(self) -> dict[str, int]:
        self.looks += 1
        return self.times

    def _check(self, tree: Path, settings: Any) -> list[str]:
        self.checked.append(tree.name)
        self.times = {**self.times, **self.while_checking}
        self.while_checking = {}
        return self.complaints

    def poll(self, times: int = 1) -> tuple[int, list[int]]:
        for _ in range(times):
            self.reloader.poll()
        return len(self.checked), self.signals


@pytest.fixture
def author(monkeypatch: pytest.MonkeyPatch) -> Author:
    return Author(monkeypatch)


def test_without_a_save_nothing_is_checked(author: Author) -> None:
    assert author.poll(3) == (0, [])


def test_a_save_is_checked_once_and_served(author: Author) -> None:
    author.times = {"api": 2, "handlers": 1}
    assert author.poll(5) == (1, [7])
    assert author.trees.served == author.checked
    # the signal is sent, and nobody has answered yet
    assert author.said == [WOULD_BOOT]


def test_nothing_is_checked_while_files_are_still_being_written(author: Author) -> None:
    for number in range(2, 6):
        author.times = {"api": number, "handlers": 1}
        assert author.poll() == (0, [])
    assert author.poll() == (1, [7])


def test_a_save_during_a_check_is_not_served_unchecked(author: Author) -> None:
    author.times = {"api": 2, "handlers": 1}
    author.while_checking = {"handlers": 2}
    author.poll(2)
    assert author.trees.served == ["{'api': 2, 'handlers': 1}"]
    author.poll(2)
    assert author.trees.served[1:] == ["{'api': 2, 'handlers': 2}"]


def test_a_fault_mended_during_its_check_is_not_reported(author: Author) -> None:
    author.times = {"api": 2, "handlers": 1}
    author.complaints, author.while_checking = ["wrong"], {"handlers": 2}
    author.poll(2)
    author.complaints = []
    assert author.poll(2) == (2, [7])
    assert author.said == [WOULD_BOOT]


def test_a_tree_that_does_not_boot_is_reported_once_and_not_served(author: Author) -> None:
    author.complaints = ["api/plexsphere-v1.yaml:1:1: wrong"]
    author.times = {"api": 2, "handlers": 1}
    assert author.poll(5) == (1, [])
    assert (author.said, author.trees.served) == (REFUSED, [])


def test_an_unreadable_file_is_reported_and_not_served(author: Author) -> None:
    author.trees.fault = PermissionError(13, "Permission denied", "handlers/x.py")
    author.times = {"api": 2, "handlers": 1}
    assert author.poll(5) == (0, [])
    assert author.said[1:] == ["  [Errno 13] Permission denied: 'handlers/x.py'"]


def test_a_save_while_make_run_starts_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    author = Author(monkeypatch)
    author.times = {"api": 1, "handlers": 3}
    author.reloader = Reloader(author.trees, {}, lambda: 7, author.said.append)
    assert author.poll(3) == (1, [7])


@pytest.mark.parametrize("name", ["db/migrations/0099_x.sql", "server/authz/schema.zed"])
def test_a_file_that_only_a_start_reads_is_named(author: Author, name: str) -> None:
    author.times = {**author.times, name: 2}
    author.poll(3)
    assert author.said[1:] == [
        f"  {name} is read at the start only: stop make run, and start it again"
    ]
    author.times = {**author.times, "api": 2}
    author.poll(3)
    assert author.said[2:] == [WOULD_BOOT]


def test_without_saves_the_tree_is_read_less_often(author: Author) -> None:
    author.poll(BUSY_POLLS)
    assert author.looks == BUSY_POLLS
    author.poll(10 * IDLE_POLLS)
    assert author.looks == BUSY_POLLS + 10


def test_the_first_save_after_a_pause_is_noticed_and_the_next_ones_at_once(author: Author) -> None:
    author.poll(BUSY_POLLS + IDLE_POLLS)
    author.times = {"api": 2, "handlers": 1}
    assert author.poll(IDLE_POLLS + 1) == (1, [7])
    author.times = {"api": 3, "handlers": 1}
    assert author.poll(2) == (2, [7, 7])
