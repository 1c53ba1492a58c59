"""A loop that takes turns until a signal, and backs off while its dependencies fail."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Thread
from types import FrameType
from typing import NoReturn

import structlog

from composer.errors import AuthzUnavailable, ComposerError, EventStreamUnavailable

FIRST_BACKOFF = 0.5  # seconds, doubled at every failure
LONGEST_BACKOFF = 5.0
LAST_TURN_SECONDS = 5.0  # for a turn that is under way when the process is stopped

_DEPENDENCIES: Mapping[type[ComposerError], str] = {
    AuthzUnavailable: "spicedb",
    EventStreamUnavailable: "nats",
}

_log = structlog.stdlib.get_logger("plexsphere")

# Does one piece of work; the seconds until the next turn. Raises ComposerError.
Turn = Callable[[], float]


class TurnLoop:
    """Takes turns in one thread.

    The first failure is logged as the event ``failing``, the next success as ``recovered``.
    """

    def __init__(
        self,
        turn: Turn,
        *,
        failing: str,
        recovered: str,
        first_backoff: float = FIRST_BACKOFF,
        longest_backoff: float = LONGEST_BACKOFF,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Both backoffs in seconds."""
        self._turn = turn
        self._failing = failing
        self._recovered = recovered
        self._first_backoff = first_backoff
        self._longest_backoff = longest_backoff
        self._wait = wait
        self._backoff = first_backoff
        self._is_failing = False

    def run(self) -> NoReturn:
        """Take turns for ever: only a signal ends it."""
        while True:
            self._wait(self.step())

    def step(self) -> float:
        """Take one turn; the seconds until the next."""
        try:
            pause = self._turn()
        except ComposerError as error:
            return self._fail(error)
        if self._is_failing:
            _log.info(self._recovered)
        self._is_failing, self._backoff = False, self._first_backoff
        return pause

    def _fail(self, error: ComposerError) -> float:
        if not self._is_failing:
            names = (name for kind, name in _DEPENDENCIES.items() if isinstance(error, kind))
            dependency = next(names, "postgres")
            # The driver's message names hosts and roles, never a password.
            cause = " ".join(str(error.__cause__ or "").split())
            _log.warning(self._failing, dependency=dependency, error=str(error), cause=cause)
        self._is_failing = True
        pause, self._backoff = self._backoff, min(2 * self._backoff, self._longest_backoff)
        return pause


class Stopped(BaseException):
    """The process got SIGTERM or SIGINT. No Exception, so that no handler of errors catches it."""


def run_until_stopped(
    loop: TurnLoop, name: str, *, beside: Sequence[TurnLoop] = (), **fields: object
) -> None:
    """Run the loop until SIGTERM or SIGINT; logs ``<name>_started`` and ``<name>_stopped``.

    The loops ``beside`` it run in threads of their own. One that ends by an error that it does not
    expect ends the process, so that whoever started the process starts it again.
    """
    is_over = Event()
    threads = [Thread(target=_run_beside, args=(other, is_over)) for other in beside]
    try:
        # Inside the block: a signal may arrive as soon as its handler is set.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)
        _log.info(f"{name}_started", **fields)
        for thread in threads:
            thread.daemon = True
            thread.start()
        loop.run()
    except Stopped as stopped:
        is_over.set()
        for thread in threads:
            if thread.ident is not None:  # the signal may come before it is started
                thread.join(LAST_TURN_SECONDS)
        _log.info(f"{name}_stopped", signal=str(stopped))


def _run_beside(loop: TurnLoop, is_over: Event) -> None:
    try:
        while not is_over.wait(loop.step()):
            pass
    except BaseException:
        _log.exception("loop_failed")
        os.kill(os.getpid(), signal.SIGTERM)


def _stop(number: int, frame: FrameType | None) -> None:
    for handled in (signal.SIGINT, signal.SIGTERM):
        signal.signal(handled, signal.SIG_IGN)
    raise Stopped(signal.Signals(number).name)
