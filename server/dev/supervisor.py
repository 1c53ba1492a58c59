"""Watches a started stack until something ends it, and says in one sentence what that was."""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from .process import die_with_parent
from .stack import Stack

POLL_SECONDS = 0.2
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Someone asked the supervisor to stop. Not an Exception: nothing on the way may swallow it."""


class PartEnded(Exception):
    """A part is gone that should run; the message is one sentence."""


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Ctrl-C, TERM and HUP raise Stopped once, here; further ones cannot interrupt the stopping.

    Under make the end of make is a TERM too: whoever kills make leaves nothing behind.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for other in STOPS:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(signal.Signals(number).name)

    if "MAKELEVEL" in os.environ:
        die_with_parent(signal.SIGTERM)
    for number in STOPS:
        # Ignored on arrival means that nohup started us, which is to outlive the terminal.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    yield


def watch(stack: Stack, each_time: Callable[[], None] = lambda: None) -> NoReturn:
    """Returns never; raises PartEnded, or Stopped (also where nobody reads our output any more)."""
    output = select.poll()
    # No events asked for: hang-up and error are always told.
    output.register(sys.stdout.fileno(), 0)
    while True:
        if output.poll(POLL_SECONDS * 1000):
            raise Stopped("closed output")
        each_time()
        for part in stack.parts.values():
            if part.process is not None and part.process.exit_code is not None:
                raise PartEnded(_obituary(part.name, part.pid, part.process.exit_code))


def _obituary(name: str, pid: int, code: int) -> str:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    return f"{name} (pid {pid}) {how}, so everything else was stopped too."
