"""The input and the output of a handler, without a web framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from composer.deadline import Deadline
from composer.event_streams import EventStream
from composer.identity import Principal
from composer.position import LedgerPosition
from handlers.wire import SnapshotBody

JSON = "application/json"
PROBLEM = "application/problem+json"

# The body is for one caller: no shared cache may keep it.
PRIVATE: Mapping[str, str] = {
    "Cache-Control": "private, no-cache",
    "Vary": "Authorization, Accept-Encoding",
}
# The body has a credential: no cache may keep it (RFC 6749, 5.1).
NOT_STORED: Mapping[str, str] = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a handler sees it.

    - ``principal``: None where authentication failed.
    - ``matches``: whether ``If-None-Match`` names an opaque tag.
    - ``takes_body``: False for a HEAD.
    - ``preferred``: the media type that ``Accept`` prefers; the first where it prefers none.
    - ``idempotency_key`` and ``last_event_id``: of the headers, where the operation declares them.
    - ``position``: what the caller has seen of the ledger, where its header says so.
    """

    principal: Principal | None
    correlation_id: str
    deadline: Deadline
    matches: Callable[[str], bool] = field(default=lambda tag: False)
    takes_body: bool = True
    idempotency_key: str | None = None
    last_event_id: str | None = None
    position: LedgerPosition | None = None
    preferred: Callable[[Sequence[str]], str] = field(default=lambda media_types: media_types[0])


@dataclass(frozen=True, slots=True)
class Answer:
    """A response before it is bytes: ``body`` is None, raw bytes, a JSON value or a snapshot.

    ``confirmed`` is the snapshot that a 304 confirms. It is validated like a body. ``stream`` is in
    place of a body, and goes on after the answer's end.
    """

    status: int
    body: SnapshotBody | Mapping[str, object] | bytes | None = None
    media_type: str | None = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    confirmed: SnapshotBody | None = None
    stream: EventStream | None = None

    def with_headers(self, headers: Mapping[str, str]) -> Answer:
        """The same with these headers; its own headers replace equal names."""
        if not headers:
            return self
        headers = {**headers, **self.headers}
        return Answer(
            status=self.status,
            body=self.body,
            media_type=self.media_type,
            headers=headers,
            confirmed=self.confirmed,
            stream=self.stream,
        )

    @property
    def digest(self) -> str | None:
        """The desired-state digest of the served or confirmed snapshot; None without a snapshot."""
        body = self.confirmed if self.body is None else self.body
        return body.digest or None if isinstance(body, SnapshotBody) else None


NO_CONTENT = Answer(204, media_type=None)
