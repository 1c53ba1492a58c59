"""Child processes that end with their starter, and a search for those that did not."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class StackError(Exception):
    """The reason why a stack does not start, in one sentence for a person."""


def die_with_parent(number: signal.Signals) -> None:
    """The kernel sends `number` when the thread that forked this process ends."""
    _prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Command:
    """The start of a part. With `log` None it writes to the starter's stdout."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    death_signal: signal.Signals
    log: Path | None = None


class Process:
    """A started part. It leads a session, so that its process group can be ended together.

    Start it from the main thread: the kernel ends a child with the thread that forked it.
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        starter = os.getpid()

        def before_exec() -> None:
            die_with_parent(command.death_signal)
            # The starter may have died between fork and prctl.
            if os.getppid() != starter:
                os._exit(1)

        sys.stdout.flush()
        log = open(command.log, "wb") if command.log else None  # noqa: SIM115
        try:
            self._popen = subprocess.Popen(
                list(command.argv),
                env=dict(command.env),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
                start_new_session=True,
                preexec_fn=before_exec,
            )
        finally:
            if log:
                log.close()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code: None while it runs, negative where a signal ended it."""
        return self._popen.poll()

    def signal_family(self, number: signal.Signals) -> None:
        """Signal the process and its descendants, also those made meanwhile: Postgres gives
        each child a group of its own."""
        signalled: set[int] = set()
        while family := {self.pid, *descendants(self.pid)} - signalled:
            for pid in sorted(family):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            signalled |= family

    def end(self, number: signal.Signals, seconds: float) -> None:
        """Sends `number` to the leader, waits, then kills it and the rest of its group.

        Children outside the group are Postgres', and end by themselves with their parent.
        """
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            # A stopped process gets no signal but SIGCONT and SIGKILL.
            self.signal_family(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def wait(self) -> int:
        """Waits until it ends; its exit code."""
        return self._popen.wait()

    def kill(self) -> None:
        """kill -9."""
        self.end(signal.SIGKILL, 5)

    def log_tail(self, characters: int = 800) -> str:
        if self.command.log is None:
            return ""
        return self.command.log.read_text(errors="replace").strip()[-characters:]


def wait_until(
    ready: Callable[[], bool], part: Process, seconds: float, what: str, pause: float = 0.01
) -> None:
    """Raises StackError when the part ends first, or when the time is up."""
    deadline = time.monotonic() + seconds
    while not ready():
        if part.exit_code is not None:
            tail = part.log_tail()
            raise StackError(
                f"{part.command.name} ended with {part.exit_code} before it was {what}"
                + (f"; the end of its log:\n{tail}" if tail else ".")
            )
        if time.monotonic() > deadline:
            raise StackError(f"{part.command.name} was not {what} within {seconds:g} s.")
        time.sleep(pause)


@dataclass(frozen=True, slots=True)
class Seen:
    """A process of this machine, as far as this user may read it."""

    pid: int
    parent: int
    argv: list[str]
    cwd: str


def processes() -> list[Seen]:
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                argv = Path(entry.path, "cmdline").read_bytes().decode(errors="replace")
                # The name in brackets may contain brackets, so the fields begin after the last.
                parent = Path(entry.path, "stat").read_text(errors="replace").rpartition(")")[2]
                cwd = os.readlink(Path(entry.path, "cwd"))
            except OSError:
                continue
            found.append(
                Seen(
                    pid=int(entry.name),
                    parent=int(parent.split()[1]),
                    argv=argv.split("\0")[:-1],
                    cwd=cwd,
                )
            )
    return found


def descendants(pid: int) -> list[int]:
    """Children, their children and so on, in whatever session they are."""
    children: dict[int, list[int]] = {}
    for seen in processes():
        children.setdefault(seen.parent, []).append(seen.pid)
    found, unvisited = [], [pid]
    while unvisited:
        below = children.get(unvisited.pop(), [])
        found += below
        unvisited += below
    return found


def end_strays(is_ours: Callable[[Seen], bool], seconds: float = 3.0) -> list[int]:
    """Ends processes of an earlier start, after some seconds in which they may end themselves.

    After `kill -9` of a supervisor the kernel signals its parts, which then need time to end.
    """
    deadline = time.monotonic() + seconds
    signalled: set[int] = set()
    while strays := [p.pid for p in processes() if is_ours(p) and p.pid != os.getpid()]:
        late = time.monotonic() - deadline
        if late > seconds:
            raise StackError(f"process {strays[0]} of an earlier start cannot be ended.")
        for pid in strays:
            if late > 0:
                send_signal(pid, signal.SIGKILL)
            elif pid not in signalled:
                # Every part ends quickly at SIGINT, Postgres included.
                send_signal(pid, signal.SIGINT)
        signalled.update(strays)
        time.sleep(0.02)
    return sorted(signalled)


def send_signal(pid: int, number: signal.Signals) -> None:
    """Also wakes a stopped process, which then gets the signal. No error where none is there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)
