"""The limits of a host, in memory that its workers share, by the subject and the source of a
request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from composer.errors import RateLimited
from composer.limits import Limit
from composer.memory import Memory
from server.gunicorn.sources import Sources
from server.http import request_context
from server.http.moments import NO_MARK, MomentTable, mark_of

# For at least this long (seconds) a subject is not limited in a permission that it was granted.
GRANT_SECONDS = 300
# A process writes the same grant again after this time: agents pull once a minute.
GRANT_WRITTEN_SECONDS = 300
# Of about 300 bytes for each grant.
GRANTS_BYTES = 24 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rate:
    """``number`` requests at once, and as many in each ``seconds``; without a number, no limit."""

    number: int
    seconds: float


class TokenBuckets:
    """A bucket for each key, stored as the moment at which it is full again. Thread-safe."""

    def __init__(
        self, name: str, rate: Rate, table: MomentTable, clock: Callable[[], float]
    ) -> None:
        self._name = name
        self._rate = rate
        self._table = table
        self._clock = clock

    def wait(self, key: str, take: int = 1, content: bytes | None = None) -> float:
        """Take a token; the seconds until there is one, and then none is taken. ``take=0`` only
        looks. The ``content`` of the request that took the last token needs none."""
        if not self._rate.number:
            return 0.0
        each = self._rate.seconds / self._rate.number
        key = f"{self._name} {key}"
        mark = NO_MARK if content is None else mark_of(content)
        with self._table.locked():
            now = self._clock()
            stored, last_mark = self._table.read(key)
            if content is not None and mark == last_mark:
                return 0.0
            full_at = max(now, stored)
            wait = full_at + each - now - self._rate.seconds
            # Rounding must not refuse the last token of a bucket.
            if wait > each * 1e-6:
                return wait
            if take:
                self._table.write(key, full_at + each * take, mark)
            return 0.0


class HostLimits:
    """Implements composer.limits.RequestLimits, and the limit on failed secret keys."""

    def __init__(
        self,
        rates: Mapping[Limit, Rate],
        table: MomentTable,
        source: Callable[[], str],
        on_limited: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``source`` is that of the current request; ``on_limited`` gets the name of the limit;
        ``clock`` is monotonic seconds, the same in all processes."""
        self._buckets = {
            limit: TokenBuckets(name=limit, rate=rate, table=table, clock=clock)
            for limit, rate in rates.items()
        }
        self._table = table
        self._source = source
        self._on_limited = on_limited
        self._clock = clock
        # When each was written to the table; two threads at once may write one twice.
        self._grants: Memory[float] = Memory(GRANTS_BYTES)

    def admit(
        self,
        subject: str,
        permission: str,
        limit: Limit | None = None,
        content: bytes | None = None,
    ) -> None:
        """See composer.limits.RequestLimits."""
        if not self._was_granted(_grant(subject, permission)):
            self._require(Limit.REFUSALS, subject, take=0)
        if limit is not None:
            self._require(limit, subject, content=content)

    def refused(self, subject: str) -> None:
        """See composer.limits.RequestLimits."""
        self._buckets[Limit.REFUSALS].wait(self._key(subject))

    def granted(self, subject: str, permission: str) -> None:
        """See composer.limits.RequestLimits."""
        grant = _grant(subject, permission)
        if self._was_written(grant):
            return
        now = self._clock()
        self._grants.put(grant, now, len(grant))
        with self._table.locked():
            self._table.write(grant, now + GRANT_SECONDS + GRANT_WRITTEN_SECONDS)

    def may_look_up(self) -> bool:
        """Whether a secret key of this source may be looked up: not after too many failures."""
        may = not self._buckets[Limit.SECRET_KEYS].wait(self._source(), take=0)
        if not may:
            self._on_limited(Limit.SECRET_KEYS)
        return may

    def look_up_failed(self) -> None:
        """The source has sent a secret key that is not valid."""
        self._buckets[Limit.SECRET_KEYS].wait(self._source())

    def _was_granted(self, grant: str) -> bool:
        if self._was_written(grant):
            return True
        with self._table.locked():
            return self._table.read(grant)[0] > self._clock()

    def _was_written(self, grant: str) -> bool:
        """Whether this process has written it lately."""
        written_at = self._grants.get(grant)
        return written_at is not None and self._clock() - written_at < GRANT_WRITTEN_SECONDS

    def _require(
        self, limit: Limit, subject: str, take: int = 1, content: bytes | None = None
    ) -> None:
        wait = self._buckets[limit].wait(self._key(subject), take, content)
        if wait:
            self._on_limited(limit)
            raise RateLimited(f"{subject} has reached the limit of {limit}", wait)

    def _key(self, subject: str) -> str:
        return f"{subject} {self._source()}"


def _grant(subject: str, permission: str) -> str:
    return f"grant {subject} {permission}"


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
