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
        log = open(command.log, "ab") if command.log else None  # noqa: SIM115
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
        """None while it runs."""
        return self._popen.poll()

    def send(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            os.kill(self.pid, number)

    def signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def end(self, number: signal.Signals, seconds: float) -> None:
        """Asks with `number`, waits, then kills whatever is left of the group."""
        self.send(number)
        # A frozen process hears nothing but SIGCONT and SIGKILL.
        self.signal_group(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)
        self.signal_group(signal.SIGKILL)
        self._popen.wait()

    def kill(self) -> None:
        """kill -9 of the leader alone; its children are left to notice."""
        self._popen.kill()
        self._popen.wait()

    def last_words(self, lines: int = 5) -> str:
        if self.command.log is None:
            return ""
        return "\n".join(self.command.log.read_text(errors="replace").splitlines()[-lines:])


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


def command_lines() -> dict[int, list[str]]:
    """Of every process this user may look at."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                raw = Path(entry.path, "cmdline").read_bytes()
            except OSError:
                continue
            found[int(entry.name)] = raw.decode(errors="replace").split("\0")[:-1]
    return found


def end_strays(is_ours: Callable[[list[str]], bool], seconds: float = 3.0) -> list[int]:
    """Ends what an earlier start left behind, after giving it time to end by itself.

    `kill -9` of a supervisor makes the kernel tell its parts; they need a moment to comply.
    """
    deadline = time.monotonic() + seconds
    told: set[int] = set()
    while strays := [
        p for p, argv in command_lines().items() if is_ours(argv) and p != os.getpid()
    ]:
        late = time.monotonic() - deadline
        if late > seconds:
            raise StackError(f"process {strays[0]} of an earlier start cannot be ended.")
        for pid in strays:
            if late > 0:
                _send(pid, signal.SIGKILL)
            elif pid not in told:
                # The quick way out for each of our parts, Postgres included.
                _send(pid, signal.SIGINT)
        told.update(strays)
        time.sleep(0.05)
    return sorted(told)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass
