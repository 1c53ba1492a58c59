"""The earlier pins of the allow-lists: a list and its pins could grow in one commit.

Compared is the working tree with what is committed, with the commit before, and with where the
branch left the one it goes to. What grows needs a decision that says why, by name: `decided` in
allow_lists.yaml says which one. Where there is no history there is nothing to compare with.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

FILE = "tests/contract/allow_lists.yaml"
DECIDED = "decided"
# The branch that a change goes to, the first of these that there is.
TARGETS = ("@{upstream}", "origin/HEAD", "origin/main", "main")
Pins = Mapping[str, Any]


def earlier_pins(root: Path) -> list[Pins]:
    """The committed ones, the latest first; none outside a clone, or where nobody knows them."""
    if _git(root, "rev-parse", "--show-toplevel") != str(root.resolve()):
        return []
    texts = [_git(root, "show", f"{commit}:{FILE}") for commit in _commits(root)]
    return [yaml.safe_load(text) for text in dict.fromkeys(texts) if text]


def growth_complaints(now: Pins, earlier: Sequence[Pins], root: Path) -> list[str]:
    """Entries more than before in a list that was there before."""
    complaints = {
        f"{title}: {entry} was not there before, and no decision speaks of it"
        for before in earlier
        for title in now.keys() & before.keys() - {DECIDED}
        for entry in {*map(str, now[title])} - {*map(str, before[title])}
        if not _is_decided(now, title, entry, root)
    }
    complaints |= {
        f"{title}: {entry} is decided on, and not there"
        for title, entries in (now.get(DECIDED) or {}).items()
        for entry in entries
        if entry not in map(str, now.get(title, ()))
    }
    return sorted(complaints)


def _is_decided(now: Pins, title: str, entry: str, root: Path) -> bool:
    """Whether the decision that is named for an entry is there, and names the entry."""
    name = (now.get(DECIDED) or {}).get(title, {}).get(entry)
    file = root / "docs" / "decisions" / f"{name}.md"
    return name is not None and file.is_file() and f"`{entry}`" in file.read_text()


def _commits(root: Path) -> Iterator[str]:
    yield "HEAD"
    yield "HEAD^"
    for target in TARGETS:
        if base := _git(root, "merge-base", "HEAD", target):
            yield base
            return


def _git(root: Path, *arguments: str) -> str | None:
    """The output of git; None where git is not there or has no answer."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
