"""The limits of one process, in memory, by the subject and the source of a request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cachetools import TTLCache

from composer.errors import RateLimited
from composer.limits import Limit
from server.gunicorn.sources import Sources
from server.http import request_context

# A key that was not used for a day begins anew. With more keys the oldest ones do.
KEYS = 65_536
KEY_SECONDS = 86_400
# A subject that passed gate 2 is not limited for its refusals for this long (seconds).
GRANT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Rate:
    """``number`` requests at once, and as many in each ``seconds``; without a number, no limit."""

    number: int
    seconds: float


class TokenBuckets:
    """A bucket for each key, stored as the moment at which it is full again. Thread-safe."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._full_at: TTLCache[str, float] = TTLCache(KEYS, KEY_SECONDS, timer=clock)
        self._lock = threading.Lock()

    def wait(self, key: str, take: int = 1) -> float:
        """Take a token; the seconds until there is one, and then none is taken. ``take=0`` only
        looks."""
        if not self._rate.number:
            return 0.0
        each = self._rate.seconds / self._rate.number
        with self._lock:
            now = self._clock()
            full_at = max(now, self._full_at.get(key, now))
            wait = full_at + each - now - self._rate.seconds
            # Rounding must not refuse the last token of a bucket.
            if wait > each * 1e-6:
                return wait
            if take:
                self._full_at[key] = full_at + each * take
            return 0.0


class ProcessLimits:
    """Implements composer.limits.RequestLimits, and the limit on failed secret keys."""

    def __init__(
        self,
        rates: Mapping[Limit, Rate],
        source: Callable[[], str],
        on_limited: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``source`` is that of the current request; ``on_limited`` gets the name of the limit;
        ``clock`` is monotonic seconds."""
        self._buckets = {limit: TokenBuckets(rate, clock) for limit, rate in rates.items()}
        self._source = source
        self._on_limited = on_limited
        self._granted: TTLCache[str, bool] = TTLCache(KEYS, GRANT_SECONDS, timer=clock)
        self._lock = threading.Lock()

    def admit(self, subject: str, limit: Limit | None = None) -> None:
        """See composer.limits.RequestLimits."""
        if not self._was_granted(subject):
            self._require(Limit.REFUSALS, subject, take=0)
        if limit is not None:
            self._require(limit, subject, take=1)

    def refused(self, subject: str) -> None:
        """See composer.limits.RequestLimits."""
        self._buckets[Limit.REFUSALS].wait(self._key(subject))

    def granted(self, subject: str) -> None:
        """See composer.limits.RequestLimits."""
        with self._lock:
            self._granted[subject] = True

    def may_look_up(self) -> bool:
        """Whether a secret key of this source may be looked up: not after too many failures."""
        may = not self._buckets[Limit.SECRET_KEYS].wait(self._source(), take=0)
        if not may:
            self._on_limited(Limit.SECRET_KEYS)
        return may

    def look_up_failed(self) -> None:
        """The source has sent a secret key that is not valid."""
        self._buckets[Limit.SECRET_KEYS].wait(self._source())

    def _was_granted(self, subject: str) -> bool:
        with self._lock:
            return subject in self._granted

    def _require(self, limit: Limit, subject: str, take: int) -> None:
        wait = self._buckets[limit].wait(self._key(subject), take)
        if wait:
            self._on_limited(limit)
            raise RateLimited(f"{subject} has reached the limit of {limit}", wait)

    def _key(self, subject: str) -> str:
        return f"{subject} {self._source()}"


def request_source(sources: Sources) -> str:
    """The source of the current request, as the connection loop counts it; empty for a check that
    belongs to no request, as that of an open event stream."""
    if not request_context.is_in_request():
        return ""
    environ = request_context.environ()
    peer = str(environ.get("REMOTE_ADDR", ""))
    if not sources.is_proxy(peer):
        return peer
    forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", ""))
    return sources.source_of(peer, [("X-FORWARDED-FOR", forwarded)])
