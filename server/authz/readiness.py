"""SpiceDB's line in /readyz."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from server.authz.admin import SpiceDbAdmin


class SpiceDbReadiness:
    """Probes at most once every ``every_s`` seconds and in one thread at a time.

    Others get the last result at once: a crowd on /readyz must not hold every thread while SpiceDB
    is frozen. ``clock`` is monotonic seconds.
    """

    def __init__(
        self,
        admin: SpiceDbAdmin,
        timeout_s: float = 1.0,
        every_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admin = admin
        self._timeout_s = timeout_s
        self._every_s = every_s
        self._clock = clock
        self._probing = threading.Lock()
        self._result = (False, "not asked yet")
        self._probed_at: float | None = None

    def describe(self) -> tuple[bool, str]:
        """(does SpiceDB decide, one line on it: a gRPC status at most, never an address)."""
        if self._is_due() and self._probing.acquire(blocking=False):
            try:
                self._result = self._probe()
                self._probed_at = self._clock()
            finally:
                self._probing.release()
        return self._result

    def ping(self, deadline: Deadline) -> None:
        """The same as a health probe: AuthzUnavailable when SpiceDB does not decide."""
        ok, detail = self.describe()
        if not ok:
            raise AuthzUnavailable(detail)

    def _is_due(self) -> bool:
        return self._probed_at is None or self._clock() >= self._probed_at + self._every_s

    def _probe(self) -> tuple[bool, str]:
        try:
            self._admin.ping(Deadline.after(self._timeout_s, self._clock))
        except AuthzUnavailable as error:
            # Two words of "SpiceDB: UNAVAILABLE: <details>"; the details may name hosts.
            return False, ":".join(str(error).split(":")[:2])
        return True, "decides"
