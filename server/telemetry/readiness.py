"""The state that /readyz shows: probes run beside the requests, and answered pulls are proof.

A probe runs in a thread of its own while somebody asks for its result, and not otherwise.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from http import HTTPStatus

from composer.deadline import Deadline
from server.telemetry.probes import DOES_NOT_ANSWER, PROBE_SECONDS, Degraded, Down, Probe

EVERY_SECONDS = 1.0
# A result of the last turn, which may have taken its whole second.
FRESH_SECONDS = EVERY_SECONDS + 2 * PROBE_SECONDS
# A load balancer asks at least this often; after that the thread ends.
ASKED_SECONDS = 60.0
# How long an answered pull proves that pulls are answered.
PROOF_SECONDS = 3.0
ANSWERED = frozenset(map(int, (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)))


class AnsweredPulls:
    """Whether the pulls of this process are answered, also with last answers while Postgres is
    away; ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answered_at: float | None = None
        # Kept until a pull is answered: an instance that a load balancer removed gets no pulls.
        self._is_unauthorized = False

    def note(self, status: int) -> None:
        """A pull gets this answer."""
        if status in ANSWERED:
            self._answered_at = self._clock()
            self._is_unauthorized = False
        elif status == HTTPStatus.UNAUTHORIZED:
            self._is_unauthorized = True
        elif status == HTTPStatus.SERVICE_UNAVAILABLE:
            self._answered_at = None

    @property
    def are_recent(self) -> bool:
        """Whether the last seconds have an answered pull, and none that was refused since."""
        answered_at = self._answered_at
        return answered_at is not None and self._clock() - answered_at < PROOF_SECONDS

    def are_unauthorized(self) -> bool:
        """Whether a pull was 401, none was answered since, and none in the last seconds."""
        return self._is_unauthorized and not self.are_recent


def unless_answered(probe: Probe, pulls: AnsweredPulls) -> Probe:
    """Degraded in place of down while pulls are answered: what refuses a probe may serve a pull."""

    def proven(deadline: Deadline) -> None:
        try:
            probe(deadline)
        except Degraded:
            raise
        except Exception:
            if pulls.are_recent:
                raise Degraded("pulls are answered, but a probe of it fails") from None
            raise

    return proven


class BackgroundProbe:
    """A Probe that answers with the last result of another one. Thread-safe."""

    def __init__(
        self, name: str, probe: Probe, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``probe`` gets a second for each turn. ``clock`` is monotonic seconds."""
        self._name = name
        self._probe = probe
        self._clock = clock
        self._changed = threading.Condition()
        self._pid = 0
        self._asked_at = 0.0
        self._found_at: float | None = None
        self._fault: Exception | None = None

    def __call__(self, deadline: Deadline) -> None:
        """Wait for a result only where there is no fresh one. Raises what the probe raised."""
        with self._changed:
            self._asked_at = self._clock()
            if self._pid != os.getpid():  # a thread does not survive a fork
                self._pid, self._found_at = os.getpid(), None
                name = f"probe-{self._name}"
                threading.Thread(target=self._run, name=name, daemon=True).start()
            if not self._is_fresh():
                self._changed.wait_for(self._is_fresh, deadline.remaining())
            fault = self._fault if self._is_fresh() else Down(DOES_NOT_ANSWER)
        if fault is not None:
            raise fault.with_traceback(None)  # it is raised again and again

    def _is_fresh(self) -> bool:
        return self._found_at is not None and self._clock() - self._found_at < FRESH_SECONDS

    def _run(self) -> None:
        while True:
            began = self._clock()
            fault: Exception | None = None
            try:
                self._probe(Deadline.after(PROBE_SECONDS, self._clock))
            except Exception as error:
                fault = error
            with self._changed:
                self._found_at, self._fault = self._clock(), fault
                self._changed.notify_all()
                if self._found_at - self._asked_at > ASKED_SECONDS:
                    self._pid = 0
                    return
            time.sleep(max(0.0, began + EVERY_SECONDS - self._clock()))
