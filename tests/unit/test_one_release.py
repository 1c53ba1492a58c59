"""A worker imports one release, whatever its master has imported and whatever comes next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from server.dev.commands import REPOSITORY, plain_environment

SCRIPT = """
import os, sys
sys.path.insert(0, "now")

def place(release):
    os.symlink(release, "next")
    os.replace("next", "now")

place("old")
import handlers
from server.gunicorn.conf import post_fork
place("new")
post_fork(None, None)
place("newer")
import handlers.answers
"""


def test_a_worker_imports_the_release_that_was_in_place_when_it_was_forked(tmp_path: Path) -> None:
    for release in ("old", "new", "newer"):
        package = tmp_path / release / "handlers"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"print('{release}', end=' ')")
        (package / "answers.py").write_text(f"print('{release}', end=' ')")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={**plain_environment(), "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("old new new ", "")
