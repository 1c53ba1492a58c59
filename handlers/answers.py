"""What a handler is given and what it gives back, whatever framework stands outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from composer.deadline import Deadline
from composer.identity import Principal
from handlers.wire import SnapshotBody

JSON = "application/json"
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as far as a handler may know it.

    ``principal`` is None when authentication found none; ``holds`` tells whether ``If-None-Match``
    names the given opaque tag; ``takes_body`` is false of a HEAD; ``idempotency_key`` is the
    header's, where an operation declares it.
    """

    principal: Principal | None
    correlation_id: str
    deadline: Deadline
    holds: Callable[[str], bool] = field(default=lambda tag: False)
    takes_body: bool = True
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response before it is bytes: ``body`` is None, raw bytes, a JSON value or a snapshot."""

    status: int
    body: SnapshotBody | Mapping[str, object] | bytes | None
    media_type: str | None = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    # The snapshot that a 304 stands for: what could not be served must not be confirmed either.
    stands_for: SnapshotBody | None = None
