"""What a handler is given and what it gives back, whatever framework stands outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from composer.deadline import Deadline
from composer.identity import Principal
from handlers.wire import SnapshotBody

JSON = "application/json"
PROBLEM = "application/problem+json"

# A body about one caller: nobody in between may keep it for another.
PRIVATE: Mapping[str, str] = {
    "Cache-Control": "private, no-cache",
    "Vary": "Authorization, Accept-Encoding",
}
# A body that holds a credential: no cache may keep it at all (RFC 6749, 5.1).
NOT_STORED: Mapping[str, str] = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as far as a handler may know it.

    ``principal`` is None when authentication found none. ``matches`` tells whether
    ``If-None-Match`` names an opaque tag. ``takes_body`` is false for a HEAD. ``idempotency_key``
    is the header's, where an operation declares it.
    """

    principal: Principal | None
    correlation_id: str
    deadline: Deadline
    matches: Callable[[str], bool] = field(default=lambda tag: False)
    takes_body: bool = True
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response before it is bytes: ``body`` is None, raw bytes, a JSON value or a snapshot.

    ``confirmed`` is the snapshot that a 304 confirms. It is validated like a body: what could not
    be served must not be confirmed either.
    """

    status: int
    body: SnapshotBody | Mapping[str, object] | bytes | None = None
    media_type: str | None = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    confirmed: SnapshotBody | None = None

    @property
    def digest(self) -> str | None:
        """The desired-state digest of what is served or confirmed; None where there is none."""
        shown = self.confirmed if self.body is None else self.body
        return shown.digest or None if isinstance(shown, SnapshotBody) else None


NO_CONTENT = Answer(204, media_type=None)
