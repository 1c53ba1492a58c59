"""What `make run` promises about what it starts: nothing survives, and the next start recovers."""

import http.client
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.dev.parts import REPOSITORY
from server.dev.ports import HOST, free_ports
from tests.integration.dev_runs import SCRIPT, Run, kill9, running, survivors, wait_for

PARTS = ("supervisor", "postgres", "spicedb", "gunicorn", "evaluator", "relay")


@pytest.fixture(scope="module")
def folder() -> Path:
    """Shared, so that every test starts on what the one before it left behind."""
    return REPOSITORY / ".dev" / "test" / "supervision"


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def run(folder: Path, port: int) -> Iterator[Run]:
    with running(folder, port) as started:
        yield started


@pytest.fixture(scope="module")
def steady() -> Iterator[Run]:
    """For tests that leave it as it was."""
    with running(REPOSITORY / ".dev" / "test" / "supervision-steady", free_ports(1)[0]) as started:
        yield started


def gone(folder: Path) -> None:
    wait_for(lambda: not survivors(folder), "everything to be gone")


def livez(port: int) -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    connection.request("GET", "/livez")
    return connection.getresponse().status


def sentence(output: str) -> str:
    """The one line that says what is wrong; there is no traceback beside it."""
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if line.startswith("plexsphere-state: ")]
    return line


def test_pids_json_names_every_part(steady: Run) -> None:
    assert tuple(sorted(steady.pids)) == tuple(sorted(PARTS))
    assert set(steady.pids.values()) - {steady.process.pid} <= set(survivors(steady.folder))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_is_no_failure(run: Run, number: signal.Signals) -> None:
    run.process.send_signal(number)
    assert run.exit_code() == 0
    assert survivors(run.folder) == []
    assert "nothing is left running" in run.output


@pytest.mark.parametrize("part", PARTS[1:])
def test_the_end_of_a_part_ends_everything_and_is_named(run: Run, part: str) -> None:
    pid = run.pids[part]
    kill9(pid)
    assert run.exit_code() == 1
    gone(run.folder)
    assert f"{part} (pid {pid}) was ended by SIGKILL" in sentence(run.output)


def test_kill_9_of_the_supervisor_ends_everything_and_the_next_start_recovers(
    run: Run, folder: Path, port: int
) -> None:
    kill9(run.process.pid)
    # At once, on the same port: what is still on its way out must not be in the way.
    with running(folder, port) as second:
        assert livez(second.port) == 200


def test_a_frozen_part_does_not_prevent_the_end_of_the_others(run: Run) -> None:
    os.kill(run.pids["postgres"], signal.SIGSTOP)
    os.kill(run.pids["gunicorn"], signal.SIGSTOP)
    run.process.terminate()
    assert run.exit_code() == 0
    gone(run.folder)


def test_a_second_run_in_the_clone_names_the_first_and_leaves_it_alone(
    steady: Run, port: int
) -> None:
    pids = steady.pids
    second = Run(steady.folder, port, stdout=subprocess.PIPE)
    output = second.process.communicate(timeout=60)[0].decode()
    assert second.process.returncode == 1
    assert f"pid {steady.process.pid}, port {steady.port}" in sentence(output)
    assert steady.pids == pids
    assert livez(steady.port) == 200


def test_two_folders_run_side_by_side(steady: Run, run: Run) -> None:
    assert livez(steady.port) == livez(run.port) == 200


def test_a_port_in_use_is_one_sentence(folder: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        run = Run(folder, taken.getsockname()[1])
        assert run.exit_code() == 1
        assert f"port {run.port} is in use" in sentence(run.output)
    assert survivors(folder) == []


def test_a_stale_pid_file_with_the_pid_of_another_program_is_ignored(
    folder: Path, port: int
) -> None:
    data = folder / "postgres" / "data"
    with running(folder, port):
        pass
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n1\n1\n\n127.0.0.1\n\nready\n")
    (folder / "gunicorn" / "gunicorn.pid").write_text(f"{os.getpid()}\n")
    with running(folder, port) as second:
        assert livez(second.port) == 200


def test_an_interrupted_initdb_is_done_again(port: int) -> None:
    folder = REPOSITORY / ".dev" / "test" / "supervision-initdb"
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    run = Run(folder, port)
    wait_for((folder / "postgres" / "new").is_dir, "initdb to begin")
    kill9(run.process.pid)
    run.process.wait()
    with running(folder, port) as second:
        assert livez(second.port) == 200


@pytest.mark.parametrize("where", ["", "postgres", "spicedb", "gunicorn"])
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


def test_the_end_of_make_is_the_end_of_everything(folder: Path, port: int) -> None:
    # Like make: a parent that is killed cannot pass anything on.
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    make = subprocess.Popen(
        [sys.executable, "-c", parent, SCRIPT, str(folder), str(port)],
        cwd=REPOSITORY,
        env={**os.environ, "MAKELEVEL": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for((folder / "pids.json").exists, "the parts to start")
    wait_for(lambda: len(survivors(folder)) > 3, "the parts to run")
    make.kill()
    make.wait()
    gone(folder)


def test_a_closed_terminal_is_the_end_of_everything(folder: Path, port: int) -> None:
    terminal, ours = pty.openpty()
    # In a session of its own, so that it hears of the terminal by its output alone.
    run = Run(folder, port, stdout=ours, stderr=ours, start_new_session=True)
    os.close(ours)
    heard = b""
    deadline = time.monotonic() + 60
    while b"Up in" not in heard:
        assert time.monotonic() < deadline
        heard += os.read(terminal, 4096)
    os.close(terminal)
    assert run.exit_code() == 0
    gone(folder)
