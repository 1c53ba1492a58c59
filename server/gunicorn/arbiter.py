"""gunicorn's master, but that nothing which does not start ends what serves.

gunicorn's own ends when a worker cannot start, whenever that is, and a reload ends the old workers
before it is known whether the new ones start.
"""

from __future__ import annotations

import os
import signal
import time

from gunicorn.arbiter import Arbiter

from server.flags import NOT_RELOADED, clear_flag, set_flag
from server.gunicorn.boot import Boot

# How long new workers may take to start; a busy machine imports slowly.
START_SECONDS = 60.0
# How long after a reload that failed it is tried again.
RETRY_SECONDS = 5.0
_ENDS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


class NotReloaded(Exception):
    """The new workers do not start, or the master must end."""


class PatientArbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """Outlives a broken tree. No ``__init__``: gunicorn's Arbiter becomes one (conf.py)."""

    _has_served = False
    _reloading_since: int | None = None  # the age of the last old worker
    _retry_at: float | None = None

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """The signals, first those that end the master; of several reloads one, because the others
        were asked for before it began."""
        signals: list[int] = super().wait_for_signals(timeout)
        others = [sig for sig in signals if sig != signal.SIGHUP]
        reloads = [sig for sig in signals if sig == signal.SIGHUP][:1]
        return sorted(others + reloads, key=lambda sig: sig not in _ENDS)

    def reload(self) -> None:
        """Start the new workers, then end the old ones; where they do not start, try again."""
        self._reloading_since = self.worker_age
        try:
            super().reload()
        except (NotReloaded, SystemExit):  # gunicorn exits where a configuration file is broken
            if os.getpid() != self.pid:  # a worker ends, which was forked below
                raise
            self._end_new_workers()
            self._retry_at = time.monotonic() + RETRY_SECONDS
            set_flag(NOT_RELOADED)
            self.log.error("Not reloaded: the workers from before go on serving")
        else:
            self._retry_at = None
            clear_flag(NOT_RELOADED)
        finally:
            self._reloading_since = None

    def manage_workers(self) -> None:
        """Keep as many workers as wanted. In a reload: first wait for the new ones."""
        if self._reloading_since is not None:
            self._wait_for_new_workers()
        self.has_served()
        super().manage_workers()
        if self._retry_at is not None and time.monotonic() >= self._retry_at:
            self._retry_at = None
            self.reload()

    def has_served(self) -> bool:
        """Whether a worker serves now, or one served before."""
        self._has_served = self._has_served or any(
            worker.boot is Boot.SERVING for worker in self.WORKERS.values()
        )
        return self._has_served

    def _new_workers(self) -> list[object]:
        since = self._reloading_since or 0
        return [worker for worker in self.WORKERS.values() if worker.age > since]

    def _wait_for_new_workers(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and not self._is_told_to_end():
            self.reap_workers()
            boots = [worker.boot for worker in self._new_workers()]  # type: ignore[attr-defined]
            if len(boots) < self.cfg.workers or Boot.FAILED in boots:
                raise NotReloaded
            if set(boots) == {Boot.SERVING}:
                return
            time.sleep(0.05)
        raise NotReloaded

    def _is_told_to_end(self) -> bool:
        waiting = []
        while not self.SIG_QUEUE.empty():
            waiting.append(self.SIG_QUEUE.get())
        for sig in waiting:
            self.SIG_QUEUE.put(sig)
        return not _ENDS.isdisjoint(waiting)

    def _end_new_workers(self) -> None:
        """Gone before anybody counts workers: the oldest are ended where there are too many."""
        until = time.monotonic() + self.cfg.graceful_timeout
        sig = signal.SIGTERM
        while new := self._new_workers():
            if time.monotonic() > until:
                sig = signal.SIGKILL
            for worker in new:
                self.kill_worker(worker.pid, sig)  # type: ignore[attr-defined]
            self.reap_workers()
            time.sleep(0.05)
