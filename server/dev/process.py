"""Child processes that cannot outlive whoever started them, and the traces of those that did."""

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
    """What stands in the way, in one sentence for the person at the keyboard."""


def die_with_parent(number: signal.Signals) -> None:
    """Has the kernel send `number` when the thread that forked this process ends."""
    _prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Command:
    """How one part is started. `log` None means: the starter's own stdout."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    death_signal: signal.Signals
    log: Path | None = None


class Process:
    """A started part: the leader of its own session, so that its group can be ended as one.

    Start from the main thread: the kernel ties a child to the thread that forked it.
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
        """None while it runs; negative where a signal ended it."""
        return self._popen.poll()

    def signal_family(self, number: signal.Signals) -> None:
        """To the process and everything below it: Postgres gives each child its own group."""
        for pid in [self.pid, *descendants(self.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self, number: signal.Signals, seconds: float) -> None:
        """Asks the leader with `number`, waits, then kills it and what is left of its group.

        Children outside the group are Postgres' own, which end by themselves with their parent.
        """
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            # A frozen process hears nothing but SIGCONT and SIGKILL.
            self.signal_family(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def wait(self) -> int:
        """Its exit code, once it ended by itself."""
        return self._popen.wait()

    def kill(self) -> None:
        """kill -9."""
        self.end(signal.SIGKILL, 5)

    def last_words(self, characters: int = 800) -> str:
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
            words = part.last_words()
            raise StackError(
                f"{part.command.name} ended with {part.exit_code} before it was {what}"
                + (f"; its last words:\n{words}" if words else ".")
            )
        if time.monotonic() > deadline:
            raise StackError(f"{part.command.name} was not {what} within {seconds:g} s.")
        time.sleep(pause)


@dataclass(frozen=True, slots=True)
class Seen:
    """A process of this machine, as far as this user may look at it."""

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
                # The name in brackets may hold anything, so count from the last bracket.
                parent = Path(entry.path, "stat").read_text(errors="replace").rpartition(")")[2]
                cwd = os.readlink(Path(entry.path, "cwd"))
            except OSError:
                continue
            found.append(Seen(int(entry.name), int(parent.split()[1]), argv.split("\0")[:-1], cwd))
    return found


def descendants(pid: int) -> list[int]:
    """Children, their children and so on, whatever session they moved to."""
    children: dict[int, list[int]] = {}
    for seen in processes():
        children.setdefault(seen.parent, []).append(seen.pid)
    found, open_ends = [], [pid]
    while open_ends:
        below = children.get(open_ends.pop(), [])
        found += below
        open_ends += below
    return found


def end_strays(is_ours: Callable[[Seen], bool], seconds: float = 3.0) -> list[int]:
    """Ends what an earlier start left behind, after giving it time to end by itself.

    `kill -9` of a supervisor makes the kernel tell its parts; they need a moment to comply.
    """
    deadline = time.monotonic() + seconds
    told: set[int] = set()
    while strays := [p.pid for p in processes() if is_ours(p) and p.pid != os.getpid()]:
        late = time.monotonic() - deadline
        if late > seconds:
            raise StackError(f"process {strays[0]} of an earlier start cannot be ended.")
        for pid in strays:
            if late > 0:
                tell(pid, signal.SIGKILL)
            elif pid not in told:
                # The quick way out for each of our parts, Postgres included.
                tell(pid, signal.SIGINT)
        told.update(strays)
        time.sleep(0.02)
    return sorted(told)


def tell(pid: int, number: signal.Signals) -> None:
    """Sends, and wakes a frozen process so that it hears; a process already gone is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)
