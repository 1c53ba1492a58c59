"""The spec author's loop: what was saved is served at once, or what was served before goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from .commands import REPOSITORY

WATCHED = (
    ("api", "*.yaml"),
    ("composer", "*.py"),
    ("db", "**/*.py"),
    ("db/queries", "*.sql"),
    ("handlers", "*.py"),
    ("server", "**/*.py"),
)
CHECK_SECONDS = 30


class Reloader:
    """Looks at the files' times; a change that would boot becomes a HUP to gunicorn.

    The check runs in a process of its own with the service's settings, because a HUP to a tree that
    does not import ends the master.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        gunicorn_pid: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._gunicorn_pid = gunicorn_pid
        self._say = say
        self._seen = self._settling = dict(_times())

    def poll(self) -> None:
        """Check and reload when something was saved since the last time, and nothing since then.

        An editor saves one file, a checkout hundreds: half of them is a tree that nobody wrote.
        """
        times = dict(_times())
        if times == self._seen:
            return
        if times != self._settling:
            self._settling = times
            return
        complaints = check(self._settings)
        if dict(_times()) != times:  # what was checked is not what would be served
            return
        self._seen = times
        if complaints:
            self._say("not reloaded, the old version goes on serving:")
            for line in complaints:
                self._say(f"  {line}")
            return
        os.kill(self._gunicorn_pid(), signal.SIGHUP)
        self._say("what was saved would boot: new workers start with it and take over")


def check(settings: Mapping[str, str]) -> list[str]:
    """Why the tree as it stands would not boot, a line each; empty when it would."""
    command = [sys.executable, "-m", "server.dev.check_boot"]
    try:
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=CHECK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return [f"the check did not end within {CHECK_SECONDS} s"]
    if done.returncode == 0:
        return []
    return done.stdout.splitlines() or done.stderr.splitlines()[-1:] or ["it does not boot"]


def _times() -> Iterator[tuple[str, int]]:
    for folder, pattern in WATCHED:
        for path in sorted((REPOSITORY / folder).glob(pattern)):
            # an editor may be putting a new file in its place just now
            with suppress(FileNotFoundError):
                yield str(path), path.stat().st_mtime_ns
