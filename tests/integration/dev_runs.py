"""A `make run` of its own in a folder below .dev/test/, as a process that tests may end roughly."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from server.dev.parts import REPOSITORY, Places
from server.dev.process import processes

SECONDS = 100.0
SCRIPT = """
import sys
from pathlib import Path
from server.dev.run import run_dev
sys.exit(run_dev(port=int(sys.argv[2]), nodes=3, workers=1, folder=Path(sys.argv[1])))
"""


def _hear_hangups() -> None:
    """Below nohup SIGHUP is ignored, which is inherited."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Run:
    """One start of the dev command; its output goes to a file beside the folder."""

    def __init__(self, folder: Path, port: int, **popen: object) -> None:
        self.folder = folder
        self.port = port
        self._log = folder.with_suffix(".out")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            arguments = {"stdout": log, "stderr": subprocess.STDOUT, **popen}
            self.process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(folder), str(port)],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                env={k: v for k, v in os.environ.items() if k != "MAKELEVEL"},
                preexec_fn=_hear_hangups,
                **arguments,  # type: ignore[call-overload]
            )

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def pids(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.folder / "pids.json").read_text())
        return found

    def wait_up(self) -> "Run":
        wait_for(lambda: self._is_up() or self.process.poll() is not None, "the stack to be up")
        assert self._is_up(), self.output
        return self

    def exit_code(self) -> int:
        return self.process.wait(SECONDS)

    def _is_up(self) -> bool:
        # The settings are written last, and the file is from this start.
        return "gunicorn" in self.output and "\nUp in " in self.output


@contextmanager
def running(folder: Path, port: int) -> Iterator[Run]:
    run = Run(folder, port)
    try:
        yield run.wait_up()
    finally:
        run.process.kill()
        run.process.wait()
        wait_for(lambda: not survivors(folder), "everything to be gone")


def survivors(folder: Path) -> list[int]:
    """Every process of a stack in this folder, Postgres' children included."""
    places = Places(folder)
    return [seen.pid for seen in processes() if places.is_stray(seen)]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {SECONDS:g} s for {what}"
        time.sleep(0.05)


def kill9(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
