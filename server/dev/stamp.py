"""The commit of a tree, and the build step that names it in a wheel (``cmdclass`` of setup.cfg).

The build loads this file alone, so it imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from setuptools.command.build_py import build_py  # type: ignore[import-untyped]

STAMP = "server/release.json"


def commit_of(tree: Path) -> dict[str, str]:
    """``commit`` and ``date`` of a clone: its commit, with ``-dirty`` where tracked files differ.

    Of a tree that is no clone only the date of SOURCE_DATE_EPOCH, where that is set.
    """
    if (tree / ".git").exists():
        try:
            commit = _git(tree, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
            date = _git(tree, "log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ")
        except (OSError, subprocess.SubprocessError):
            return {}
        return {"commit": commit, "date": date}
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not seconds.isdecimal():
        return {}
    return {"date": datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _git(tree: Path, *arguments: str) -> str:
    shown = subprocess.run(
        ["git", "-C", str(tree), *arguments],
        env={**os.environ, "TZ": "UTC"},
        capture_output=True,
        text=True,
        timeout=5,
        check=True,
    )
    return shown.stdout.strip()


class StampedBuild(build_py):
    """``build_py``, which also writes the stamp. An editable install has none: its tree changes."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            stamp = Path(self.build_lib, STAMP)
            stamp.write_text(json.dumps(commit_of(Path.cwd())))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs = super().get_outputs(include_bytecode)
        return outputs if self.editable_mode else [*outputs, str(Path(self.build_lib, STAMP))]
