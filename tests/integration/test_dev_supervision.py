"""The promises of `make run` about its real parts: nothing survives, and the next start recovers.

tests/unit/test_dev_supervision.py has each signal, each part and each way to lose the starter.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.dev.commands import REPOSITORY, Places
from server.dev.ports import HOST, free_ports
from server.dev.process import processes
from server.dev.stack import Stack

PARTS = ("supervisor", "postgres", "spicedb", "nats", "gunicorn", "evaluator", "relay")
SECONDS = 100.0
SCRIPT = """
import sys
from pathlib import Path
from server.dev.run import run_dev
sys.exit(run_dev(port=int(sys.argv[2]), nodes=3, workers=1, folder=Path(sys.argv[1])))
"""


class Run:
    """One start of the dev command; its output goes to a file beside the folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._log = folder.with_suffix(".out")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(folder), str(port)],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={k: v for k, v in os.environ.items() if k != "MAKELEVEL"},
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
        gone(folder)


def survivors(folder: Path) -> list[int]:
    """Every process of a stack in this folder, Postgres' children included."""
    places = Places(folder)
    return [seen.pid for seen in processes() if places.is_stray(seen)]


def gone(folder: Path) -> None:
    wait_for(lambda: not survivors(folder), "everything to be gone")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {SECONDS:g} s for {what}"
        time.sleep(0.1)  # a look reads every process of the machine


@pytest.fixture(scope="module")
def folder() -> Path:
    """Shared, so that every test starts on what the one before it left behind."""
    return REPOSITORY / ".dev" / "test" / "supervision"


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def first(folder: Path) -> Iterator[Run]:
    """For tests that leave it as it was, until it is killed."""
    with running(folder, free_ports(1)[0]) as started:
        yield started


@pytest.fixture(scope="module")
def recovered(first: Run) -> Iterator[Run]:
    """A start on what another one left when it was ended by kill -9."""
    os.kill(first.process.pid, signal.SIGKILL)
    # At once, on the same port: what is still on its way out must not be in the way.
    (first.folder / "gunicorn" / "gunicorn.pid").write_text(f"{os.getpid()}\n")
    with running(first.folder, first.port) as second:
        yield second


def livez(port: int) -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    connection.request("GET", "/livez")
    return connection.getresponse().status


def sentence(output: str) -> str:
    """The one line that says what is wrong; there is no traceback beside it."""
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if line.startswith("plexsphere-state: ")]
    return line


def test_pids_json_names_every_part(first: Run) -> None:
    assert tuple(sorted(first.pids)) == tuple(sorted(PARTS))
    assert set(first.pids.values()) - {first.process.pid} <= set(survivors(first.folder))


def test_a_second_run_in_the_clone_names_the_first_and_leaves_it_alone(
    first: Run, port: int
) -> None:
    pids, up = first.pids, first.output
    second = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(first.folder), str(port)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 1
    assert f"pid {first.process.pid}, port {first.port}" in sentence(second.stderr)
    assert first.pids == pids
    assert first.output.startswith(up)
    assert livez(first.port) == 200


def test_kill_9_of_the_supervisor_ends_everything_and_the_next_start_recovers_beside_another(
    stack: Stack, recovered: Run
) -> None:
    assert livez(recovered.port) == livez(stack.gunicorn.port) == 200


def test_the_end_of_a_part_with_children_ends_everything_and_is_named(recovered: Run) -> None:
    pid = recovered.pids["gunicorn"]
    os.kill(pid, signal.SIGKILL)
    assert recovered.exit_code() == 1
    gone(recovered.folder)
    assert f"gunicorn (pid {pid}) was ended by SIGKILL" in sentence(recovered.output)


def test_a_port_in_use_is_one_sentence(folder: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        run = Run(folder, taken.getsockname()[1])
        assert run.exit_code() == 1
        assert f"port {run.port} is in use" in sentence(run.output)
    assert survivors(folder) == []


# Nothing runs yet, and everything else does.
@pytest.mark.parametrize("where", ["", "gunicorn"])
def test_a_folder_that_cannot_be_written_is_one_sentence(port: int, where: str) -> None:
    folder = REPOSITORY / ".dev" / "test" / "supervision-blocked"
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    # A file in a folder's place stops root as well, whom no permission bit stops.
    blocked = folder / where
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("")
    run = Run(folder, port)
    assert run.exit_code() == 1
    assert str(blocked) in sentence(run.output)
    assert survivors(folder) == []
