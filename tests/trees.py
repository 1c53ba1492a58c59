"""Copies of the tree, for tests that edit what a service imports."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("api", "composer", "db", "handlers", "server")
# Python writes compiled modules under such a name first.
UNFINISHED = shutil.ignore_patterns("*.pyc.*")


def copied_tree(folder: Path) -> Path:
    """The folder, with what a service imports; compiled modules save their compiling."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=UNFINISHED)
    for file in ("wsgi.py", "setup.cfg"):
        shutil.copy2(ROOT / file, folder / file)
    return folder
