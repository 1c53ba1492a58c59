"""The end of `make run`, and the end of one of its parts. The parts here only wait."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.dev.commands import REPOSITORY
from server.dev.process import processes, send_signal
from tests.waiting_stack import PARTS

SECONDS = 30.0
COMMAND = [sys.executable, "-m", "tests.waiting_stack"]


def _hear_hangups() -> None:
    """Below nohup SIGHUP is ignored, which is inherited."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Supervised:
    """One `make run` in a folder, and what it says."""

    def __init__(self, folder: Path, command: list[str], **popen: Any) -> None:
        self.folder = folder
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **popen}
        self.process = subprocess.Popen(
            [*command, str(folder)],
            cwd=REPOSITORY,
            env={k: v for k, v in os.environ.items() if k != "MAKELEVEL"} | options.pop("env", {}),
            stdin=subprocess.DEVNULL,
            preexec_fn=_hear_hangups,
            **options,
        )

    def parts(self) -> dict[str, int]:
        """The pid of each part that runs, by its name."""
        return {
            Path(seen.cwd).name: seen.pid
            for seen in processes()
            if Path(seen.cwd).parent == self.folder and seen.argv[:1] == ["sleep"]
        }

    def end(self) -> tuple[int, str]:
        """The exit status and the output of a command that is about to end."""
        output = self.process.communicate(timeout=SECONDS)[0].decode()
        return self.process.returncode, output

    def all_gone(self) -> bool:
        return not self.parts()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)  # a look reads every process of the machine


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    """Starts one, and waits for all of its parts."""
    started: list[Supervised] = []

    def begin(command: list[str] = COMMAND, **popen: Any) -> Supervised:
        run = Supervised(tmp_path, command, **popen)
        started.append(run)
        wait_for(lambda: run.parts().keys() == set(PARTS) and (tmp_path / "env").exists())
        return run

    yield begin
    for run in started:
        run.process.kill()
        run.process.wait()
        for pid in run.parts().values():  # those that the kernel has not ended yet
            send_signal(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_is_no_failure(
    start: Callable[..., Supervised], number: signal.Signals
) -> None:
    run = start()
    run.process.send_signal(number)
    code, output = run.end()
    assert (code, run.parts()) == (0, {})
    assert f"stopped ({number.name}): nothing is left running." in output


@pytest.mark.parametrize("part", [PARTS[0], PARTS[-1]])
def test_the_end_of_a_part_ends_everything_and_is_named(
    start: Callable[..., Supervised], part: str
) -> None:
    run = start()
    pid = run.parts()[part]
    os.kill(pid, signal.SIGKILL)
    code, output = run.end()
    assert (code, run.parts()) == (1, {})
    (sentence,) = [line for line in output.splitlines() if line.startswith("plexsphere-state: ")]
    assert f"{part} (pid {pid}) was ended by SIGKILL" in sentence
    assert "Traceback" not in output


def test_kill_9_of_the_supervisor_ends_everything(start: Callable[..., Supervised]) -> None:
    run = start()
    run.process.kill()
    wait_for(run.all_gone)


def test_a_frozen_part_does_not_prevent_the_end_of_the_others(
    start: Callable[..., Supervised],
) -> None:
    run = start()
    for part in ("postgres", "gunicorn"):
        os.kill(run.parts()[part], signal.SIGSTOP)
    run.process.terminate()
    code, _ = run.end()
    assert (code, run.parts()) == (0, {})


def test_the_end_of_make_is_the_end_of_everything(start: Callable[..., Supervised]) -> None:
    # Like make: a parent that is killed cannot pass anything on.
    parent = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
    make = start([sys.executable, "-c", parent, *COMMAND[1:]], env={"MAKELEVEL": "1"})
    make.process.kill()
    wait_for(make.all_gone)


def test_a_closed_terminal_is_the_end_of_everything(start: Callable[..., Supervised]) -> None:
    terminal, ours = pty.openpty()
    # In a session of its own, so that it hears of the terminal by its output alone.
    run = start(stdout=ours, stderr=ours, start_new_session=True)
    os.close(ours)
    os.close(terminal)
    assert run.process.wait(SECONDS) == 0
    assert run.parts() == {}
