"""The spec author's loop: what was saved is served at once, or what was served before goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from .commands import REPOSITORY
from .frozen import FrozenTrees, Stamps, import_path, saved

CHECK_SECONDS = 120
# A look costs hundreds of system calls: each poll looks while somebody saves, later one in five.
BUSY_POLLS = 300
IDLE_POLLS = 5
# What the ledger and SpiceDB were given when they started.
AT_START = ("db/migrations/", "db/schema.sql", "server/authz/schema.zed")


class Reloader:
    """Looks at the files' times; a tree that would boot is served, and gunicorn gets a HUP.

    The check runs in a process of its own with the service's settings, because a HUP to a tree that
    does not import ends the master. What it checks is a frozen copy, and that one is served.
    """

    def __init__(
        self,
        trees: FrozenTrees,
        settings: Mapping[str, str],
        gunicorn_pid: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        self._trees = trees
        self._settings = settings
        self._gunicorn_pid = gunicorn_pid
        self._say = say
        self._seen = self._settling = trees.stamps
        self._quiet = 0

    def poll(self) -> None:
        """Check and reload when something was saved since the last time, and nothing since then.

        An editor saves one file, a checkout hundreds: half of them is a tree that nobody wrote.
        """
        self._quiet += 1
        if self._quiet > BUSY_POLLS and self._quiet % IDLE_POLLS:
            return
        stamps = saved()
        if stamps != self._settling:
            self._settling, self._quiet = stamps, 0
        elif stamps != self._seen:
            self._reload(stamps)

    def _reload(self, stamps: Stamps) -> None:
        try:
            tree = self._trees.take(stamps)
            if saved() != stamps:  # half of it may be older than the rest
                return
            complaints = check(tree, self._settings)
        except OSError as error:  # a file that nobody may read, a full disk
            complaints = [str(error)]
        if not complaints:
            self._serve(tree, stamps)
        elif saved() == stamps:  # else whoever saved again may have mended it
            self._seen = stamps
            self._say("not reloaded, the old version goes on serving:")
            for line in complaints:
                self._say(f"  {line}")

    def _serve(self, tree: Path, stamps: Stamps) -> None:
        before, self._seen = self._seen, stamps
        self._trees.serve(tree)
        os.kill(self._gunicorn_pid(), signal.SIGHUP)
        self._say("what was saved would boot: new workers start with it and take over")
        for name, stamp in stamps.items():
            if name.startswith(AT_START) and before.get(name) != stamp:
                self._say(f"  {name} is read at the start: stop make run, and start it again")


def check(tree: Path, settings: Mapping[str, str]) -> list[str]:
    """Why a frozen tree would not boot, a line each; empty when it would."""
    command = [sys.executable, "-m", "server.dev.check_boot"]
    try:
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **settings, **import_path(tree)},
            capture_output=True,
            text=True,
            timeout=CHECK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return [f"the check did not end within {CHECK_SECONDS} s"]
    if done.returncode == 0:
        return []
    return done.stdout.splitlines() or done.stderr.splitlines()[-1:] or ["it does not boot"]
